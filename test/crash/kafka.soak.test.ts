/** Kills over a longer time on Kafka, of Sluice, the broker and the connections, on both stores (invariants 1 to 6, 9). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startS3 } from '../services/s3.ts'
import { crashRun } from './crash.ts'
import { s3Log } from './s3-log.ts'

for (const store of ['directory', 's3'] as const) {
  test(`kill -9 on Kafka and its broker, thirty times, with the log in ${store}`, async (t) => {
    const seed = Date.now() % 100_000
    const say = (text: string): void => t.diagnostic(text)
    await using server = store === 's3' ? await startS3() : null
    const s3 = server === null ? {} : { s3: s3Log(server, seed) }
    const faults = { serverKills: true, cuts: true }
    const result = await crashRun({ kills: 30, seed, source: 'kafka', ...faults, ...s3, say })
    assert.deepEqual(
      { lost: result.lost, doubled: result.doubled, disordered: result.disordered },
      { lost: 0, doubled: 0, disordered: 0 },
      `npm run crash -- --source kafka --kills 30 --server-kills --cuts --store ${store} --seed ${seed}`,
    )
  })
}
