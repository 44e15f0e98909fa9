/**
 * What `features export` writes, in the hands of the unmodified SDK: `feast apply`, online features and a
 * point-in-time join of what the sink wrote, from Redis with a password and from Postgres (invariant 9).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeSchema } from '../../../../core/record/schema.ts'
import type { ExportedFile } from '../../../../core/connector/feature-tools.ts'
import { feast } from '../../../../sinks/feast/connector.ts'
import { batchOf } from '../../../conformance/rows.ts'
import { installFeast } from '../../../services/feast.ts'
import { applyAndRead } from '../../../services/feast-export.ts'
import { startPostgres } from '../../../services/postgres.ts'
import { startRedis } from '../../../services/redis.ts'
import { quietContext } from '../../../support/context.ts'
import { tempDir } from '../../../support/env.ts'
import { step } from '../../../support/schema-step.ts'
import { startOrSkip } from '../../../support/service.ts'

const { signal } = new AbortController()
const newYearMs = 1_767_225_600_000
const hourMs = 3_600_000

const schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'region', type: { kind: 'text' }, nullable: false },
    { name: 'at', type: { kind: 'timestamptz' }, nullable: true },
    { name: 'score', type: { kind: 'int64' }, nullable: true },
    { name: 'ratio', type: { kind: 'float64' }, nullable: true },
    { name: 'flag', type: { kind: 'bool' }, nullable: true },
    { name: 'money', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: true },
    { name: 'tags', type: { kind: 'list', element: { kind: 'text' } }, nullable: true },
    { name: 'doc', type: { kind: 'json' }, nullable: true },
  ],
  [0, 1],
  'upsert',
)
const topic = 'shop.users'

function configOf(target: object, folder: string): ReturnType<typeof feast.config.parse> {
  return feast.config.parse({
    project: 'shop',
    target,
    views: {
      'user-orders': { topic: 'users', event_timestamp: 'at', ttl: '400d' },
      // The same entity as text, and a name that Python could not have.
      'users.v': {
        topic: 'users',
        types: { user_id: 'string' },
        features: ['score'],
        version: 2,
      },
    },
    offline: { url: `file://${folder}`, compaction: false },
  })
}

async function deliver(
  config: ReturnType<typeof feast.config.parse>,
): Promise<readonly ExportedFile[]> {
  const topics = [{ name: topic, schema }]
  {
    await using sink = await feast.open(config, topics, quietContext())
    await sink.evolve(topic, step(null, schema), signal)
    const row = (user: number, hours: number, score: number) => ({
      values: {
        user_id: BigInt(user),
        region: 'eu',
        at: (newYearMs + hours * hourMs) * 1000,
        score,
        ratio: score / 4,
        flag: true,
        money: '12.50',
        tags: ['a', 'b'],
        doc: '{"a":1}',
      },
    })
    const batch = batchOf(schema, [row(7, 0, 1), row(8, 0, 2), row(7, 2, 3)])
    await sink.write({ id: 'b', topic, batch, offset: 0, attempt: 1 }, signal)
  }
  const files = await feast.features!.export(config, topics, quietContext())
  const again = await feast.features!.export(config, topics, quietContext())
  assert.deepEqual(files, again, 'the same bytes each time')
  return files
}

function writeAll(folder: string, files: readonly ExportedFile[]): void {
  for (const { name, text } of files) {
    assert.ok(!text.includes('s3cr3t'), `${name} holds the password`)
    writeFileSync(join(folder, name), text)
  }
}

const request = {
  features: [
    'user-orders:score',
    'user-orders:ratio',
    'user-orders:flag',
    'user-orders:money',
    'user-orders:tags',
  ],
  entities: [
    { user_id: 7, region: 'eu' },
    { user_id: 8, region: 'eu' },
    { user_id: 9, region: 'eu' },
  ],
  times: [1, 3, 3].map((hours) => new Date(newYearMs + hours * hourMs).toISOString()),
}

function values(score: number): object {
  return {
    'user-orders:score': score,
    'user-orders:ratio': score / 4,
    'user-orders:flag': true,
    'user-orders:money': '12.50',
    'user-orders:tags': ['a', 'b'],
  }
}
const nothing = Object.fromEntries(request.features.map((name) => [name, null]))

for (const kind of ['redis', 'postgres'] as const) {
  test(`${kind}: feast apply, online and historical features`, async (t) => {
    if ((await startOrSkip(t, 'Feast', installFeast)) === null) return
    using past = tempDir('export-past')
    using out = tempDir('export')
    await using stack = new AsyncDisposableStack()
    let target: object
    let variables = {}
    if (kind === 'redis') {
      const server = stack.use(await startRedis({ settings: { requirepass: 's3cr3t' } }))
      target = { type: 'redis', url: `redis://:s3cr3t@127.0.0.1:${server.port}/1` }
      variables = { FEAST_REDIS_PASSWORD: 's3cr3t' }
    } else {
      const server = stack.use(await startPostgres())
      await server.query(`CREATE USER feats PASSWORD 's3cr3t' SUPERUSER`)
      const url = new URL(server.url)
      url.username = 'feats'
      url.password = 's3cr3t'
      target = { type: 'postgres', url: url.href }
      variables = { FEAST_POSTGRES_PASSWORD: 's3cr3t' }
    }
    const files = await deliver(configOf(target, past.path))
    writeAll(out.path, files)
    const other = { features: ['users.v_v2:score'], entities: [{ user_id: '7', region: 'eu' }] }
    const [first, second] = await applyAndRead(out.path, [request, other], variables)
    assert.deepEqual(first!.online, [values(3), values(2), nothing])
    assert.deepEqual(first!.history, [values(1), values(2), nothing])
    assert.deepEqual(second!.online, [{ 'users.v_v2:score': 3 }])
  })
}
