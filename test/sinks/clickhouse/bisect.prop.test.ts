/** Bisection against a target in memory: refused rows stand alone, all others go in once (invariants 5, 6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SluiceError } from '../../../core/errors/error.ts'
import { insertInPieces } from '../../../sinks/clickhouse/bisect.ts'
import { failsWith } from '../../support/fails-with.ts'

const refusal = new SluiceError('sink.clickhouse.row_refused', { message: 'no' })
const outage = new SluiceError('sink.clickhouse.unreachable', { message: 'gone' })

/** A table that takes or refuses a piece as a whole, and fails at the insert named. */
class Target {
  readonly rows: number[] = []
  readonly #poison: ReadonlySet<number>
  constructor(poison: readonly number[]) {
    this.#poison = new Set(poison)
  }
  async attempt(rows: number, failAt: number) {
    let inserts = 0
    return insertInPieces({
      rows,
      tooLarge: () => false,
      present: (from, to) => {
        const count = this.rows.filter((row) => row >= from && row < to).length
        return count === 0 ? 'none' : count === to - from ? 'all' : 'some'
      },
      insert: (from, to) => {
        if (++inserts === failAt) return Promise.reject(outage)
        for (let row = from; row < to; row++) {
          if (this.#poison.has(row)) return Promise.reject(refusal)
        }
        for (let row = from; row < to; row++) this.rows.push(row)
        return Promise.resolve()
      },
    })
  }
}

test('every row ends in the table once or refused once, through any number of outages', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 200 }),
      fc.uniqueArray(fc.nat(199), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }),
      async (rows, poison, outages) => {
        const target = new Target(poison)
        const wanted = poison.filter((row) => row < rows).sort((a, b) => a - b)
        for (const failAt of outages) {
          await target.attempt(rows, failAt).catch((error: unknown) => assert.equal(error, outage))
        }
        const poisoned = await target.attempt(rows, 0)
        assert.deepEqual(
          poisoned.map(({ row }) => row),
          wanted,
        )
        const all = Array.from({ length: rows }, (_, row) => row)
        assert.deepEqual(
          target.rows.toSorted((a, b) => a - b),
          all.filter((row) => !wanted.includes(row)),
        )
      },
    ),
  )
})

test('a table that refuses everything stops the topic instead of trying for ever (invariant 8)', async () => {
  let inserts = 0
  await assert.rejects(
    insertInPieces({
      rows: 50_000,
      present: () => 'none',
      tooLarge: () => false,
      insert: () => {
        inserts++
        return Promise.reject(refusal)
      },
    }),
    failsWith('sink.clickhouse.too_many_refused'),
  )
  assert.ok(inserts < 5000)
})
