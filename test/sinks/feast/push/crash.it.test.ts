/**
 * kill −9 at each step of a delivery to `feast serve` and the offline log (invariants 5 and 6): between two
 * requests of one batch too, when the server has a part of it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startFeastServer } from '../../../services/feast-server.ts'
import { killedAt } from '../../../support/child.ts'
import { tempDir } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { assertLogged, deliver, wantedScores, wordsOf, type CrashRun } from '../crash-child.ts'

/** Two requests a batch: what has values, and what is null since its rows are deleted. */
const places = [
  'feast.push.before_request=1',
  'feast.push.before_request=4',
  'feast.push.before_request=5',
  'sink.feast.before_offline=3',
  'feast.offline.before_put=2',
  'feast.offline.after_put=2',
]

test('a delivery killed at any step and begun again is there once', async (t) => {
  await using server = await startOrSkip(t, 'feast serve', () =>
    startFeastServer({ score: 'Int64' }),
  )
  if (server === null) return
  const wanted = wantedScores()
  assert.ok(wanted.includes(null))
  for (const [index, place] of places.entries()) {
    using folder = tempDir('feast-crash')
    const target = { type: 'push', url: server.url }
    const firstUser = index * 1000
    const run: CrashRun = { target, onDelete: 'null', folder: folder.path, firstUser }
    await killedAt(place, wordsOf(run))
    await deliver(run)
    const users = wanted.map((_, user) => String(firstUser + user))
    assert.deepEqual(await server.read(['score'], users), [wanted], place)
    await assertLogged(run, place)
  }
})
