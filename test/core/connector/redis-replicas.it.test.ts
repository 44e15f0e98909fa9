/** What was written counts when the replicas have it, and not because a server says so that never heard of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { RedisLink } from '../../../core/connector/redis.ts'
import { withReplicas } from '../../../core/connector/redis-replicas.ts'
import { Secret } from '../../../core/connector/secret.ts'
import {
  startRedis,
  startRedisCluster,
  startRedisReplica,
  type RedisServer,
} from '../../services/redis.ts'
import { waitFor } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { startOrSkip } from '../../support/service.ts'

const signal = new AbortController().signal
const notThere = (what: RegExp) => failsWith('redis.replicas', 'transient', what)

function linkTo(url: string, more: { cluster?: boolean; timeoutMs?: number } = {}): RedisLink {
  const { cluster = false, timeoutMs = 500 } = more
  const replicas = { count: 1, timeoutMs }
  return new RedisLink({ url: new Secret(url), cluster, timeoutMs: 10_000, replicas })
}

async function startPair(): Promise<
  { master: RedisServer; replica: RedisServer } & AsyncDisposable
> {
  await using stack = new AsyncDisposableStack()
  const master = stack.use(await startRedis())
  const replica = stack.use(await startRedisReplica(master))
  const running = stack.move()
  return { master, replica, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

test('nothing counts while the replica is away, and then it has what counted (invariant 1)', async (t) => {
  await using pair = await startOrSkip(t, 'a Redis and its replica', startPair)
  if (pair === null) return
  const { master, replica } = pair
  await using link = linkTo(master.url)
  const write = (value: number) => () => link.client.set('k', value)
  // On a slow machine the replica may not say within half a second that it has it.
  const first = async () => (await withReplicas(link, write(1), signal)) === 'OK'
  await waitFor('the first', first)
  assert.equal(await replica.cli('get', 'k'), '1')
  await replica.kill()
  for (const value of [2, 3]) {
    await assert.rejects(
      withReplicas(link, write(value), signal),
      notThere(new RegExp(`:${master.port}: 0 of 1 replicas`)),
    )
  }
  const abort = new AbortController()
  // One that waits for long: it is not over before it is aborted.
  await using patient = linkTo(master.url, { timeoutMs: 60_000 })
  const waiting = withReplicas(patient, () => patient.client.set('k', 4), abort.signal)
  setTimeout(() => abort.abort(new Error('stopping')), 50)
  await assert.rejects(waiting, /stopping/)
  await replica.start()
  await waitFor('the replica', () => withReplicas(link, write(5), signal).then(() => true))
  const client = new Redis(replica.port, replica.host)
  assert.equal(await client.get('k'), '5')
  client.disconnect()
})

test('a server that was started anew is not asked about what was written before (invariant 1)', async (t) => {
  await using pair = await startOrSkip(t, 'a Redis and its replica', startPair)
  if (pair === null) return
  const { master } = pair
  // Long enough for the replica to follow again.
  await using link = linkTo(master.url, { timeoutMs: 20_000 })
  const writeAndLose = async (): Promise<void> => {
    await link.client.set('k', 1)
    await master.kill()
    await master.start()
    await waitFor('the link', () => link.ready(signal).then(() => true))
  }
  await assert.rejects(withReplicas(link, writeAndLose, signal), notThere(/changed/))
  assert.equal(await withReplicas(link, () => link.client.set('k', 2), signal), 'OK')
})

test('in a cluster every master waits for its own replica (invariant 1)', async (t) => {
  const start = () => startRedisCluster('redis-7', 1)
  await using cluster = await startOrSkip(t, 'a Redis cluster', start)
  if (cluster === null) return
  await using link = linkTo(cluster.url, { cluster: true })
  const write = () => link.client.set('k', 1)
  await waitFor('the replicas', () => withReplicas(link, write, signal).then(() => true))
  const replica = cluster.servers[5]!
  await replica.kill()
  await assert.rejects(withReplicas(link, write, signal), notThere(/0 of 1 replicas/))
  await replica.start()
  await waitFor('the replicas', () => withReplicas(link, write, signal).then(() => true))
})
