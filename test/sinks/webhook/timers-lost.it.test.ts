/** Timers that are lost in mid-run, because Redis is emptied or killed: the log knows what is due. Attacks invariant 5. */
import { startRedis } from '../../services/redis.ts'
import { test } from 'node:test'
import { waitFor } from '../../support/env.ts'
import { allTaken, startWaiting } from './timers-support.ts'

test('FLUSHALL in mid-run loses nothing (invariant 5)', async () => {
  await using server = await startRedis()
  await using waiting = await startWaiting(server.url)
  const { log, receiver } = waiting
  await waitFor('the first that waited', async () => {
    await server.cli('flushall')
    return receiver.taken.length > 0
  })
  await allTaken(log, receiver)
})

test('Redis killed in mid-run and started again; also away for good (invariant 5)', async () => {
  await using server = await startRedis()
  await using waiting = await startWaiting(server.url)
  const { log, receiver } = waiting
  await server.kill()
  await waitFor('an event without Redis', async () => receiver.taken.length > 0)
  await server.start()
  await allTaken(log, receiver)
})
