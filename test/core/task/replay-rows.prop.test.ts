/**
 * The rows of a replay: what is selected and nothing else, in order, each at its own offset, however the
 * log cut them and wherever a restart falls; a planned step is read again as it was (invariant 6).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { makeSchema } from '../../../core/record/schema.ts'
import { rowKey } from '../../../core/record/key.ts'
import { everyRow, matchingRows, rowsOfKeys } from '../../../core/task/again-selection.ts'
import type { Step } from '../../../core/task/again-rows.ts'
import { combinedHash } from '../../../core/task/delivery-hash.ts'
import { ReplayRows } from '../../../core/task/replay-rows.ts'
import { RowFilter } from '../../../core/task/row-filter.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { numbersOf } from '../../support/number-rows.ts'
import { sourceChain, writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'

const { signal } = new AbortController()
const field = (name: string) => ({ name, type: { kind: 'int32' }, nullable: false }) as const
const schema = makeSchema([field('n'), field('key')], [1], 'retract')
const topic = { name: 's.t', chain: sourceChain }

/** Old and new halves of updates, two rows each, and inserts; the number of a row is its offset. */
const history = fc.array(
  fc.array(fc.record({ key: fc.nat(3), update: fc.boolean() }), { minLength: 1, maxLength: 6 }),
  { minLength: 1, maxLength: 6 },
)

test('every selected row once, in order, over any steps and restarts', async () => {
  const filter = await RowFilter.parse('n % 3 = 0')
  await fc.assert(
    fc.asyncProperty(
      history,
      fc.nat(40),
      fc.nat(40),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom('all', 'where', 'keys'),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
      async (commits, first, length, rowsMax, kind, restarts) => {
        const log = await testLog()
        const all: { offset: number; key: number; old: boolean; update: boolean }[] = []
        for (const commit of commits) {
          const rows = commit.flatMap(({ key, update }): Row[] => {
            const halves = update ? [-1, 1] : [1]
            return halves.map((weight) => {
              const offset = all.length
              all.push({ offset, key, old: weight < 0, update })
              return { weight, op: update ? 'update' : 'insert', values: { n: offset, key } }
            })
          })
          await writeTopics(log, { kind: 'rows', topic: topic.name, batch: batchOf(schema, rows) })
        }
        const from = Math.min(first, all.length)
        const end = Math.min(all.length, from + length)
        const letters = [[0, from] as const]
        const open = (): ReplayRows => {
          const select =
            kind === 'all'
              ? everyRow
              : kind === 'where'
                ? matchingRows(filter)
                : rowsOfKeys(letters)
          return new ReplayRows(log, topic, { from, end }, select, { rowsMax, bytesMax: 1 << 20 })
        }
        const key = all[from]?.key
        const expected = all
          .filter(({ offset, update, old, ...row }) => {
            if (offset < from || offset >= end) return false
            if (kind === 'all') return true
            if (kind === 'keys') return row.key === key
            // Of an update both halves, when one of them matches.
            const other = update ? offset + (old ? 1 : -1) : offset
            return offset % 3 === 0 || other % 3 === 0
          })
          .map(({ offset }) => offset)
        const seen: number[] = []
        let rows = open()
        for (let place = rows.start, turn = 0; ; turn++) {
          const step = await rows.read(place, null, signal)
          if (step === null) break
          if (kind !== 'keys')
            assert.deepEqual(digest(await open().read(place, step.to, signal)), digest(step))
          assert.ok(step.to > place)
          for (const { from: at, batch } of step.runs) {
            assert.deepEqual(
              numbersOf(batch),
              Array.from({ length: batch.rows }, (_, i) => at + i),
            )
            seen.push(...numbersOf(batch))
            assert.ok(batch.rows <= rowsMax)
            assert.ok(rowKey(batch, 0) !== '')
          }
          place = step.to
          // Keys are learnt from the beginning on, which Redelivery sees to after a restart.
          if (kind !== 'keys' && restarts[turn % restarts.length]!) rows = open()
        }
        assert.deepEqual(seen, expected)
      },
    ),
    { numRuns: 60 },
  )
})

function digest(step: Step | null): unknown {
  return (
    step && [
      step.to,
      step.runs.map(({ from }) => from),
      combinedHash(step.runs.map(({ batch }) => batch)),
    ]
  )
}

test('a condition knows the columns, and says where it does not', async () => {
  const filter = await RowFilter.parse('n > 2 -- a comment takes nothing away')
  const rows = batchOf(
    schema,
    [1, 2, 3, 4].map((n) => ({ values: { n, key: 0 } })),
  )
  assert.deepEqual([...filter.matching(rows).rows], [2, 3])
  assert.deepEqual([...filter.matching(rows).rows], [2, 3], 'nothing of the batch before is left')
  const failing = await RowFilter.parse('10 / (n - 2) > 0')
  const found = failing.matching(rows)
  assert.deepEqual([[...found.rows], [...found.failed]], [[2, 3], [1]])
  await assert.rejects(RowFilter.parse('n >'), { code: 'sql.syntax' })
  const union = 'true) UNION ALL SELECT 1 FROM rows WHERE (true'
  await assert.rejects(RowFilter.parse(union), { code: 'sql.syntax' })
  const unknown = await RowFilter.parse('colour = 1')
  assert.throws(() => unknown.check(schema), { code: 'sql.unknown_column' })
})
