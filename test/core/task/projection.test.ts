/**
 * A transform reads the columns that its query uses; a row that fails is still set aside whole
 * (invariant 5: nothing vanishes).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readHead } from '../../../core/log/head.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { runTransform } from '../../../core/task/transform.ts'
import { batchOf } from '../../conformance/rows.ts'
import { foldTopic } from '../../crash/judge.ts'
import { waitFor } from '../../support/env.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'

const signal = new AbortController().signal
const sql = 'SELECT 10 / amount AS share FROM t'

test('a dead letter shows the columns that the query does not use', async () => {
  const log = await testLog()
  const schema = makeSchema(
    [
      { name: 'id', type: { kind: 'int32' }, nullable: false },
      { name: 'amount', type: { kind: 'int32' }, nullable: true },
      { name: 'note', type: { kind: 'text' }, nullable: true },
    ],
    [],
    'append',
  )
  const rows = [
    { values: { id: 1, amount: 1, note: 'one' } },
    { values: { id: 2, amount: 0, note: 'two' } },
    { values: { id: 3, amount: 0, note: null } },
  ].map((row) => ({ ...row, weight: 1 }))
  {
    await using writer = await ChainWriter.open(log, 'p.source.s', { writer: 'test', signal })
    const batch = batchOf(schema, rows)
    await writer.commit({ entries: [{ kind: 'rows', topic: 's.t', batch }] }, signal)
  }
  const task = {
    query: await parseQuery(sql),
    sql,
    inputs: [{ topic: 's.t', chain: 'p.source.s' }],
    flush: { bytesMax: 1 << 20, intervalMs: 2, intervalMsMax: 20 },
  }
  const isRead = async (): Promise<boolean> => {
    const head = await readHead(log, 'p.transform.q', AbortSignal.timeout(60_000))
    return (head?.cursors['p.source.s'] ?? 0) > 1
  }
  await whileRunning(
    (stop) => runTransform(task, taskContext(log, 'q'), stop),
    () => waitFor('the transform', isRead),
  )
  const letters = await foldTopic(log, 'p.transform.q', 'q.dead_letters')
  const whole = [...letters.rows.keys()].map((text) => (JSON.parse(text) as string[])[5])
  assert.deepEqual(
    new Set(whole),
    new Set(['{"id":2,"amount":0,"note":"two"}', '{"id":3,"amount":0,"note":null}']),
  )
  const { rows: result } = await foldTopic(log, 'p.transform.q', 'q')
  assert.deepEqual([...result.keys()], ['["10"]'])
})
