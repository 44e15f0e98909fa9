/**
 * As crash.it.test.ts, shorter, with Kafka as the source: transactions and tombstones on interleaved partitions;
 * its broker is killed, too, and its connections are cut.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crashRun } from './crash.ts'

test('kill -9 on Kafka, four times, its broker and its connections (invariants 1 to 6, 9)', async (t) => {
  const seed = Date.now() % 100_000
  const say = (text: string): void => t.diagnostic(text)
  const faults = { serverKills: true, cuts: true }
  const result = await crashRun({ kills: 4, seed, source: 'kafka', ...faults, say })
  assert.ok(result.rows > 1000)
  assert.deepEqual(
    { lost: result.lost, doubled: result.doubled, disordered: result.disordered },
    { lost: 0, doubled: 0, disordered: 0 },
    `npm run crash -- --source kafka --kills 4 --server-kills --cuts --seed ${seed}`,
  )
})
