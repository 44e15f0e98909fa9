/**
 * The master is killed, and a replica takes its place: by a sentinel, and in a cluster. What had reached the
 * replica is there, what had not been answered is sent again, and the newest still wins (invariant 5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, Redis } from 'ioredis'
import type { Sink, SinkBatch } from '../../../../core/connector/sink.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import type { Row } from '../../../conformance/rows.ts'
import { startRedisSentinel } from '../../../services/redis-sentinel.ts'
import { startRedisCluster, type RedisServer } from '../../../services/redis.ts'
import { waitFor } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { evolve, keyOf, openFeast, schemaOf, signal, sinkBatch } from './support.ts'

const schema = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int64' }, ['id'])
const topic = 'src.rows'
const views = { v: { event_timestamp: 'at', features: ['n'] } }
const entities = 300
/** Deleted by the fifth batch, and in none after it. */
const gone = 7

/** All entities with the batch's number, later than those before it; the fifth deletes one of them. */
function batch(number: number, origin: SinkBatch['origin'] = 'live'): SinkBatch {
  const rows: Row[] = []
  for (let id = 0; id < entities; id++) {
    const values = { id: BigInt(id), at: 1.7e15 + number * 1e6, n: BigInt(number) }
    if (id !== gone || number < 5) rows.push({ values })
    else if (number === 5) rows.push({ weight: -1, values: { id: BigInt(id) } })
  }
  return sinkBatch(topic, schema, rows, { offset: number * 1000, origin })
}

/** On a slow machine: a sentinel that finds its clock to have jumped does nothing for half a minute. */
const failoverMs = 180_000

/** A machine that stands still may be too late for the sink's short time-out. */
async function evolved(sink: Sink): Promise<void> {
  await waitFor('the views', () => evolve(sink, topic, schema).then(() => true))
}

/** As the deliver loop does: again and again while the fault is transient. */
async function deliver(sink: Sink, sent: SinkBatch): Promise<void> {
  const written = async () => {
    try {
      return await sink.write(sent, signal)
    } catch (error) {
      if (!(error instanceof SluiceError) || error.fault !== 'transient') return { error }
      return false
    }
  }
  const end = await waitFor(`batch ${sent.id}`, written, failoverMs)
  assert.deepEqual(end, { rejected: [] })
}

/** Redis answers before its replicas have a write: one that is killed earlier takes it along. */
async function replicated(master: RedisServer): Promise<void> {
  await waitFor('its replicas to have all of it', async () => {
    const info = await master.cli('info', 'replication')
    const [, end] = /^master_repl_offset:(\d+)/m.exec(info) ?? []
    const theirs = [...info.matchAll(/^slave\d+:.*state=online,offset=(\d+)/gm)]
    return theirs.length > 0 && theirs.every(([, offset]) => offset === end)
  })
}

/** How many entities have which `n`, as hex. */
async function numbersIn(client: Redis | Cluster): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  const field = Buffer.from(featureField('v', 'n'))
  for (let id = 0; id < entities; id++) {
    const seen = (await client.hgetBuffer(keyOf(id), field))?.toString('hex') ?? 'none'
    counts[seen] = (counts[seen] ?? 0) + 1
  }
  return counts
}

/** What is there of batch `n`, the last one. */
const all = (n: number) => ({ [`200${n}`]: entities - 1, none: 1 })

/**
 * Five batches, a kill, one more, and the first five once more. The sixth need not fail: where the kill took long to
 * return, a replica is the master by then.
 */
async function throughFailover(sink: Sink, master: RedisServer): Promise<void> {
  await evolved(sink)
  for (let number = 1; number <= 5; number++) await deliver(sink, batch(number))
  await replicated(master)
  await master.kill()
  await deliver(sink, batch(6))
  for (let number = 1; number <= 5; number++) await deliver(sink, batch(number, 'replay'))
}

for (const version of ['redis-7', 'valkey-9'] as const) {
  test(`${version}: a sentinel makes the replica the master (invariant 5)`, async (t) => {
    await using running = await startOrSkip(t, 'a sentinel', () => startRedisSentinel(version))
    if (running === null) return
    const [master, replica] = running.servers
    const target = { sentinel: running.name, timeout: '2s' }
    await using sink = await openFeast(running.url, views, { target })
    await throughFailover(sink, master)
    assert.match(await replica.cli('info', 'replication'), /^role:master/m)
    const client = new Redis(replica.port, replica.host)
    try {
      assert.deepEqual(await numbersIn(client), all(6))
      await master.start()
      await waitFor(
        'the old master to follow the new one',
        async () => (await master.cli('info', 'replication')).includes('master_link_status:up'),
        failoverMs,
      )
      await deliver(sink, batch(7))
      assert.deepEqual(await numbersIn(client), all(7))
    } finally {
      client.disconnect()
    }
  })
}

test('with wait_replicas nothing that was answered goes with its master (invariant 1)', async (t) => {
  await using running = await startOrSkip(t, 'a sentinel', () => startRedisSentinel())
  if (running === null) return
  const [master, replica] = running.servers
  const target = { sentinel: running.name, timeout: '2s', wait_replicas: 1 }
  await using sink = await openFeast(running.url, views, { target })
  await evolved(sink)
  for (let number = 1; number <= 5; number++) await deliver(sink, batch(number))
  // At once, and not when the replica happens to have caught up.
  await master.kill()
  const client = new Redis(replica.port, replica.host)
  try {
    await waitFor(
      'the replica to be the master',
      async () => (await client.info('replication')).includes('role:master'),
      failoverMs,
    )
    assert.deepEqual(await numbersIn(client), all(5))
    const waiting = sink.write(batch(6), signal)
    await assert.rejects(waiting, (error) => error instanceof SluiceError)
    await master.start()
    await deliver(sink, batch(6))
    assert.deepEqual(await numbersIn(client), all(6))
  } finally {
    client.disconnect()
  }
})

test('a cluster: a replica takes over the slots of a killed master (invariant 5)', async (t) => {
  const start = () => startRedisCluster('redis-7', 1)
  await using cluster = await startOrSkip(t, 'a Redis cluster', start)
  if (cluster === null) return
  const target = { cluster: true, timeout: '2s' }
  await using sink = await openFeast(cluster.url, views, { target })
  const [master, ...others] = cluster.servers
  await throughFailover(sink, master!)
  const client = new Cluster(others.map(({ host, port }) => ({ host, port })))
  try {
    assert.deepEqual(await numbersIn(client), all(6))
  } finally {
    client.disconnect()
  }
})
