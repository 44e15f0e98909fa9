/** A renamed feature: its values go on under the new name, whoever writes meanwhile. */
import assert from 'node:assert/strict'
import { startPostgres } from '../../../services/postgres.ts'
import { sharedService } from '../../../support/service.ts'
import { featureRows, openTarget, scores, signal, viewOf, type Change } from './support.ts'

const suite = sharedService('PostgreSQL', () => startPostgres())

suite.test(
  'values move to the new name, but where there is one already (invariant 5)',
  async (server) => {
    const [score] = viewOf().features
    const before = viewOf({ features: [{ ...score!, name: 'points' }] })
    const after = viewOf()
    await using target = openTarget(server.url)
    await using other = openTarget(server.url)
    await target.evolve(before, signal)
    await other.evolve(after, signal)
    const rows = Array.from({ length: 200 }, (_, key): Change => {
      return { key, offset: key, at: 1_767_225_600, score: key * 2 }
    })
    await target.write(featureRows(before, rows), signal)
    const newer = rows.map((row) => ({ ...row, offset: row.offset + 1000, score: row.key * 3 }))
    await other.write(featureRows(after, newer.slice(0, 50)), signal)
    const names = { from: 'points', to: 'score' }
    await Promise.all([
      target.rename(after, names, signal),
      other.write(featureRows(after, newer.slice(50, 100)), signal),
      other.write(featureRows(after, newer.slice(100, 101)), signal),
    ])
    await target.rename(after, names, signal)
    const found = await scores(server)
    assert.equal(found.size, rows.length)
    for (const [key, value] of found)
      assert.equal(value, key <= 100 ? key * 3 : key * 2, `key ${key}`)
    const [left] = await server.query<{ count: string }>(
      `SELECT count(*) FROM shop_users WHERE feature_name = 'points'`,
    )
    assert.equal(Number(left!.count), 0)
  },
)
