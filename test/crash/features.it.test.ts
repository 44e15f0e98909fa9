/**
 * kill -9 at each durable step of what fills a feature store, beside rows, deletions, a truncate and the
 * merging of the offline log's files: the store ends as the log folded, and the offline log has each row
 * once (invariants 2, 5, 6).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStore } from '../../core/store/open.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'
import { rowsOf } from '../sinks/redis/harness.ts'
import { storedRows } from '../sinks/feast/offline/support.ts'
import { tempDir } from '../support/env.ts'
import { startOrSkip } from '../support/service.ts'
import {
  deliverAll,
  deliverAndDie,
  differences,
  endOffset,
  foldedScores,
  onlineScores,
  truncateOffset,
  writeLog,
  type Kind,
  type Place,
} from './features.ts'

const loop = [
  'deliver.after_plan=3',
  'deliver.before_send=3',
  'deliver.after_send=2',
  'log.commit.before_create=4',
  'log.commit.after_create=4',
]
const offline = [
  'sink.feast.before_offline=2',
  'feast.offline.before_put=3',
  'feast.offline.after_put=3',
  'feast.offline.truncated=1',
  'feast.offline.merged=1',
  'feast.offline.removed=1',
]
const failpoints: Readonly<Record<Kind, readonly string[]>> = {
  'feast redis': [...loop, ...offline, 'sink.feast.redis.after_write=2', 'sink.feast.truncate=1'],
  // What it has in common with Redis stands there.
  'feast postgres': [
    'deliver.after_send=2',
    'sink.feast.before_offline=2',
    'feast.offline.truncated=1',
    'feast.postgres.before_set=2',
    'feast.postgres.after_set=2',
    'feast.postgres.after_delete=2',
  ],
  redis: [...loop, 'sink.redis.before_write=3', 'sink.redis.after_write=3'],
}

async function killedAt(place: Place, failpoint: string): Promise<void> {
  await writeLog(place.folder)
  await deliverAndDie(place, failpoint)
  await deliverAll(place, async () => place.kind === 'redis' || isOnce(await offsetsOf(place)))
}

/** Of all rows of the offline log, ascending. */
async function offsetsOf({ folder }: Place): Promise<number[]> {
  const rows = await storedRows(openStore(`file://${folder}/offline`))
  // Of a truncate there is a row an entity.
  return rows.filter(({ offset }) => offset !== truncateOffset).map(({ offset }) => offset)
}

function isOnce(offsets: readonly number[]): boolean {
  return new Set(offsets).size === offsets.length
}

async function feastKilledAt(place: Place, failpoint: string): Promise<void> {
  await killedAt(place, failpoint)
  assert.deepEqual(sorted(await onlineScores(place)), sorted(foldedScores()), failpoint)
  const all = Array.from({ length: endOffset }, (_, offset) => offset)
  const wanted = all.filter((offset) => offset !== truncateOffset)
  assert.deepEqual([...new Set(await offsetsOf(place))], wanted, `${failpoint}: no row is missing`)
  assert.equal(await differences(place), 0, failpoint)
}

function sorted(scores: ReadonlyMap<number, number>): [number, number][] {
  return [...scores].sort(([a], [b]) => a - b)
}

test('feast on Redis', async (t) => {
  await using server = await startOrSkip(t, 'Redis', () => startRedis())
  if (server === null) return
  for (const failpoint of failpoints['feast redis']) {
    await server.cli('flushall')
    using folder = tempDir('feature-crash')
    const place: Place = { kind: 'feast redis', url: server.url, folder: folder.path }
    await feastKilledAt(place, failpoint)
  }
})

test('feast on Postgres', async (t) => {
  await using server = await startOrSkip(t, 'PostgreSQL', () => startPostgres())
  if (server === null) return
  for (const failpoint of failpoints['feast postgres']) {
    await server.query('DROP TABLE IF EXISTS shop_users')
    using folder = tempDir('feature-crash')
    const place: Place = { kind: 'feast postgres', url: server.url, folder: folder.path }
    await feastKilledAt(place, failpoint)
  }
})

test('plain Redis', async (t) => {
  await using server = await startOrSkip(t, 'Redis', () => startRedis())
  if (server === null) return
  for (const failpoint of failpoints.redis) {
    await server.cli('flushall')
    using folder = tempDir('feature-crash')
    await killedAt({ kind: 'redis', url: server.url, folder: folder.path }, failpoint)
    const rows = await rowsOf(server, 's.users:')
    const scores = new Map(
      [...rows.values()].map((row) => [Number(row['user_id']), Number(row['score'])]),
    )
    assert.deepEqual(sorted(scores), sorted(foldedScores()), failpoint)
  }
})
