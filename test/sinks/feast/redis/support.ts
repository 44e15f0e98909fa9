/** The feast sink with a real Redis, for tests: topics of rows in, hashes out. */
import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import type { SinkContext } from '../../../../core/connector/context.ts'
import type { Sink, SinkBatch } from '../../../../core/connector/sink.ts'
import { makeSchema, type Field, type Schema } from '../../../../core/record/schema.ts'
import { entityKeyPrefix } from '../../../../sinks/feast/layout/entity-key.ts'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import { feast } from '../../../../sinks/feast/connector.ts'
import type { FieldExpiry } from '../../../../sinks/feast/redis/script.ts'
import { batchOf, type Row } from '../../../conformance/rows.ts'
import {
  redisVersions,
  startRedis,
  type RedisOptions,
  type RedisServer,
} from '../../../services/redis.ts'
import { quietContext } from '../../../support/context.ts'
import { step } from '../../../support/schema-step.ts'
import { startOrSkip } from '../../../support/service.ts'

export const signal = new AbortController().signal

/**
 * What fields can do differs: nothing in Redis 7.0, HPEXPIREAT from 7.4 on, HSETEX from Redis 8 and Valkey 9
 * on. No package has 7.4: it is Redis 8 without HSETEX here.
 */
export const servers: readonly {
  readonly name: string
  readonly expiry: FieldExpiry
  readonly options: RedisOptions
}[] = [
  ...redisVersions.map((version) => {
    const expiry = version === 'redis-7' ? 'none' : 'hsetex'
    return { name: version, expiry, options: { version } } as const
  }),
  {
    name: 'redis-8 without HSETEX',
    expiry: 'hpexpireat',
    options: { version: 'redis-8', settings: { 'rename-command': 'HSETEX ' } },
  },
]

/** A Redis and a client of it, which lives through its restarts, for one test. */
export async function withRedis(
  t: TestContext,
  options: RedisOptions,
  body: (server: RedisServer, redis: Redis) => Promise<void>,
): Promise<void> {
  const { version = 'redis-7', settings = {} } = options
  await using server = await startOrSkip(t, version, () => startRedis(options))
  if (server === null) return
  const { requirepass: password } = settings
  const redis = new Redis({
    port: server.port,
    host: server.host,
    retryStrategy: () => 50,
    ...(password === undefined ? {} : { password }),
  })
  redis.on('error', () => {})
  try {
    await body(server, redis)
  } finally {
    redis.disconnect()
  }
}

type Config = Readonly<Record<string, unknown>>

/** `views` as in a pipeline file; `target`: beside the URL. */
export function openFeast(
  url: string,
  views: Config,
  {
    target = {},
    sink = {},
    ctx = {},
    topics = [],
  }: {
    readonly target?: Config
    readonly sink?: Config
    readonly ctx?: Partial<SinkContext>
    readonly topics?: readonly string[]
  } = {},
): Promise<Sink> {
  const config = feast.config.parse({
    project: 'shop',
    target: { type: 'redis', url, ...target },
    views,
    ...sink,
  })
  return feast.open(
    config,
    topics.map((name) => ({ name, schema: null })),
    quietContext(ctx),
  )
}

export function schemaOf(
  fields: Readonly<Record<string, Field['type']['kind'] | Field['type']>>,
  key: readonly string[],
  changelog: Schema['changelog'] = 'upsert',
): Schema {
  const names = Object.keys(fields)
  return makeSchema(
    names.map((name) => {
      const type = fields[name]!
      const logical = typeof type === 'string' ? ({ kind: type } as Field['type']) : type
      return { name, type: logical, nullable: !key.includes(name) }
    }),
    key.map((name) => names.indexOf(name)),
    changelog,
  )
}

export function sinkBatch(
  topic: string,
  schema: Schema,
  rows: readonly Row[],
  { offset = 0, origin = 'live' }: { offset?: number; origin?: SinkBatch['origin'] } = {},
): SinkBatch {
  const batch = batchOf(schema, rows)
  return { id: `${topic}:${offset}`, topic, batch, offset, attempt: 1, origin: origin ?? 'live' }
}

export async function evolve(sink: Sink, topic: string, schema: Schema): Promise<void> {
  await sink.evolve(topic, step(null, schema), signal)
}

/** What stands in Redis for one entity `id` (int64) of project `shop`: by name, in hex; empty when nothing does. */
export async function hashOf(redis: Redis, id: number): Promise<Readonly<Record<string, string>>> {
  const flat = (await redis.callBuffer('HGETALL', keyOf(id))) as Buffer[]
  const found: Record<string, string> = {}
  for (let i = 0; i < flat.length; i += 2)
    found[flat[i]!.toString('hex')] = flat[i + 1]!.toString('hex')
  return found
}

export function keyOf(id: number): Buffer {
  const value = Buffer.alloc(16)
  value.writeUInt32LE(4, 0)
  value.writeUInt32LE(8, 4)
  value.writeBigInt64LE(BigInt(id), 8)
  return Buffer.concat([entityKeyPrefix(['id']), value, Buffer.from('shop')])
}

export function fieldOf(view: string, feature: string): string {
  return Buffer.from(featureField(view, feature)).toString('hex')
}
