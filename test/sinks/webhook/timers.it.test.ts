/**
 * Events that wait, with their timers in BullMQ on real servers: Redis and Valkey. Attacks invariant 5.
 */
import assert from 'node:assert/strict'
import { Queue } from 'bullmq'
import { startRedis, type RedisServer } from '../../services/redis.ts'
import { test } from 'node:test'
import { waitFor } from '../../support/env.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { doneAt } from '../../support/letters.ts'
import { tenantRows } from './deliver-support.ts'
import {
  allTaken,
  events,
  hooks,
  ids,
  startWaiting,
  tenant,
  twiceFailing,
} from './timers-support.ts'

async function jobsIn({ host, port }: RedisServer): Promise<Queue> {
  const queue = new Queue('sluice.p.k', { connection: { host, port }, skipVersionCheck: true })
  queue.on('error', () => {})
  await queue.waitUntilReady()
  return queue
}

for (const version of ['redis-7', 'valkey-9'] as const) {
  test(`${version}: jobs hold no row, and wake what is due`, async () => {
    await using server = await startRedis({ version })
    await using waiting = await startWaiting(server.url)
    const { log, receiver } = waiting
    const queue = await jobsIn(server)
    try {
      const jobs = await waitFor('a job', async () => {
        const found = await queue.getDelayed()
        return found.length > 0 && found
      })
      const [job] = jobs
      assert.deepEqual(Object.keys(job!.data as object).toSorted(), [
        'attempt',
        'endpoint',
        'offset',
        'topic',
      ])
      assert.match((job!.data as { endpoint: string }).endpoint, /^[0-9a-f]{16}$/)
      await allTaken(log, receiver)
      // What BullMQ is done with it forgets.
      assert.equal(await queue.getCompletedCount(), 0)
    } finally {
      await queue.close()
    }
  })
}

test('the sink is stopped and started while events wait, on an emptied Redis (invariant 5)', async () => {
  await using server = await startRedis()
  const log = await testLog()
  await using receiver = await twiceFailing()
  {
    await using _hooks = hooks(log, receiver, server.url)
    await writeTopics(log, tenantRows(ids, tenant))
    await doneAt(log, events)
  }
  await server.cli('flushall')
  await using _hooks = hooks(log, receiver, server.url)
  await allTaken(log, receiver)
})
