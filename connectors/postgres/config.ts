/**
 * The `type: postgres` source in the pipeline file. Types, defaults, documentation and JSON Schema all
 * come from this one schema.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { secretText } from '../../core/connector/secret.ts'
import { parseTablePattern } from './table-pattern.ts'

/** PostgreSQL cuts longer identifiers off (NAMEDATALEN − 1), which would make two names one. */
const identifierBytesMax = 63

const tablePattern = z.string().superRefine((text, ctx) => {
  if (parseTablePattern(text) === null) {
    ctx.addIssue({
      code: 'custom',
      message:
        'expected table, schema.table or schema.*; a name with a dot, a star or a quote stands in double quotes, as in SQL',
    })
  }
})

const publicationName = z
  .string()
  .min(1)
  .refine((name) => Buffer.byteLength(name) <= identifierBytesMax, 'at most 63 bytes')

export const postgresConfig = z.strictObject({
  url: secretText(
    'Connection URL: postgres://user:password@host:5432/database. TLS by ?sslmode=disable, require (encrypted, certificate not checked), verify-ca or verify-full, with sslrootcert, sslcert and sslkey as file paths. Without sslmode: verify-full, except to this machine. The user needs REPLICATION and SELECT on the tables.',
  ),
  tables: z
    .array(tablePattern)
    .min(1)
    .meta({
      description:
        'Tables to follow: schema.table, schema.* for all tables of a schema, or table for public.table. Names are spelled exactly as the server stores them. A table added later is copied beside the running stream.',
      examples: [['public.orders', 'public.customers'], ['sales.*']],
    }),
  slot: z
    .string()
    .regex(
      /^[a-z0-9_]{1,63}$/,
      'a slot name has 1 to 63 lower-case letters, digits and underscores',
    )
    .optional()
    .meta({
      description:
        'Replication slot, which makes the server keep changes until they are in the log. Default: sluice_<pipeline>_<source>.',
    }),
  publication: publicationName.optional().meta({
    description:
      'Publication that says which tables and columns are sent. Default: sluice_<pipeline>_<source>.',
  }),
  create_publication: z.boolean().default(true).meta({
    description:
      'Create the publication, and add tables to it, when need be. With false, the statements to run are printed instead.',
  }),
  snapshot: z.enum(['initial', 'never']).default('initial').meta({
    description:
      'initial: copy the tables first, then follow the changes. never: only changes, from the slot’s position on.',
  }),
  resnapshot: z
    .record(z.string(), z.string().min(1))
    .default({})
    .meta({
      description:
        'Tables to copy again, as schema.table, each with any text, such as a date or a ticket. A text that was not there before empties the topic and copies the table once.',
      examples: [{ 'public.orders': '2027-03-01' }],
    }),
  heartbeat: durationText(
    'How often a quiet database gets a logical message, so that the slot can let go of WAL that other databases of the server write. 0s = never.',
  ).prefault('60s'),
})

export type PostgresConfig = z.output<typeof postgresConfig>

export interface SourceNames {
  readonly slot: string
  readonly publication: string
  /** application_name of all our sessions, by which a stale one of ours is known. */
  readonly application: string
}

/** The names this source uses on the server. Pure: the same after every restart. */
export function sourceNames(
  config: Pick<PostgresConfig, 'slot' | 'publication'>,
  ctx: { readonly pipeline: string; readonly name: string },
): SourceNames {
  const own = identifier(`sluice_${ctx.pipeline}_${ctx.name}`)
  return {
    slot: config.slot ?? own,
    publication: config.publication ?? own,
    application: identifier(`sluice/${ctx.pipeline}/${ctx.name}`, /[^\x20-\x7e]/g),
  }
}

/** A name of at most 63 bytes; where characters had to go, a hash keeps different names different. */
function identifier(wanted: string, refused = /[^a-z0-9_]/g): string {
  const allowed = wanted.toLowerCase().replace(refused, '_')
  if (allowed === wanted && allowed.length <= identifierBytesMax) return allowed
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 8)
  return `${allowed.slice(0, identifierBytesMax - 9)}_${hash}`
}
