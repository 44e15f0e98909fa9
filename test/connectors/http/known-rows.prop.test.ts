/**
 * Rows that are remembered up to a number: those not seen for longest are forgotten, in whatever order rows
 * come, and never a row that was seen since (invariant 8; a row that is forgotten is written again).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KnownRows } from '../../../connectors/http/known-rows.ts'
import { makeBatch, type Batch } from '../../../core/record/batch.ts'
import { builderFor } from '../../../core/record/builder.ts'
import { makeSchema } from '../../../core/record/schema.ts'

const keysMax = 5
const schema = makeSchema(
  ['id', 'n'].map((name) => ({ name, type: { kind: 'int32' }, nullable: false })),
  [0],
  'upsert',
)

function batchOf(rows: readonly (readonly [number, number])[]): Batch {
  const columns = [0, 1].map((at) => {
    const builder = builderFor({ kind: 'int32' }) as { append(value: number): void }
    for (const row of rows) builder.append(row[at]!)
    return (builder as ReturnType<typeof builderFor>).finish()
  })
  const { length } = rows
  const weights = new Int32Array(length).fill(1)
  return makeBatch(schema, columns, weights, new Uint8Array(length), new Float64Array(length))
}

const row = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 1 }))

test('the rows not seen for longest are forgotten first', () => {
  let forgotten = 0
  fc.assert(
    fc.property(fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 20 }), (runs) => {
      const known = new KnownRows({
        name: 'poll.t',
        schema,
        beside: new Set(),
        since: null,
        keysMax,
        mayForget: true,
      })
      const model = new Map<number, number>()
      for (const rows of runs) {
        known.begin()
        const expected: number[] = []
        for (const [at, [id, n]] of rows.entries()) {
          const before = model.get(id)
          if (before !== n) expected.push(at)
          if (before === undefined && model.size === keysMax) {
            model.delete([...model.keys()][0]!)
            forgotten++
          }
          model.delete(id)
          model.set(id, n)
        }
        assert.deepEqual([...known.admit(batchOf(rows), 0)], expected)
      }
    }),
    { numRuns: 500 },
  )
  assert.ok(forgotten > 100, `${forgotten} rows were forgotten`)
})
