/**
 * kill −9 at each step of a topic whose columns are dropped, renamed and held: rows, decisions and dead
 * letters are there once, and the table has followed. Attacks invariants 2, 5 and 6.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { readHead } from '../../../core/log/head.ts'
import { runChild } from '../../support/child.ts'
import { tempDir } from '../../support/env.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { clickhouseSuite } from './harness.ts'
import { changingRows } from './schema-crash-child.ts'

const suite = clickhouseSuite()
const { test } = suite

function child(failpoints: string, args: readonly string[]) {
  const program = join(import.meta.dirname, 'schema-crash-child.ts')
  return runChild([program, suite.server.url, ...args], { failpoints })
}

/** The pass of a failpoint that kills: the first ones repeat what the process before did, in parts perhaps. */
const steps = [
  ['deliver.after_plan', 1],
  ['deliver.before_send', 2],
  ['sink.clickhouse.after_insert', 3],
  ['deliver.after_send', 2],
] as const

for (const [index, [failpoint, pass]] of steps.entries()) {
  test(`kill -9 again and again at ${failpoint}`, async () => {
    using folder = tempDir('schema-crash')
    const logUrl = `file://${folder.path}/log`
    const log = await testLog(logUrl)
    const topic = `s.crash${index}`
    await writeTopics(log, ...changingRows(topic))
    const args = [logUrl, topic]
    let kills = 0
    while ((await child(`${failpoint}=${pass}`, args)) === 'SIGKILL') {
      kills++
      assert.ok(kills < 20, 'it gets on')
    }
    assert.ok(kills >= 2, `${kills} kills`)
    const table = `crash${index}`
    assert.deepEqual(
      await suite.server.query(`SELECT n, remark FROM ${table} ORDER BY _sluice_offset`),
      [
        { n: 1, remark: 'a' },
        { n: 2, remark: 'b' },
        { n: 3, remark: 'c' },
        { n: 4, remark: 'd' },
        { n: 5, remark: 'e' },
      ],
    )
    const columns = await suite.server.query(
      `SELECT name, type FROM system.columns WHERE table = '${table}' AND NOT startsWith(name, '_') ORDER BY name`,
    )
    assert.deepEqual(
      columns.map(({ name, type }) => `${String(name)} ${String(type)}`),
      ['n Nullable(Int32)', 'remark Nullable(String)'],
    )
    const head = await readHead(log, 'p.sink.k', AbortSignal.timeout(60_000))
    assert.equal(head!.topics.get('k.schema_changes')?.nextOffset, 3, 'decided once each')
    assert.equal(head!.topics.get('k.dead_letters')?.nextOffset, 1)
  })
}
