/**
 * kill -9 at each durable step of a retry of dead letters: nothing is lost, nothing is there twice in a
 * table that only appends, and the request is done once (invariants 2, 5, 6).
 */
import assert from 'node:assert/strict'
import { clickhouseSuite } from '../sinks/clickhouse/harness.ts'
import { tempDir } from '../support/env.ts'
import { testLog } from '../support/task-context.ts'
import { ask, lettersOf, over, retryOf } from '../support/letters.ts'
import {
  bad,
  counts,
  deliverAndDie,
  deliverUntil,
  failpoints,
  mended,
  prepare,
  rows,
} from './again.ts'

const suite = clickhouseSuite()

for (const [index, failpoint] of failpoints.entries()) {
  suite.test(`kill -9 at ${failpoint}`, async () => {
    using folder = tempDir('retry')
    const { server } = suite
    const target = { url: server.url, table: `retry_${index}` }
    await prepare(folder.path, server, target.table)
    const log = await testLog(`file://${folder.path}`)
    await ask(log, retryOf(await lettersOf(log)), await mended(log))
    await deliverAndDie(folder.path, target, failpoint)
    const ended = await deliverUntil(folder.path, target, (its) => over(its, 0))
    assert.deepEqual([ended.how, ended.sent, ended.refused], ['done', bad.size, 0])
    assert.deepEqual(await counts(server, target.table), [rows, rows])
    assert.deepEqual(await lettersOf(log), [])
    const [row] = await server.query(
      `SELECT count() AS c FROM ${target.table} WHERE at > '2025-01-01'`,
    )
    assert.equal(Number(row?.['c']), bad.size, 'the mended rows, and no others')
  })
}
