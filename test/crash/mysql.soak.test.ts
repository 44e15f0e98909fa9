/** Kills over a longer time, on MariaDB and MySQL (invariants 1 to 6, 9). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crashRun } from './crash.ts'

for (const source of ['mariadb', 'mysql'] as const) {
  test(`kill -9 on ${source}, thirty times`, async (t) => {
    const seed = Date.now() % 100_000
    const say = (text: string): void => t.diagnostic(text)
    const result = await crashRun({ kills: 30, seed, source, say })
    assert.deepEqual(
      { lost: result.lost, doubled: result.doubled, disordered: result.disordered },
      { lost: 0, doubled: 0, disordered: 0 },
      `npm run crash -- --source ${source} --kills 30 --seed ${seed}`,
    )
  })
}
