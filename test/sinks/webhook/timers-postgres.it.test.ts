/** Events that wait, with their timers in BullMQ on a real PostgreSQL. Attacks invariant 5. */
import { startPostgres } from '../../services/postgres.ts'
import { test } from 'node:test'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { tenantRows } from './deliver-support.ts'
import { allTaken, hooks, ids, passed, tenant, twiceFailing } from './timers-support.ts'

test('timers in PostgreSQL, which is killed in mid-run and started again (invariant 5)', async () => {
  await using server = await startPostgres()
  const log = await testLog()
  await using receiver = await twiceFailing()
  await using _hooks = hooks(log, receiver, server.url)
  await writeTopics(log, tenantRows(ids, tenant))
  await passed(log)
  await server.kill()
  await server.restart()
  await allTaken(log, receiver)
})
