/**
 * Open transactions against a model: any interleaving of rows, rolled-back parts, aborts and commits,
 * with segments that are written in any order and at any speed, gives each committed transaction its
 * own surviving rows in order. Attacks invariants 3, 5 and 8.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LogEntry, StagedBlock, StagedSegment } from '../../../core/log/types.ts'
import { entryBytes, Transactions, type Stage } from '../../../core/task/transactions.ts'
import { numberRows, numbersOf } from '../../support/number-rows.ts'

type Step =
  | { readonly kind: 'rows'; readonly id: string; readonly part: string; readonly rows: number }
  | { readonly kind: 'abort'; readonly id: string; readonly part: string }
  | { readonly kind: 'commit'; readonly id: string }

const id = fc.constantFrom('x', 'y', 'z')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('rows' as const),
      id,
      part: fc.constantFrom('', 'a', 'b', 'c'),
      rows: fc.integer({ min: 0, max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('abort' as const),
      id,
      part: fc.constantFrom('', 'a', 'b', 'c'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const), id }) },
)

/** Segments as a store would keep them: the rows of each block by the segment's key. */
class Segments {
  readonly rows = new Map<string, readonly number[][]>()

  stage(settle: () => Promise<void>): Stage {
    return async (entries) => {
      const key = `seg/${this.rows.size}`
      this.rows.set(
        key,
        entries.map((entry) => numbers(entry)),
      )
      await settle()
      return segmentOf(key, entries)
    }
  }

  of(entries: readonly LogEntry[]): number[] {
    return entries.flatMap((entry) => {
      if (entry.kind !== 'staged') return numbers(entry)
      const { key, blocks } = entry.segment
      return blocks.flatMap((block) => this.rows.get(key)![block.byteStart]!)
    })
  }
}

function numbers(entry: LogEntry): number[] {
  assert(entry.kind === 'rows')
  return numbersOf(entry.batch)
}

/** A block's place is its number, so that one left out is noticed. */
function segmentOf(key: string, entries: readonly LogEntry[]): StagedSegment {
  const blocks = entries.map((entry, i): StagedBlock => {
    assert(entry.kind === 'rows')
    const { topic, batch } = entry
    const place = { byteStart: i, byteEnd: i + 1, crc32c: 0, timeMinUs: 0, timeMaxUs: 0 }
    return { topic, kind: 'rows', rows: batch.rows, schema: batch.schema, ...place }
  })
  return { key, bytes: entries.length, blocks }
}

/** What each open transaction has: its rows by part, in order, and the parts that were rolled back. */
class Model {
  readonly #rows = new Map<string, { readonly part: string; readonly values: number[] }[]>()

  add(id: string, part: string, values: number[]): void {
    this.#rows.set(id, [...(this.#rows.get(id) ?? []), { part, values }])
  }

  abort(id: string, part: string): void {
    if (part === '') this.#rows.delete(id)
    else this.#rows.set(id, this.#rows.get(id)?.filter((piece) => piece.part !== part) ?? [])
  }

  commit(id: string): number[] {
    const pieces = this.#rows.get(id) ?? []
    this.#rows.delete(id)
    return pieces.flatMap(({ values }) => values)
  }
}

const rowsEntry = (values: readonly number[]): LogEntry => {
  return { kind: 'rows', topic: 't', batch: numberRows(values) }
}
const rowBytes = entryBytes(rowsEntry([1]))

test('interleaved transactions, parts, aborts and spills equal the model (invariants 3, 5, 8)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 40 }),
      fc.scheduler(),
      async (steps, segmentRows, memoryRows, scheduler) => {
        const segments = new Segments()
        const stage = segments.stage(() => scheduler.schedule(Promise.resolve()))
        const memoryBytesMax = memoryRows * rowBytes
        const limits = { segmentBytes: segmentRows * rowBytes, memoryBytesMax }
        const transactions = new Transactions(stage, limits)
        const model = new Model()
        /** Parts cannot come again once they are rolled back. */
        const gone = new Set<string>()
        let next = 0
        const play = async (): Promise<void> => {
          for (const one of steps) {
            if (one.kind === 'rows') {
              if (gone.has(`${one.id}/${one.part}`)) continue
              const values = Array.from({ length: one.rows }, () => next++)
              model.add(one.id, one.part, values)
              await transactions.add(one.id, one.part, [rowsEntry(values)])
              assert(transactions.memoryBytes <= memoryBytesMax, 'memory is bounded')
            } else if (one.kind === 'abort') {
              transactions.abort(one.id, one.part)
              model.abort(one.id, one.part)
              if (one.part !== '') gone.add(`${one.id}/${one.part}`)
            } else {
              const committed = segments.of(await transactions.commit(one.id))
              assert.deepEqual(committed, model.commit(one.id))
            }
            if (one.kind === 'commit' || (one.kind === 'abort' && one.part === '')) {
              for (const part of ['a', 'b', 'c']) gone.delete(`${one.id}/${part}`)
            }
          }
          for (const open of ['x', 'y', 'z']) {
            assert.deepEqual(segments.of(await transactions.commit(open)), model.commit(open))
          }
          await transactions[Symbol.asyncDispose]()
          assert.equal(transactions.memoryBytes, 0)
          assert.equal(transactions.count, 0)
        }
        await scheduler.waitFor(play())
      },
    ),
    { numRuns: 300 },
  )
})

test('rows are written out while more come, and nobody waits for that below the bound', async () => {
  const segments = new Segments()
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  const limits = { segmentBytes: 2 * rowBytes, memoryBytesMax: 100 * rowBytes }
  const transactions = new Transactions(
    segments.stage(() => held),
    limits,
  )
  for (let value = 0; value < 10; value++) await transactions.add('x', '', [rowsEntry([value])])
  assert(segments.rows.size > 1, 'several segments are on their way')
  const committed = transactions.commit('x')
  release()
  assert.deepEqual(segments.of(await committed), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a segment that cannot be written fails its transaction, and no other (invariant 5)', async () => {
  const segments = new Segments()
  const broken = new Error('disk full')
  let fail = true
  const stage = segments.stage(async () => {
    if (fail) throw broken
    await Promise.resolve()
  })
  const limits = { segmentBytes: rowBytes, memoryBytesMax: 100 * rowBytes }
  const transactions = new Transactions(stage, limits)
  await transactions.add('lost', '', [rowsEntry([1])])
  fail = false
  await transactions.add('kept', '', [rowsEntry([2])])
  await assert.rejects(transactions.add('lost', '', [rowsEntry([3])]), broken)
  await assert.rejects(transactions.commit('lost'), broken)
  assert.deepEqual(segments.of(await transactions.commit('kept')), [2])
})

test('a transaction rolled back while its segment is being written is forgotten whole', async () => {
  const segments = new Segments()
  const broken = new Error('disk full')
  const limits = { segmentBytes: rowBytes, memoryBytesMax: 100 * rowBytes }
  const transactions = new Transactions(
    segments.stage(async () => Promise.reject(broken)),
    limits,
  )
  await transactions.add('x', '', [rowsEntry([1])])
  transactions.abort('x', '')
  await transactions[Symbol.asyncDispose]()
  assert.equal(transactions.memoryBytes, 0)
  assert.deepEqual(await transactions.commit('x'), [])
})
