/** kill −9 at each durable step of a delivery to Postgres and the offline log (invariants 5 and 6). */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openStore } from '../../../../core/store/open.ts'
import { startPostgres, type PostgresServer } from '../../../services/postgres.ts'
import { missingService, tempDir } from '../../../support/env.ts'
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
  let server: PostgresServer
  try {
    server = await startPostgres()
  } catch (error) {
    return missingService(t, 'PostgreSQL', error)
  }
  await using running = server
  for (const place of places) {
    await running.query('DROP TABLE IF EXISTS shop_users')
    using folder = tempDir('feast-crash')
    const env = { ...process.env, SLUICE_FAILPOINTS: place }
    const ended = promisify(execFile)(process.execPath, [child, running.url, folder.path], { env })
    await assert.rejects(
      ended,
      (error) => (error as { signal?: string }).signal === 'SIGKILL',
      place,
    )
    await deliver(running.url, folder.path)
    const wanted = new Map<number, number>()
    for (let offset = 0; offset < crashRows; offset++) {
      const { id, gone } = crashRow(offset)
      if (gone) wanted.delete(id)
      else wanted.set(id, offset)
    }
    const scores = await running.query<{ value_text: string }>(
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
