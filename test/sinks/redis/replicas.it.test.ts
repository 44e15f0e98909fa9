/** `wait_replicas` in both sinks that write to Redis: a batch is delivered when the replica has it (invariant 1). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { feast } from '../../../sinks/feast/connector.ts'
import { redis } from '../../../sinks/redis/connector.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import type { Sink } from '../../../core/connector/sink.ts'
import { batchOf } from '../../conformance/rows.ts'
import { startRedis, startRedisReplica, type RedisVersion } from '../../services/redis.ts'
import { quietContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { step } from '../../support/schema-step.ts'
import { startOrSkip } from '../../support/service.ts'

const signal = new AbortController().signal
const topic = 'shop.users'
const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'n', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)
const keys = { wait_replicas: 1, wait_timeout: '500ms' }
const feastOf = (url: string) =>
  feast.config.parse({
    project: 'p',
    target: { type: 'redis', url, ...keys },
    views: { v: { topic } },
  })
const redisOf = (url: string) => redis.config.parse({ url, ...keys })

const sinks: Readonly<Record<string, (url: string) => Promise<Sink>>> = {
  feast: (url) => feast.open(feastOf(url), [], quietContext()),
  redis: (url) => redis.open(redisOf(url), [], quietContext()),
}

for (const [name, open] of Object.entries(sinks)) {
  for (const version of ['redis-7', 'valkey-9'] satisfies RedisVersion[]) {
    test(`${name} on ${version}: nothing is delivered while the replica is away`, async (t) => {
      await using master = await startOrSkip(t, version, () => startRedis({ version }))
      if (master === null) return
      await using replica = await startRedisReplica(master)
      await using sink = await open(master.url)
      await sink.evolve(topic, step(null, schema), signal)
      const write = (offset: number) => {
        const rows = Array.from({ length: 3000 }, (_, id) => ({ values: { id, n: offset } }))
        const batch = batchOf(schema, rows)
        return sink.write({ id: String(offset), topic, batch, offset, attempt: 1 }, signal)
      }
      // A replica that came back gets nothing before its first ACK, up to a second later (startRedisReplica), which
      // is longer than `wait_timeout`: then they are sent again, as the task does.
      const delivered = async (offset: number) => {
        const sent = () => write(offset).then(({ rejected }) => rejected.length === 0)
        await waitFor(`the rows from ${offset}`, sent)
      }
      await delivered(0)
      assert.ok(Number(await replica.cli('dbsize')) >= 3000, 'delivered rows are on the replica')
      await replica.kill()
      const refused = failsWith('redis.replicas', 'transient', /0 of 1 replicas/)
      await assert.rejects(write(3000), refused)
      await assert.rejects(sink.truncate(topic, { id: 't', offset: 6000 }, signal), refused)
      await replica.start()
      await waitFor('the truncate', () =>
        sink.truncate(topic, { id: 't', offset: 6000 }, signal).then(() => true),
      )
      assert.ok(Number(await replica.cli('dbsize')) < 3000, 'truncated rows are off the replica')
      await delivered(6000)
      assert.ok(Number(await replica.cli('dbsize')) >= 3000)
    })
  }
}

test('a wait that is longer than every other is refused, and missing replicas are told before', async (t) => {
  const long = { url: 'redis://h', wait_replicas: 1, timeout: '1s', wait_timeout: '1s' }
  const { error } = redis.config.safeParse(long)
  assert.deepEqual(
    error?.issues.map(({ path }) => path),
    [['wait_timeout']],
  )
  const target = { type: 'redis', ...long }
  assert.equal(feast.config.safeParse({ project: 'p', target, views: { v: {} } }).success, false)
  await using server = await startOrSkip(t, 'redis-7', () => startRedis())
  if (server === null) return
  for (const problems of [
    await redis.check(redisOf(server.url), quietContext()),
    await feast.check(feastOf(server.url), quietContext()),
  ]) {
    assert.deepEqual(
      problems.map(({ code, severity }) => [code, severity]),
      [['redis.replicas', 'warning']],
    )
  }
})
