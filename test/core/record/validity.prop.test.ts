/** Null bitmaps of builders: what was appended is what is null, wherever the first null comes. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { Int32Builder } from '../../../core/record/builder.ts'
import { isNull } from '../../../core/record/column.ts'

it('a builder keeps exactly the nulls appended to it (invariant 9)', () => {
  const runs = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 300 })), { maxLength: 12 })
  fc.assert(
    fc.property(runs, (runs) => {
      const builder = new Int32Builder()
      for (let again = 0; again < 2; again++) {
        const expected: boolean[] = []
        for (const [isNullRun, length] of runs) {
          for (let i = 0; i < length; i++) {
            expected.push(isNullRun)
            if (isNullRun) builder.appendNull()
            else builder.append(i)
          }
        }
        const column = builder.finish()
        assert.deepEqual(
          expected.map((_, row) => isNull(column, row)),
          expected,
        )
      }
    }),
  )
})
