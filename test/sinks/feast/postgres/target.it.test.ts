/** The Postgres store against a real server: the newest wins whatever order rows come in. */
import assert from 'node:assert/strict'
import { BytesOut } from '../../../../sinks/feast/bytes-out.ts'
import { startPostgres, type PostgresServer } from '../../../services/postgres.ts'
import { startTcpProxy } from '../../../services/tcp-proxy.ts'
import { quietContext } from '../../../support/context.ts'
import { waitFor } from '../../../support/env.ts'
import { seeded } from '../../../support/random.ts'
import { sharedService } from '../../../support/service.ts'
import { failsWith } from '../../../support/fails-with.ts'
import { featureRows, model, openTarget, scores, signal, viewOf, type Change } from './support.ts'

const suite = sharedService('PostgreSQL', () => startPostgres())

function it(name: string, body: (server: PostgresServer) => Promise<void>): void {
  suite.test(name, async (server) => {
    await server.query('DROP TABLE IF EXISTS shop_users')
    await body(server)
  })
}

/** As the sink gathers a batch: of each entity the newest since its last deletion. */
function gathered(batch: readonly Change[], order: 'time' | 'log'): Change[] {
  const newest = new Map<number, Change>()
  for (const change of batch) {
    const known = newest.get(change.key)
    if (change.score === null) newest.set(change.key, change)
    else if (known === undefined) newest.set(change.key, change)
    else if (known.score === null) newest.set(change.key, { ...change, deletedAt: known.offset })
    else if (order === 'log' || change.at >= known.at) {
      newest.set(change.key, { ...change, deletedAt: known.deletedAt ?? -1 })
    }
  }
  return [...newest.values()]
}

for (const order of ['time', 'log'] as const) {
  it(`a replay in any order beside live rows ends as the model says, by ${order} (invariant 6)`, async (server) => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = seeded(seed)
      await server.query('DROP TABLE IF EXISTS shop_users')
      const changes: Change[] = Array.from({ length: 120 }, (_, offset) => ({
        key: random.int(8),
        offset,
        at: 1_767_225_600 + random.int(20),
        score: random.chance(0.25) ? null : offset,
      }))
      const batches: Change[][] = []
      for (let from = 0; from < changes.length;) {
        const size = 1 + random.int(12)
        batches.push(gathered(changes.slice(from, from + size), order))
        from += size
      }
      // What a replay sends beside the live rows: some of them, in any order.
      const again = batches.filter(() => random.chance(0.6))
      for (let i = again.length - 1; i > 0; i--) {
        const j = random.int(i + 1)
        ;[again[i], again[j]] = [again[j]!, again[i]!]
      }
      const view = viewOf({ order })
      await using live = openTarget(server.url)
      await using replay = openTarget(server.url)
      for (const target of [live, replay]) await target.evolve(view, signal)
      const lane = async (target: typeof live, sent: readonly Change[][]): Promise<void> => {
        for (const batch of sent) await target.write(featureRows(view, batch), signal)
      }
      await Promise.all([lane(live, batches), lane(replay, again)])
      const found = [...(await scores(server))].sort(([a], [b]) => a - b)
      const wanted = [...model(changes, order)].sort(([a], [b]) => a - b)
      assert.deepEqual(found, wanted, `seed ${seed}`)
    }
  })
}

it('deletions that leave nulls, and what is not there stays away', async (server) => {
  const view = viewOf({ onDelete: 'null' })
  await using target = openTarget(server.url)
  await target.evolve(view, signal)
  await target.write(featureRows(view, [{ key: 1, offset: 0, at: 10, score: 5 }]), signal)
  const gone = [1, 2].map((key) => ({ key, offset: key, at: 20, score: null }))
  await target.write(featureRows(view, gone), signal)
  assert.deepEqual([...(await scores(server))], [[1, null]])
})

it('a truncate takes what was before it, also when it comes late', async (server) => {
  const view = viewOf()
  await using target = openTarget(server.url)
  await target.evolve(view, signal)
  const all = [0, 1, 2].map((offset) => ({ key: offset, offset, at: 10, score: offset }))
  await target.write(featureRows(view, all), signal)
  await target.write(featureRows(view, [{ key: 2, offset: 11, at: 5, score: 11 }]), signal)
  for (let i = 0; i < 2; i++) await target.truncate(view, 10, signal)
  await target.write(featureRows(view, [{ key: 7, offset: 9, at: 99, score: 9 }]), signal)
  // By event time the row at offset 2 was newer than the one at 11, until the truncate took it.
  await target.write(featureRows(view, [{ key: 2, offset: 11, at: 5, score: 11 }]), signal)
  assert.deepEqual([...(await scores(server))], [[2, 11]])
})

it('a row takes the place of what Feast has written, unless that is newer', async (server) => {
  const view = viewOf()
  await using target = openTarget(server.url)
  await target.evolve(view, signal)
  for (const key of ['01', '02']) {
    await server.query(
      `INSERT INTO shop_users (entity_key, feature_name, value, value_text, event_ts)
       VALUES (decode('${key}', 'hex'), 'score', '\\x2007', '7', to_timestamp(50))`,
    )
  }
  const rows = [
    { key: 1, offset: 0, at: 49, score: 1 },
    { key: 2, offset: 1, at: 51, score: 2 },
  ]
  await target.write(featureRows(view, rows), signal)
  const found = [...(await scores(server))].sort(([a], [b]) => a - b)
  assert.deepEqual(found, [
    [1, 7],
    [2, 2],
  ])
})

it('expired features go, remembered deletions in their time, newer ones stay', async (server) => {
  const ctx = {
    ...quietContext(),
    clock: { nowMs: () => 100_000_000, sleep: () => new Promise<void>(() => {}) },
  }
  const view = viewOf({ ttlMs: 50_000_000 })
  const target = openTarget(server.url, ctx)
  await target.evolve(view, signal)
  await target.write(
    featureRows(view, [
      { key: 1, offset: 0, at: 49_999, score: 1 },
      { key: 2, offset: 1, at: 50_001, score: 2 },
      { key: 3, offset: 2, at: 10, score: null },
    ]),
    signal,
  )
  assert.equal(await target.sweep(signal), 2)
  assert.deepEqual([...(await scores(server))], [[2, 2]])
  const rest = await server.query(`SELECT 1 FROM shop_users WHERE entity_key = '\\x03'`)
  assert.equal(rest.length, 1, 'the deletion is remembered from when it was written')
})

it('many rows go in parts, and a batch is there whole', async (server) => {
  const view = viewOf()
  await using target = openTarget(server.url)
  await target.evolve(view, signal)
  const changes = Array.from({ length: 256 }, (_, key) => ({ key, offset: key, at: 1, score: key }))
  await target.write(featureRows(view, changes), signal)
  assert.equal((await scores(server)).size, 256)
})

it('a foreign table is refused with the cure, one that goes is a question, a lost right too', async (server) => {
  const view = viewOf()
  await server.query('CREATE TABLE shop_users (id int)')
  await using target = openTarget(server.url)
  await assert.rejects(
    target.evolve(view, signal),
    failsWith('sink.feast.postgres_table', 'config'),
  )
  await server.query('DROP TABLE shop_users')
  await target.evolve(view, signal)
  const rows = featureRows(view, [{ key: 1, offset: 0, at: 1, score: 1 }])
  await server.query('ALTER TABLE shop_users RENAME TO elsewhere')
  await assert.rejects(target.write(rows, signal), failsWith('sink.feast.postgres_table', 'config'))
  await server.query('ALTER TABLE elsewhere RENAME TO shop_users')
  await target.write(rows, signal)
  await server.query(`DROP ROLE IF EXISTS poor`)
  await server.query(`CREATE ROLE poor LOGIN PASSWORD 'poor'`)
  const poorUrl = new URL(server.url)
  poorUrl.username = 'poor'
  poorUrl.password = 'poor'
  await using poor = openTarget(poorUrl.href)
  await poor.evolve(view, signal)
  await assert.rejects(poor.write(rows, signal), failsWith('sink.feast.postgres_access', 'config'))
  poorUrl.password = 'wrong'
  await using wrong = openTarget(poorUrl.href)
  const problems = await wrong.check(signal)
  assert.deepEqual(
    problems.map(({ code, severity }) => [code, severity]),
    [['sink.feast.postgres_access', 'error']],
  )
  assert.ok(!JSON.stringify(problems).includes('wrong@'))
  await server.query('DROP OWNED BY poor; DROP ROLE poor')
})

it('a server that takes no writes is told of before, and waited for', async (server) => {
  const view = viewOf()
  await using target = openTarget(server.url)
  await target.evolve(view, signal)
  const url = new URL(server.url)
  url.searchParams.set('options', '-c default_transaction_read_only=on')
  await using standby = openTarget(url.href)
  const problems = await standby.check(signal)
  assert.deepEqual(
    problems.map(({ code, severity }) => [code, severity]),
    [['sink.feast.postgres_read_only', 'warning']],
  )
  assert.deepEqual(await target.check(signal), [])
  await standby.evolve(view, signal)
  const rows = featureRows(view, [{ key: 1, offset: 0, at: 1, score: 1 }])
  await assert.rejects(
    standby.write(rows, signal),
    failsWith('sink.feast.postgres_read_only', 'transient'),
  )
})

it('an entity too long for the index is a refused row, a text too long to search by is there (invariant 5)', async (server) => {
  const { project, ...view } = viewOf()
  const word = { kind: 'scalar', name: 'string' } as const
  const texts = viewOf({
    ...view,
    project,
    features: [{ name: 'score', index: 1, logical: { kind: 'text' }, type: word }],
  })
  const random = seeded(1)
  const noise = (bytes: number) => Buffer.from(Array.from({ length: bytes }, () => random.int(256)))
  const words = Array.from({ length: 200_000 }, (_, i) => i.toString(36)).join(' ')
  const values = ['a', 'b', words].map((text) => {
    const bytes = Buffer.from(text)
    const out = new BytesOut(bytes.length + 10)
    out.bytes[out.end++] = 0x12
    out.varint(bytes.length)
    out.copy(bytes, 0, bytes.length)
    return out.bytes.slice(0, out.end)
  })
  const keys = [noise(20), noise(3000), noise(20)]
  const offsetsOf = (parts: readonly Uint8Array[]) =>
    Int32Array.from([0, ...parts.map((_, i) => Buffer.concat(parts.slice(0, i + 1)).length)])
  const changes = keys.map((_, i) => ({ key: i, offset: i, at: 1, score: 0 }))
  const rows = {
    ...featureRows(texts, changes),
    keys: Buffer.concat(keys),
    keyOffsets: offsetsOf(keys),
    values: [{ data: Buffer.concat(values), offsets: offsetsOf(values) }],
  }
  await using target = openTarget(server.url)
  await target.evolve(texts, signal)
  const refused = await target.write(rows, signal)
  assert.deepEqual(
    refused.map(({ row, code }) => [row, code]),
    [[1, 'sink.feast.entity']],
  )
  const there = await server.query<{ value: Buffer; found: boolean }>(
    `SELECT value, value_text IS NOT NULL AS found FROM shop_users WHERE feature_name = 'score' ORDER BY length(value)`,
  )
  assert.deepEqual(
    there.map(({ value, found }) => [value.length, found]),
    [
      [values[0]!.length, true],
      [values[2]!.length, false],
    ],
  )
})

it('a view of more features than a statement takes is refused with the cure', async (server) => {
  const [feature] = viewOf().features
  const wide = (count: number) =>
    viewOf({ features: Array.from({ length: count }, (_, i) => ({ ...feature!, name: `f${i}` })) })
  const one = featureRows(viewOf(), [{ key: 1, offset: 0, at: 1, score: 1 }])
  const rowsOf = (count: number) => {
    return {
      ...one,
      view: wide(count),
      values: Array.from({ length: count }, () => one.values[0]!),
    }
  }
  await using target = openTarget(server.url)
  await target.evolve(wide(830), signal)
  assert.deepEqual(await target.write(rowsOf(830), signal), [])
  await assert.rejects(target.evolve(wide(831), signal), failsWith('sink.feast.view', /830.*views/))
})

it('a server that restarts, a cut and a silent peer are waited for, and nothing is lost', async (server) => {
  await using proxy = await startTcpProxy(server.port)
  const url = new URL(server.url)
  url.port = String(proxy.port)
  const view = viewOf()
  await using target = openTarget(url.href)
  await target.evolve(view, signal)
  const rows = featureRows(view, [{ key: 1, offset: 0, at: 1, score: 1 }])
  proxy.cut()
  // The pool may notice before or after it is asked; both are the same fault.
  await target.write(rows, signal).catch((error: unknown) => {
    assert.ok(failsWith('sink.feast.postgres_connection', 'transient')(error), String(error))
  })
  await target.write(rows, signal)
  proxy.stall()
  const abort = new AbortController()
  const stuck = target.write(
    featureRows(view, [{ key: 2, offset: 1, at: 1, score: 2 }]),
    abort.signal,
  )
  setTimeout(() => abort.abort(new Error('stopping')), 50)
  await assert.rejects(stuck, /stopping/)
  proxy.resume()
  await using hasty = openTarget(url.href, quietContext(), { timeout: 300 })
  await waitFor('its connection', () => hasty.evolve(view, signal).then(() => true))
  proxy.stall()
  await assert.rejects(
    hasty.write(rows, signal),
    failsWith('sink.feast.postgres_connection', 'transient'),
  )
  proxy.resume()
  await server.kill()
  await assert.rejects(
    target.write(rows, signal),
    failsWith('sink.feast.postgres_connection', 'transient'),
  )
  await server.restart()
  await target.write(featureRows(view, [{ key: 3, offset: 2, at: 1, score: 3 }]), signal)
  const found = await scores(server)
  assert.equal(found.get(1), 1)
  assert.equal(found.get(3), 3)
})
