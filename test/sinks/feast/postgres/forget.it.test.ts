/** A feature that somebody agreed to drop: all its values go, and nothing else, whoever writes meanwhile. */
import assert from 'node:assert/strict'
import { rowsAtOnce } from '../../../../sinks/feast/postgres/statements.ts'
import { startPostgres } from '../../../services/postgres.ts'
import { sharedService } from '../../../support/service.ts'
import { featureRows, openTarget, scores, signal, viewOf, type Change } from './support.ts'

const suite = sharedService('PostgreSQL', () => startPostgres())

suite.test('a dropped feature leaves no row, page by page (invariant 5)', async (server) => {
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
  // More than two pages, of entities that only Feast itself has written.
  const more = rowsAtOnce * 2 + 1
  await server.query(
    `INSERT INTO shop_users (entity_key, feature_name, value, event_ts, created_ts)
     SELECT int8send(i), 'points', ''::bytea, now(), now() FROM generate_series(1, ${more}) AS i`,
  )
  const newer = rows.map((row) => ({ ...row, offset: row.offset + 1000, score: row.key * 3 }))
  await Promise.all([
    target.forget(after, ['points', 'never there'], signal),
    other.write(featureRows(after, newer.slice(0, 100)), signal),
    other.write(featureRows(after, newer.slice(100)), signal),
  ])
  await target.forget(after, ['points'], signal)
  const left = await server.query<{ name: string; count: string }>(
    'SELECT feature_name AS name, count(*) FROM shop_users GROUP BY 1 ORDER BY 1',
  )
  assert.deepEqual(
    left.map(({ name, count }) => `${name} ${count}`),
    ['_sluice_state 200', 'score 200'],
  )
  for (const [key, value] of await scores(server)) assert.equal(value, key * 3, `key ${key}`)
})
