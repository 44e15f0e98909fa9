/** kill −9 at each durable step of a delivery to Postgres and the offline log (invariants 5 and 6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../../../core/store/open.ts'
import { startPostgres } from '../../../services/postgres.ts'
import { killedAt } from '../../../support/child.ts'
import { tempDir } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { storedRows } from '../offline/support.ts'
import { crashRow, crashRows, deliver, offlineOf } from './crash-child.ts'

const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
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
  for (const place of places) {
    await running.query('DROP TABLE IF EXISTS shop_users')
    using folder = tempDir('feast-crash')
    await killedAt(place, [child, running.url, folder.path])
    await deliver(running.url, folder.path)
    const wanted = new Map<number, number>()
    for (let offset = 0; offset < crashRows; offset++) {
      const { id, gone } = crashRow(offset)
      if (gone) wanted.delete(id)
      else wanted.set(id, offset)
    }
    const scores: readonly { value_text: string }[] = await running.query(
      `SELECT value_text FROM shop_users WHERE feature_name = 'score' ORDER BY value_text::int`,
    )
    assert.deepEqual(
      scores.map(({ value_text }) => Number(value_text)),
      [...wanted.values()].sort((a, b) => a - b),
      place,
    )
    const logged = await storedRows(openStore(`file://${offlineOf(folder.path)}`))
    assert.deepEqual(
      logged.map(({ offset }) => offset),
      Array.from({ length: crashRows }, (_, i) => i),
      place,
    )
  }
})
