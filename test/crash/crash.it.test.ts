/** Twenty kills at random times and failpoints; the judge finds nothing lost, doubled or out of order (invariants 1 to 6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crashRun } from './crash.ts'

test('kill -9, twenty times', async (t) => {
  const seed = Date.now() % 100_000
  const result = await crashRun({ kills: 20, seed, say: (text) => t.diagnostic(text) })
  assert.ok(result.rows > 1000)
  assert.deepEqual(
    { lost: result.lost, doubled: result.doubled, disordered: result.disordered },
    { lost: 0, doubled: 0, disordered: 0 },
    `npm run crash -- --kills 20 --seed ${seed}`,
  )
})
