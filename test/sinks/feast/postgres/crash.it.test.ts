/** kill −9 at each durable step of a delivery to Postgres and the offline log (invariants 5 and 6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startPostgres } from '../../../services/postgres.ts'
import { killedAt } from '../../../support/child.ts'
import { tempDir } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { assertLogged, deliver, wantedScores, wordsOf, type CrashRun } from '../crash-child.ts'

const places = [
  'feast.postgres.before_set=2',
  'feast.postgres.after_set=2',
  'feast.postgres.after_delete=2',
  'sink.feast.before_offline=3',
  'feast.offline.before_put=2',
  'feast.offline.after_put=2',
]

test('a delivery killed at any step and begun again is there once', async (t) => {
  await using running = await startOrSkip(t, 'PostgreSQL', () => startPostgres())
  if (running === null) return
  const wanted = wantedScores().filter((score) => score !== null)
  for (const place of places) {
    await running.query('DROP TABLE IF EXISTS shop_users')
    using folder = tempDir('feast-crash')
    const target = { type: 'postgres', url: running.url }
    const run: CrashRun = { target, onDelete: 'remove', folder: folder.path, firstUser: 0 }
    await killedAt(place, wordsOf(run))
    await deliver(run)
    const scores: readonly { value_text: string }[] = await running.query(
      `SELECT value_text FROM shop_users WHERE feature_name = 'score' ORDER BY value_text::int`,
    )
    assert.deepEqual(
      scores.map(({ value_text }) => Number(value_text)),
      wanted.toSorted((a, b) => a - b),
      place,
    )
    await assertLogged(run, place)
  }
})
