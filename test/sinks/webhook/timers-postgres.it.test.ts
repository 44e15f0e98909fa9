/** Events that wait, with their timers in BullMQ on a real PostgreSQL. Attacks invariant 5. */
import { startPostgres } from '../../services/postgres.ts'
import { test } from 'node:test'
import { allTaken, startWaiting } from './timers-support.ts'

test('timers in PostgreSQL, which is killed in mid-run and started again (invariant 5)', async () => {
  await using server = await startPostgres()
  await using waiting = await startWaiting(server.url)
  const { log, receiver } = waiting
  await server.kill()
  await server.restart()
  await allTaken(log, receiver)
})
