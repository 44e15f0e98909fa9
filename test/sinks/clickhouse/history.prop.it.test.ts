/**
 * Random change histories, cut into random batches, sent with repetitions, restarts and truncates: the
 * live view is what folding the history gives, and an appended table is the history (invariants 5, 6, 7).
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Sink } from '../../../core/connector/sink.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { clickhouseSuite, never, openSink, send } from './harness.ts'
import { step as stepTo } from '../../support/schema-step.ts'

const suite = clickhouseSuite()
const { test } = suite

const schema = makeSchema(
  [
    { name: 'k', type: { kind: 'int32' }, nullable: false },
    { name: 'v', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)

type Step =
  | { readonly kind: 'set'; readonly k: number; readonly v: string | null }
  | { readonly kind: 'delete'; readonly k: number }
  | { readonly kind: 'move'; readonly from: number; readonly to: number; readonly v: string }
  | { readonly kind: 'truncate' }

const key = fc.integer({ min: 0, max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('set' as const), k: key, v: fc.option(fc.string({ maxLength: 3 })) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), k: key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), from: key, to: key, v: fc.string({ maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'truncate' } as const) },
) // prettier-ignore

type Entry = { readonly row: Row } | { readonly truncate: true }

/** The history as a log has it, and the rows that are left at its end. */
function fold(steps: readonly Step[]) {
  const live = new Map<number, string | null>()
  const entries: Entry[] = []
  const set = (k: number, v: string | null): void => {
    // As sources do: an update is the old image or key, then the new.
    if (live.has(k)) entries.push({ row: { weight: -1, op: 'update', values: { k } } })
    entries.push({ row: { op: live.has(k) ? 'update' : 'insert', values: { k, v } } })
    live.set(k, v)
  }
  for (const step of steps) {
    if (step.kind === 'set') set(step.k, step.v)
    else if (step.kind === 'truncate') {
      entries.push({ truncate: true })
      live.clear()
    } else {
      const k = step.kind === 'move' ? step.from : step.k
      if (live.delete(k)) entries.push({ row: { weight: -1, op: 'delete', values: { k } } })
      if (step.kind === 'move') set(step.to, step.v)
    }
  }
  return { entries, live }
}

interface Piece {
  readonly offset: number
  readonly rows: readonly Row[]
  readonly truncate: boolean
}

/** Cuts at truncates and at the borders drawn. */
function cut(entries: readonly Entry[], sizes: readonly number[]): Piece[] {
  const pieces: Piece[] = []
  let rows: Row[] = []
  let offset = 0
  const flush = (): void => {
    if (rows.length > 0) pieces.push({ offset: offset - rows.length, rows, truncate: false })
    rows = []
  }
  for (const entry of entries) {
    if ('truncate' in entry) {
      flush()
      pieces.push({ offset, rows: [], truncate: true })
    } else rows.push(entry.row)
    offset++
    if (rows.length >= sizes[pieces.length % sizes.length]!) flush()
  }
  flush()
  return pieces
}

async function deliver(sink: Sink, topic: string, { offset, rows, truncate }: Piece) {
  if (truncate) await sink.truncate(topic, { id: `t${offset}`, offset }, never)
  else
    assert.deepEqual(await send(sink, topic, batchOf(schema, rows), { offset }), { rejected: [] })
}

const plan = fc.record({
  steps: fc.array(step, { maxLength: 30 }),
  sizes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 }),
  /** What happens after a piece: on, sent again, or sent again by a new process. */
  after: fc.array(fc.constantFrom('on', 'again', 'restart'), { minLength: 1, maxLength: 6 }),
})

for (const mode of ['upsert', 'append'] as const) {
  let tables = 0
  test(`${mode}: the table is the history`, async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ steps, sizes, after }) => {
        const topic = `${mode}${tables++}`
        const { entries, live } = fold(steps)
        const pieces = cut(entries, sizes)
        let sink = await openSink({ url: suite.server.url, mode })
        try {
          await sink.evolve(topic, stepTo(null, schema), never)
          for (const [i, piece] of pieces.entries()) {
            await deliver(sink, topic, piece)
            const then = after[i % after.length]
            if (then === 'restart') {
              await sink[Symbol.asyncDispose]()
              sink = await openSink({ url: suite.server.url, mode })
            }
            if (then !== 'on') await deliver(sink, topic, piece)
          }
        } finally {
          await sink[Symbol.asyncDispose]()
        }
        if (mode === 'upsert') {
          const found = await suite.server.query(`SELECT k, v FROM ${topic}_live ORDER BY k`)
          const wanted = [...live].map(([k, v]) => ({ k, v })).sort((a, b) => a.k - b.k)
          assert.deepEqual(found, wanted)
        } else {
          const found = await suite.server.query(
            `SELECT toInt32(_sluice_offset) AS o, _sluice_weight AS w FROM ${topic} ORDER BY o`,
          )
          const wanted = entries.map((entry, o) => ({
            o,
            w: 'row' in entry ? (entry.row.weight ?? 1) : 0,
          }))
          assert.deepEqual(found, wanted)
        }
      }),
      { numRuns: 25 },
    )
  })
}
