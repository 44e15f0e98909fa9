/** What a truncate takes away, folded from the log: the rows of a query whose operators remember none (invariant 7). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChainWriter } from '../../../core/log/writer.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { numberAt } from '../../../core/record/value.ts'
import { survivingRows } from '../../../core/task/surviving.ts'
import { batchOf } from '../../conformance/rows.ts'
import { numberRows, numbersOf } from '../../support/number-rows.ts'
import { testLog } from '../../support/task-context.ts'

const { signal } = new AbortController()
const chain = 'p.source.s'
const topic = 's.t'
const truncate: LogEntry = { kind: 'truncate', topic }
const field = (name: string) => ({ name, type: { kind: 'int32' }, nullable: false }) as const

/** What all rows that are alive after these have in their second column. */
async function values(entries: readonly LogEntry[]): Promise<number[]> {
  const log = await testLog()
  await using writer = await ChainWriter.open(log, chain, { writer: 'test', signal })
  for (const entry of entries) await writer.commit({ entries: [entry] }, signal)
  const batches = await survivingRows(log, chain, topic, 100, signal)
  return batches.flatMap(({ rows, columns }) =>
    Array.from({ length: rows }, (_, row) => Number(numberAt(columns[1]!, row))),
  )
}

/** The numbers that are alive before `offset`, each commit being one entry; and how many commits were read. */
async function alive(
  offset: number,
  entries: readonly LogEntry[],
): Promise<readonly [numbers: number[], commits: number]> {
  const url = `memory://surviving-${Math.random()}`
  await using writer = await ChainWriter.open(await testLog(url), chain, { writer: 'test', signal })
  for (const entry of entries) await writer.commit({ entries: [entry] }, signal)
  const log = await testLog(url)
  const get = log.store.get.bind(log.store)
  let commits = 0
  log.store.get = async (key, ...rest) => {
    const found = await get(key, ...rest)
    if (key.includes('/c/') && found !== null) commits++
    return found
  }
  const batches = await survivingRows(log, chain, topic, offset, signal)
  return [batches.flatMap(numbersOf).sort((a, b) => a - b), commits]
}

const rows = (...numbers: number[]): LogEntry => ({
  kind: 'rows',
  topic,
  batch: numberRows(numbers),
})

test('equal rows of a topic without key count as often as they came', async () => {
  const [numbers] = await alive(6, [rows(1, 2, 1), rows(2, 1, 3), truncate])
  assert.deepEqual(numbers, [1, 1, 1, 2, 2, 3])
})

test('rows that went, and those before an earlier truncate, are not there', async () => {
  const schema = makeSchema([field('n'), field('more')], [], 'retract')
  const goes = batchOf(schema, [
    { values: { n: 7, more: 0 } },
    { values: { n: 7, more: 0 } },
    { values: { n: 7, more: 0 }, weight: -1 },
    { values: { n: 8, more: 0 } },
    { values: { n: 8, more: 0 }, weight: -1 },
  ])
  const [numbers] = await alive(8, [
    rows(1, 2),
    truncate,
    { kind: 'rows', topic, batch: goes },
    truncate,
  ])
  assert.deepEqual(numbers, [7])
})

test('of two rows that have one key for a moment, the one that goes is the one that is said to go', async () => {
  const keyed = makeSchema([field('id'), field('value')], [0], 'retract')
  const row = (id: number, value: number, weight: 1 | -1) => ({ values: { id, value }, weight })
  // UPDATE t SET id = id + 1, with a key that is checked when the transaction ends.
  const moved = batchOf(keyed, [
    row(1, 10, 1),
    row(2, 20, 1),
    row(1, 10, -1),
    row(2, 10, 1),
    row(2, 20, -1),
    row(3, 20, 1),
  ])
  assert.deepEqual(await values([{ kind: 'rows', topic, batch: moved }]), [10, 20])
})

test('where no row is equal, as after a change of the schema, the oldest of the key goes', async () => {
  const before = makeSchema([field('id'), field('value')], [0], 'retract')
  const after = makeSchema([field('id'), field('value'), field('more')], [0], 'retract')
  const old = batchOf(before, [{ values: { id: 1, value: 10 } }])
  const young = batchOf(after, [
    { values: { id: 1, value: 20, more: 0 } },
    { values: { id: 1, value: 10, more: 0 }, weight: -1 },
  ])
  const entries = [old, young].map((batch): LogEntry => ({ kind: 'rows', topic, batch }))
  assert.deepEqual(await values(entries), [20])
})

test('what came after the truncate is not read', async () => {
  const after = Array.from({ length: 30 }, (_, i) => rows(i))
  const [numbers, commits] = await alive(2, [rows(1, 2), truncate, ...after])
  assert.deepEqual(numbers, [1, 2])
  // Fence, rows, and what the reader asks for ahead.
  assert.ok(commits <= 6, `${commits} commits`)
})
