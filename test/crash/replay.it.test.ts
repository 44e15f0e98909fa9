/**
 * kill -9 at each durable step of a replay: what the target lost is there again, what it has is not
 * there twice although it only appends, and a row that is refused again goes on with its letter
 * (invariants 2, 5, 6).
 */
import assert from 'node:assert/strict'
import { clickhouseSuite } from '../sinks/clickhouse/harness.ts'
import { tempDir } from '../support/env.ts'
import { testLog } from '../support/task-context.ts'
import { ask, lettersOf, over } from '../support/letters.ts'
import { bad, counts, deliverAndDie, deliverUntil, failpoints, prepare, rows } from './again.ts'

const suite = clickhouseSuite()

for (const [index, failpoint] of failpoints.entries()) {
  suite.test(`kill -9 at ${failpoint}`, async () => {
    using folder = tempDir('replay')
    const { server } = suite
    const target = { url: server.url, table: `replay_${index}` }
    await prepare(folder.path, server, target.table)
    await server.command(`DELETE FROM ${target.table} WHERE n IN (1, 8, 15, 21)`)
    const log = await testLog(`file://${folder.path}`)
    await ask(log, { kind: 'replay', topic: 's.t', from: 0, to: rows, where: null })
    await deliverAndDie(folder.path, target, failpoint)
    const ended = await deliverUntil(folder.path, target, (its) => over(its, 0))
    assert.deepEqual([ended.how, ended.sent, ended.refused], ['done', rows - bad.size, bad.size])
    assert.deepEqual(await counts(server, target.table), [rows - bad.size, rows - bad.size])
    assert.deepEqual(
      (await lettersOf(log)).map(({ offset, attempts }) => offset !== null && attempts >= 2),
      [...bad].map(() => true),
      'each is the letter that it was',
    )
  })
}
