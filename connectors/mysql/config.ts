/**
 * The `type: mysql` source in the pipeline file, for MySQL and MariaDB. Types, defaults, documentation
 * and JSON Schema all come from this one schema.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { secretText } from '../../core/connector/secret.ts'
import { isSystemDatabase, parseTablePattern } from './schema/table-pattern.ts'
import type { ValuePolicies } from './types.ts'

const tablePattern = z.string().superRefine((text, ctx) => {
  const pattern = parseTablePattern(text)
  if (pattern === null || isSystemDatabase(pattern.database)) {
    ctx.addIssue({
      code: 'custom',
      message:
        'expected database.table or database.*; a name with a dot, a star, a space or a backtick stands in backticks, as in SQL; system databases cannot be followed',
    })
  }
})

const purgedPolicy = z.enum(['stop', 'resnapshot'])

/** Ids below it are what people give their servers; what we derive lies above them. */
const derivedServerIdMin = 0x8000_0000

export const mysqlConfig = z.strictObject({
  url: secretText(
    'Connection URL: mysql://user:password@host:3306. TLS by ?ssl-mode=disabled, required (encrypted, certificate not checked), verify-ca or verify-identity, with ssl-ca, ssl-cert and ssl-key as file paths. Without ssl-mode: verify-identity, except to this machine. The user needs REPLICATION SLAVE, REPLICATION CLIENT and SELECT on the tables.',
  ),
  tables: z
    .array(tablePattern)
    .min(1)
    .meta({
      description:
        'Tables to follow: database.table, or database.* for all tables of a database, those made later included. Names are spelled exactly as the server stores them. A table added later is copied at the next start, while the others go on.',
      examples: [['shop.orders', 'shop.customers'], ['sales.*']],
    }),
  server_id: z.number().int().min(1).max(0xffff_ffff).optional().meta({
    description:
      'The id under which Sluice reads the binlog; no replica of the server may have the same one. Default: a high number derived from the names of pipeline and source, another one when that is taken.',
  }),
  snapshot: z.enum(['initial', 'never']).default('initial').meta({
    description:
      'initial: copy the tables beside the running stream. never: only changes, from the end of the binlog at the first start on.',
  }),
  tinyint1: z.enum(['int', 'bool']).default('int').meta({
    description:
      'What tinyint(1) is: int = the integer it holds; bool = a boolean, false for 0 and true for everything else.',
  }),
  // Not `null`: in YAML that is no text but a value, and the same as nothing at all.
  zero_dates: z.enum(['stop', 'as_null', 'text']).default('stop').meta({
    description:
      'What to do with dates that no calendar has, such as 0000-00-00 and 2020-00-00. stop: stop in front of the row. as_null: read them as null. text: every date, datetime and timestamp column is exact text; a table of a sink that has them as dates has to be exchanged.',
  }),
  on_purged: z
    .union([purgedPolicy, z.record(z.string(), purgedPolicy)])
    .default('stop')
    .meta({
      description:
        'When changes that the log still needed are not in the binlog (any more): the server has removed them, or never had them as rows. stop: stop and say so. resnapshot: go on without them and copy the tables again. Also per table, as database.table: stop or resnapshot; a table not named stops.',
      examples: ['stop', { 'shop.orders': 'resnapshot' }],
    }),
  resnapshot: z
    .record(z.string(), z.string().min(1))
    .default({})
    .meta({
      description:
        'Tables to copy again, each with any text, such as a date or a ticket. A text that was not there before empties the topic and copies the table once, beside the running stream.',
      examples: [{ 'shop.orders': '2027-03-01' }],
    }),
  compress: z.boolean().default(false).meta({
    description:
      'Compress the connections to the server. Worth it over slow networks; costs processor time on both ends.',
  }),
  heartbeat: durationText(
    'How often the server says that it is alive while there are no changes; after twice that time of silence Sluice connects again.',
    { minMs: 1000, maxMs: 3_600_000 },
  ).prefault('15s'),
})

export type MysqlConfig = z.output<typeof mysqlConfig>

export function policiesOf(config: MysqlConfig): ValuePolicies {
  const zeroDates = config.zero_dates === 'as_null' ? 'null' : config.zero_dates
  return { tinyint1: config.tinyint1, zeroDates }
}

/** The topic or topics that an entry of `tables` makes; its own syntax was checked with the configuration. */
export function topicOf(entry: string): string {
  const { database, table } = parseTablePattern(entry)!
  return `${database}.${table ?? '*'}`
}

/** What to do about a topic of which changes are not in the binlog. */
export function onPurged(config: MysqlConfig, topic: string): 'stop' | 'resnapshot' {
  return typeof config.on_purged === 'string'
    ? config.on_purged
    : (config.on_purged[topic] ?? 'stop')
}

/**
 * The id a replica has to have: the same after every restart, so that a session of ours that the
 * server still holds is replaced by the new one instead of read beside it.
 */
export function serverIdOf(
  config: Pick<MysqlConfig, 'server_id'>,
  ctx: { readonly pipeline: string; readonly name: string },
): number {
  if (config.server_id !== undefined) return config.server_id
  const hash = createHash('sha256').update(`${ctx.pipeline}\n${ctx.name}`).digest()
  return (derivedServerIdMin | (hash.readUInt32BE(0) >>> 1)) >>> 0
}
