/**
 * The transform loop on a real log: truncates, restarts, a changed query, rows that fail.
 * Attacks invariants 5 (a failed row is a dead letter), 6 and 7 (the folded output is the query's result).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicChange } from '../../../core/connector/source.ts'
import { readHead } from '../../../core/log/head.ts'
import type { Log } from '../../../core/log/log.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { makeSchema, type Changelog } from '../../../core/record/schema.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { runTransform } from '../../../core/task/transform.ts'
import { batchOf } from '../../conformance/rows.ts'
import { foldTopic } from '../../crash/judge.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { scriptedSource } from '../../support/scripted-source.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'

const flush = { bytesMax: 1 << 20, intervalMs: 2, intervalMsMax: 20 }

function schemaOf(changelog: Changelog) {
  return makeSchema(
    [
      { name: 'id', type: { kind: 'int32' }, nullable: false },
      { name: 'amount', type: { kind: 'int32' }, nullable: true },
    ],
    changelog === 'append' ? [] : [0],
    changelog,
  )
}

type Row = readonly [id: number, amount: number, weight?: number]

function rows(changelog: Changelog, ...list: readonly Row[]): TopicChange {
  const batch = batchOf(
    schemaOf(changelog),
    list.map(([id, amount, weight = 1]) => ({
      values: { id, amount },
      weight,
    })),
  )
  return { topic: 't', batch }
}

/** Commits the changes, each as a transaction of its own. */
async function write(log: Log, changes: readonly TopicChange[]): Promise<void> {
  using dir = tempDir('transform')
  const steps = changes.map((change) => ({ transaction: null, end: null, changes: [change] }))
  const script = { steps, acknowledged: [] as number[] }
  const task = {
    connector: scriptedSource(script),
    config: null,
    flush,
    openBytesMax: 1 << 20,
    stateDir: dir.path,
  }
  await whileRunning(
    (stop) => runIngest(task, taskContext(log, 's'), stop),
    () => waitFor('the script', () => script.acknowledged.at(-1) === steps.length),
  )
}

/** Runs the query until it has read all of its input. */
async function transform(log: Log, sql: string): Promise<void> {
  const inputs = [{ topic: 's.t', chain: 'p.source.s' }]
  const task = { query: await parseQuery(sql), sql, inputs, flush }
  const headOf = (chain: string) => readHead(log, chain, AbortSignal.timeout(60_000))
  const end = (await headOf('p.source.s'))!.seq
  const before = (await headOf('p.transform.q'))?.seq ?? 0
  const isRead = async (): Promise<boolean> => {
    const head = await headOf('p.transform.q')
    // Another process may have read all of it: this one has begun once its fence is there.
    if (head === null || head.seq <= before) return false
    const notes = head.notes as { sql?: string } | null
    return notes?.sql === sql && (head.cursors['p.source.s'] ?? 0) >= end
  }
  await whileRunning(
    (stop) => runTransform(task, taskContext(log, 'q'), stop),
    () => waitFor('the transform', isRead),
  )
}

async function result(log: Log): Promise<string[]> {
  const { rows: bag } = await foldTopic(log, 'p.transform.q', 'q')
  return [...bag.keys()].sort()
}

const sum =
  'SELECT amount % 2 AS odd, COUNT(*) AS n, SUM(amount) AS total FROM t GROUP BY amount % 2'

for (const changelog of ['upsert', 'retract', 'append'] as const) {
  test(`a truncate empties the result of a query over ${changelog} rows`, async () => {
    const log = await testLog()
    await write(log, [
      rows(changelog, [1, 1], [2, 2], [3, 3]),
      { topic: 't', truncate: true },
      rows(changelog, [4, 5]),
    ])
    await transform(log, sum)
    assert.deepEqual(await result(log), ['["1","1","5"]'])
  })
}

test('deletes take back what they brought', async () => {
  const log = await testLog()
  await write(log, [
    rows('upsert', [1, 1], [2, 3]),
    rows('upsert', [1, 0, -1]),
    rows('upsert', [2, 7]),
  ])
  await transform(log, sum)
  assert.deepEqual(await result(log), ['["1","1","7"]'])
})

test('a restarted transform goes on from its state', async () => {
  const log = await testLog()
  await write(log, [rows('upsert', [1, 1], [2, 2])])
  await transform(log, sum)
  const before = await readHead(log, 'p.transform.q', AbortSignal.timeout(60_000))
  await transform(log, sum)
  const after = await readHead(log, 'p.transform.q', AbortSignal.timeout(60_000))
  assert.equal(after!.seq, before!.seq + 1, 'one fence and nothing else')
  assert.deepEqual(await result(log), ['["0","1","2"]', '["1","1","1"]'])
})

test('a changed query is computed anew from the log', async () => {
  const log = await testLog()
  await write(log, [rows('upsert', [1, 1], [2, 2])])
  await transform(log, sum)
  await transform(log, 'SELECT id, amount * 10 AS ten FROM t')
  assert.deepEqual(await result(log), ['["1","10"]', '["2","20"]'])
})

test('a row that fails is a dead letter with its offset, and the others go on (invariant 5)', async () => {
  const log = await testLog()
  await write(log, [rows('append', [1, 1], [2, 0], [3, 5])])
  await transform(log, 'SELECT id, 10 / amount AS share FROM t')
  assert.deepEqual(await result(log), ['["1","10"]', '["3","2"]'])
  const letters = await foldTopic(log, 'p.transform.q', 'q.dead_letters')
  const [letter] = [...letters.rows.keys()].map((text) => JSON.parse(text) as (string | null)[])
  assert.equal(letters.rows.size, 1)
  assert.equal(letter![0], 's.t')
  assert.equal(letter![1], '1')
  assert.equal(letter![5], '{"id":2,"amount":0}')
})

test('a column added to an input does not begin anew', async () => {
  const log = await testLog()
  const before = rows('upsert', [1, 1], [2, 2])
  await write(log, [before])
  await transform(log, sum)
  const wider = makeSchema(
    [
      { name: 'id', type: { kind: 'int32' }, nullable: false },
      { name: 'amount', type: { kind: 'int32' }, nullable: true },
      { name: 'note', type: { kind: 'text' }, nullable: true },
    ],
    [0],
    'upsert',
  )
  await write(log, [
    before,
    { topic: 't', batch: batchOf(wider, [{ values: { id: 3, amount: 5 } }]) },
  ])
  await transform(log, sum)
  assert.deepEqual(await result(log), ['["0","1","2"]', '["1","2","6"]'])
  const { changes } = await foldTopic(log, 'p.transform.q', 'q')
  assert.equal(changes.length, 3, 'two groups, and one of them again')
})

test('a transform that waits for rows which the store does not give ends with its signal (invariant 8)', async () => {
  const url = `memory://stuck-${process.pid}`
  const written = await testLog(url)
  const signal = AbortSignal.timeout(60_000)
  await using writer = await ChainWriter.open(written, 'p.source.s', { writer: 'test', signal })
  const change = rows('append', [1, 1], [2, 2])
  assert.ok('batch' in change)
  const entry = { kind: 'rows', topic: 's.t', batch: change.batch } as const
  await writer.commit(
    { entries: [{ kind: 'staged', segment: await writer.stage([entry], signal) }] },
    signal,
  )
  const log = await testLog(url)
  const get = log.store.get.bind(log.store)
  let asked = false
  log.store.get = async (key, abort, range) => {
    if (!key.startsWith('seg/')) return get(key, abort, range)
    asked = true
    return new Promise((_, reject) => {
      abort.addEventListener('abort', () => reject(abort.reason as Error))
    })
  }
  const inputs = [{ topic: 's.t', chain: 'p.source.s' }]
  const task = { query: await parseQuery(sum), sql: sum, inputs, flush }
  await whileRunning(
    (stop) => runTransform(task, taskContext(log, 'q'), stop),
    () => waitFor('the rows to be asked for', () => asked),
  )
})
