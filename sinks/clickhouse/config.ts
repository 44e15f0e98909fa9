/**
 * What a pipeline file may say under a sink of `type: clickhouse`. The docs and the JSON Schema are
 * generated from the descriptions here.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { secretText } from '../../core/connector/secret.ts'
import { sizeText } from '../../core/connector/size.ts'

/** One insert a second and table is what ClickHouse's manual asks of a busy writer. */
const pauseMsMax = 1000

const flushSchema = z.union([
  durationText('Time between two inserts into a table.', { minMs: 1, maxMs: 600_000 }),
  z
    .strictObject({
      rows: z
        .int()
        .min(1)
        // From here on the server would cut an insert into several parts, each its own block of the
        // deduplication window (max_insert_block_size, 1,048,449 rows in 26.7).
        .max(1_000_000)
        .optional()
        .meta({ description: 'Most rows of one insert.' }),
      bytes: sizeText('Most bytes of one insert, as columns in memory.', {
        minBytes: 1024,
        maxBytes: 256 * 2 ** 20,
      }).optional(),
      interval: durationText('Time between two inserts into a table.', {
        minMs: 1,
        maxMs: 600_000,
      }).optional(),
    })
    .meta({ description: 'Bounds of one insert.' }),
])

const replicationSchema = z
  .strictObject({
    cluster: z.string().min(1).optional().meta({
      description: 'Every CREATE and ALTER is run ON CLUSTER it.',
    }),
    path: z
      .string()
      .min(1)
      .optional()
      .meta({
        description:
          "Path in Keeper, with the server's macros. It must have {uuid}, without which a table could not be built anew beside the old one. When absent: the server's default_replica_path.",
        examples: ['/clickhouse/tables/{uuid}/{shard}'],
      }),
    replica: z.string().min(1).default('{replica}').meta({
      description: 'Name of a replica; counts where `path` is set.',
    }),
    quorum: z
      .union([z.literal('auto'), z.int().min(2).max(100)])
      .optional()
      .meta({
        description:
          'Replicas that have an insert before it counts as durable; auto: most of them. When absent: one, whose loss loses what it had not passed on.',
      }),
    deduplication_window: z.int().min(100).max(1_000_000).default(10_000).meta({
      description: 'Inserts whose tokens a table remembers.',
    }),
    deduplication_time: durationText('How long a table remembers them.', {
      minMs: 60_000,
      maxMs: 365 * 86_400_000,
    }).prefault('7d'),
  })
  .refine(({ path }) => path === undefined || path.includes('{uuid}'), {
    path: ['path'],
    message: 'must have {uuid}',
  })
  .meta({ description: 'Replicated tables.' })

export type ReplicationConfig = z.output<typeof replicationSchema>

const cleanupSchema = z
  .strictObject({
    deleted_after: durationText(
      'Age, by the time of the change at the source, from which a tombstone may be removed. Rows that are sent once more (retries, replays) and are older than what was removed are set aside as dead letters.',
      { minMs: 3_600_000, maxMs: 3650 * 86_400_000 },
    ).prefault('30d'),
    every: durationText('Time between two such rounds of a table.', {
      minMs: 60_000,
      maxMs: 365 * 86_400_000,
    }).prefault('1d'),
  })
  .meta({
    description:
      'Removes tombstones, which otherwise stay for ever. Each round merges the whole table (OPTIMIZE … FINAL) and costs as much. When absent: nothing is removed.',
  })

export const clickhouseConfig = z.strictObject({
  url: z.union([
    secretText(
      'HTTP address: `https://user:password@host:8443/database`, or several hosts of one database: `https://user:password@a:8443,b:8443/database`. User, password and database may stand here or in their own fields.',
    ),
    z.array(secretText('HTTP address of one server.')).min(1).meta({
      description: 'Addresses of one database; user, password and database are those of the first.',
    }),
  ]),
  user: z.string().min(1).optional().meta({ description: 'User name; `default` when absent.' }),
  password: secretText('Password of the user.').optional(),
  database: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Database of the tables; `default` when absent. It must exist.' }),
  mode: z.enum(['upsert', 'append']).optional().meta({
    description:
      'upsert: one row a key, as it is now (ReplacingMergeTree and a view `<table>_live`). append: every change as a row of its own, with _sluice_offset, _sluice_op and _sluice_weight. When absent: upsert for topics with a key, append for the others.',
  }),
  tables: z.record(z.string().min(1), z.string().min(1)).default({}).meta({
    description:
      'Table names by topic, where the default does not fit: the topic without its source and without `public.`, other dots as `_` (`shop.public.orders` → `orders`, `shop.sales.orders` → `sales_orders`).',
  }),
  order_by: z
    .record(z.string().min(1), z.array(z.string().min(1)).min(1))
    .default({})
    .meta({
      description:
        'Sorting columns by topic, for tables that Sluice creates. In upsert mode the key’s columns in any order, and others that are NOT NULL where deletions carry whole old rows (REPLICA IDENTITY FULL); the key when absent. In append mode any columns; _sluice_offset when absent.',
    }),
  create_tables: z.boolean().default(true).meta({
    description:
      'Create and alter tables and views. When false Sluice runs no DDL and stops with the statement that is missing.',
  }),
  replicated: z
    .union([z.boolean(), replicationSchema])
    .default(false)
    .transform((value) => (value === true ? replicationSchema.parse({}) : value))
    .meta({
      description:
        'true, or how: tables are created as Replicated*MergeTree. On ClickHouse Cloud and in a Replicated database the server does so by itself: leave it out.',
    }),
  cleanup: cleanupSchema.optional(),
  nullable: z.enum(['keep', 'default']).default('keep').meta({
    description:
      "keep: nullable columns are Nullable(T). default: NULL is stored as the type's default (0, ''), which is faster to query and cannot be told from a real 0.",
  }),
  unbounded_numeric: z.enum(['string', 'decimal']).default('string').meta({
    description:
      'Numbers without a declared precision. string: exact text. decimal: Decimal(76, 38); a value that does not fit is set aside as a dead letter.',
  }),
  timestamps: z.enum(['datetime', 'string']).default('datetime').meta({
    description:
      "Dates and timestamps. datetime: Date32 and DateTime64(6, 'UTC'), which hold 1900-01-01 to 2299-12-31, from 26.7 on the years 1 to 9999; other values and ±infinity are set aside as dead letters. string: exact text, holds everything.",
  }),
  times: z.enum(['int64', 'time64']).default('int64').meta({
    description:
      'Times of day. int64: microseconds since midnight. time64: Time64(6), which ClickHouse has since 25.6.',
  }),
  json: z.enum(['string', 'json']).default('string').meta({
    description:
      'JSON documents. string: the exact text. json: the type JSON (25.8 or newer), whose paths are columns of their own; it keeps no key whose value is null or {}, and a document that it would change otherwise (a number with more digits than it has, true beside numbers in an array, a key twice), or that is no object, is set aside as a dead letter.',
  }),
  arrays: z.enum(['string', 'array', 'array_or_empty']).default('string').meta({
    description:
      "Lists, and MySQL's sets. string: the source's text. array: Array(Nullable(T)); Array has no NULL, so that a row whose list is NULL is set aside as a dead letter, and so is a list of several dimensions. array_or_empty: the same, with [] for NULL.",
  }),
  hstore: z.enum(['string', 'map']).default('string').meta({
    description:
      "PostgreSQL's hstore. string: its text. map: Map(String, Nullable(String)), without a NULL of its own: see `arrays: array`, or set `nullable: default` for an empty map.",
  }),
  low_cardinality: z
    .record(z.string().min(1), z.array(z.string().min(1)).min(1))
    .default({})
    .meta({
      description:
        "Text columns with few distinct values, by topic: LowCardinality(String) in tables that Sluice creates. MySQL's enums are so without it.",
    }),
  compression: z.enum(['auto', 'zstd', 'gzip', 'none']).default('auto').meta({
    description: 'Compression of what is sent. auto: zstd, none to a server on this machine.',
  }),
  flush: flushSchema.optional().meta({
    description:
      'Fixes the batching, such as `1s` or {rows: 100000, interval: 5s}. When absent: up to 50,000 rows or 16 MiB, at once when idle, growing to one insert a second under load.',
  }),
  timeout: durationText('Longest wait for the server to answer one statement.', {
    minMs: 1000,
    maxMs: 3_600_000,
  }).prefault('5m'),
})

export type ClickHouseConfig = z.output<typeof clickhouseConfig>

export function batchingOf({ flush }: ClickHouseConfig) {
  const bounds = typeof flush === 'number' ? { interval: flush } : flush
  return {
    rowsMax: bounds?.rows ?? 50_000,
    bytesMax: bounds?.bytes ?? 16 * 2 ** 20,
    pauseMsMin: bounds?.interval ?? 50,
    pauseMsMax: bounds?.interval ?? pauseMsMax,
  }
}
