/**
 * A batch sent again is there once (invariant 6), whatever happened between: a lost answer, kill -9
 * of this process or of the server, a deduplication window that has forgotten it; and a table of
 * another log is found before its rows hide new ones (invariant 5).
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { batchOf } from '../../conformance/rows.ts'
import { killedAt } from '../../support/child.ts'
import { waitFor } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { crashBatch } from './crash-child.ts'
import { clickhouseSuite, never, openSink, send } from './harness.ts'

const suite = clickhouseSuite()
const { test } = suite

const fields = [
  { name: 'n', type: { kind: 'int64' }, nullable: false },
  { name: 'v', type: { kind: 'text' }, nullable: true },
] as const
const append = makeSchema(fields, [], 'append')
const upsert = makeSchema(fields, [0], 'upsert')

function numbered(schema: typeof append, from: number, to: number, v = 'x') {
  return batchOf(
    schema,
    Array.from({ length: to - from }, (_, i) => ({ values: { n: from + i, v } })),
  )
}

async function counts(table: string) {
  const [row] = await suite.server.query(
    `SELECT toInt64(count()) AS c, toInt64(uniqExact(_sluice_offset)) AS u FROM \`${table}\``,
  )
  return [Number(row?.['c']), Number(row?.['u'])]
}

/** The table forgets every token, as after more inserts than its window holds. */
async function forgetTokens(table: string): Promise<void> {
  await suite.server.command(
    `ALTER TABLE \`${table}\` MODIFY SETTING non_replicated_deduplication_window = 0`,
  )
}

test('kill -9 after the insert: the next process sends the batch again, rows are there once', async () => {
  const program = join(import.meta.dirname, 'crash-child.ts')
  await killedAt('sink.clickhouse.after_insert=1', [program, suite.server.url])
  assert.deepEqual(await counts('crash'), [50, 50])
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 'src.crash', crashBatch, { id: 'crash-0' })
  assert.deepEqual(await counts('crash'), [50, 50])
})

test('append: a restart outside the deduplication window doubles nothing', async () => {
  const batch = numbered(append, 0, 100)
  await using first = await openSink({ url: suite.server.url })
  await send(first, 'src.window', batch)
  await forgetTokens('window')
  await using second = await openSink({ url: suite.server.url })
  await send(second, 'src.window', batch)
  assert.deepEqual(await counts('window'), [100, 100])
  await send(second, 'src.window', numbered(append, 100, 150), { offset: 100 })
  assert.deepEqual(await counts('window'), [150, 150])
})

test('append: a lost answer outside the window doubles nothing', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 'src.lost', numbered(append, 0, 10))
  await forgetTokens('lost')
  const next = {
    id: 'b2',
    topic: 'src.lost',
    batch: numbered(append, 10, 60),
    offset: 10,
    attempt: 1,
  }
  await suite.server.inject([{ kind: 'drop-response', match: '^INSERT' }])
  await assert.rejects(
    sink.write(next, never),
    failsWith('sink.clickhouse.unreachable', 'transient'),
  )
  await sink.write({ ...next, attempt: 2 }, never)
  assert.deepEqual(await counts('lost'), [60, 60])
})

test('append: a batch that went in piece by piece is completed, not doubled', async () => {
  await using first = await openSink({ url: suite.server.url })
  await send(first, 'src.pieces', numbered(append, 0, 1))
  await forgetTokens('pieces')
  await suite.server.command('ALTER TABLE pieces ADD CONSTRAINT c CHECK n != 77')
  const rows = { offset: 1, id: 'pieces-1' }
  const batch = numbered(append, 1, 101)
  // The third insert of the bisection and all after it fail: some pieces are in, some are not.
  await suite.server.inject([
    { kind: 'delay', ms: 0, match: '^INSERT', times: 4 },
    { kind: 'refuse', code: 241, match: '^INSERT', times: 1 },
  ])
  await assert.rejects(
    send(first, 'src.pieces', batch, rows),
    failsWith('sink.clickhouse.memory', 'transient'),
  )
  const [some] = await counts('pieces')
  assert.ok(some! > 1 && some! < 100, `${some} rows`)
  await using second = await openSink({ url: suite.server.url })
  const { rejected } = await send(second, 'src.pieces', batch, rows)
  assert.deepEqual(
    rejected.map(({ row }) => row),
    [76],
  )
  assert.deepEqual(await counts('pieces'), [100, 100])
})

test('kill -9 of the server: transient until it is back, then there once', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 'src.server', numbered(append, 0, 10))
  await suite.server.kill()
  const next = {
    id: 'b2',
    topic: 'src.server',
    batch: numbered(append, 10, 20),
    offset: 10,
    attempt: 1,
  }
  await assert.rejects(
    sink.write(next, never),
    failsWith('sink.clickhouse.unreachable', 'transient'),
  )
  await suite.server.restart()
  await sink.write({ ...next, attempt: 2 }, never)
  await sink.write({ ...next, attempt: 3 }, never)
  assert.deepEqual(await counts('server'), [20, 20])
})

test('a server with too many parts names the pause before the next attempt', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await suite.server.inject([
    { kind: 'refuse', code: 252, type: 'TOO_MANY_PARTS', match: '^INSERT' },
  ])
  await assert.rejects(send(sink, 'src.parts', numbered(append, 0, 1)), (error) => {
    assert.ok(error instanceof SluiceError)
    assert.equal(error.code, 'sink.clickhouse.busy')
    assert.ok((error.retryAfterMs ?? 0) > 0)
    return true
  })
})

for (const schema of [append, upsert]) {
  const name = schema === append ? 'append' : 'upsert'
  test(`${name}: a log that began anew is refused, and taken after a TRUNCATE`, async () => {
    const topic = `src.anew_${name}`
    await using old = await openSink({ url: suite.server.url })
    await send(old, topic, numbered(schema, 0, 30))
    // The same offsets and ids, other rows: what a deleted log gives. Times differ, as snapshots' do.
    const rows = Array.from({ length: 40 }, (_, n) => ({
      values: { n, v: 'new' },
      timeUs: 5e15 + n,
    }))
    const batch = batchOf(schema, rows)
    await using anew = await openSink({ url: suite.server.url })
    const refused = failsWith('sink.clickhouse.table_ahead', 'config')
    await assert.rejects(send(anew, topic, batch), refused)
    await using short = await openSink({ url: suite.server.url })
    await assert.rejects(send(short, topic, numbered(schema, 0, 5)), refused)
    await suite.server.command(`TRUNCATE TABLE anew_${name}`)
    await using again = await openSink({ url: suite.server.url })
    await send(again, topic, batch)
    const [row] = await suite.server.query(
      `SELECT toInt32(count()) AS c FROM anew_${name} WHERE v = 'new'`,
    )
    assert.equal(row?.['c'], 40)
  })
}

test('a row’s place is its offset, counted from 1 as a version and from 0 as an offset', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 'src.place_a', numbered(append, 0, 2), { offset: 2 ** 40 })
  await send(sink, 'src.place_u', numbered(upsert, 0, 2), { offset: 2 ** 40 })
  assert.deepEqual(
    await suite.server.query(
      'SELECT n, _sluice_offset AS o, _sluice_weight AS w FROM place_a ORDER BY n',
    ),
    [
      { n: '0', o: String(2 ** 40), w: 1 },
      { n: '1', o: String(2 ** 40 + 1), w: 1 },
    ],
  )
  assert.deepEqual(
    await suite.server.query('SELECT n, _sluice_version AS v FROM place_u ORDER BY n'),
    [
      { n: '0', v: String(2 ** 40 + 1) },
      { n: '1', v: String(2 ** 40 + 2) },
    ],
  )
})

/** Rows of an append topic, each with a time that its number tells: the same row in whatever batch. */
function timed(from: number, to: number) {
  const rows = Array.from({ length: to - from }, (_, i) => ({
    values: { n: from + i, v: 'x' },
    timeUs: 1e15 + from + i,
  }))
  return batchOf(append, rows)
}

test('append: rows that are sent once more are there once, whichever of them were there before', async () => {
  const topic = 'src.again'
  const [a, b, c] = [timed(0, 10), timed(10, 12), timed(12, 20)]
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, topic, a)
  // Rows 10 and 11 were refused: they are not there, and what came after them is.
  await send(sink, topic, c, { offset: 12 })
  await forgetTokens('again')
  const retry = { id: 'retry:0:0', offset: 10, origin: 'retry' } as const
  await send(sink, topic, b, retry)
  assert.deepEqual(await counts('again'), [20, 20])
  await forgetTokens('again')
  await using restarted = await openSink({ url: suite.server.url })
  await send(restarted, topic, b, retry)
  // The first batch of a process may be one of old rows: that newer ones are there is no other log.
  await send(restarted, topic, timed(5, 15), { id: 'r', offset: 5, origin: 'replay' })
  assert.deepEqual(await counts('again'), [20, 20])
  await suite.server.command('ALTER TABLE again DELETE WHERE n IN (3, 11, 17)')
  await waitFor('the deletion', async () => (await counts('again'))[0] === 17)
  await send(restarted, topic, timed(0, 20), { id: 'r2', origin: 'replay' })
  assert.deepEqual(await counts('again'), [20, 20])
  await send(restarted, topic, timed(20, 25), { offset: 20 })
  assert.deepEqual(await counts('again'), [25, 25])
})

test('append: rows of another log are found by a replay too', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 'src.stranger', numbered(append, 0, 10))
  const rows = [{ values: { n: 1, v: 'x' }, timeUs: 5e15 }]
  await assert.rejects(
    send(sink, 'src.stranger', batchOf(append, rows), { id: 's', offset: 4, origin: 'replay' }),
    failsWith('sink.clickhouse.table_ahead', 'config'),
  )
})

test('upsert: an old batch sent again late never wins over a newer one', async () => {
  await using sink = await openSink({ url: suite.server.url })
  const topic = 'src.late'
  await send(sink, topic, batchOf(upsert, [{ values: { n: 1, v: 'old' } }]))
  await forgetTokens('late')
  await send(sink, topic, batchOf(upsert, [{ values: { n: 1, v: 'new' } }]), { offset: 1 })
  await send(sink, topic, batchOf(upsert, [{ values: { n: 1, v: 'old' } }]))
  await send(sink, topic, batchOf(upsert, [{ weight: -1, values: { n: 1 } }]), { offset: 2 })
  await send(sink, topic, batchOf(upsert, [{ values: { n: 1, v: 'new' } }]), { offset: 1 })
  assert.deepEqual(await suite.server.query('SELECT n, v FROM late_live'), [])
  await suite.server.command('OPTIMIZE TABLE late FINAL')
  assert.deepEqual(await suite.server.query('SELECT n, v FROM late_live'), [])
})

test('a batch that the server has no memory for goes in halves from the third attempt on', async () => {
  for (const schema of [append, upsert]) {
    const table = `halves_${schema.changelog}`
    const topic = `src.${table}`
    await using sink = await openSink({ url: suite.server.url })
    await send(sink, topic, numbered(schema, 0, 1))
    const next = { id: 'b2', topic, batch: numbered(schema, 1, 41), offset: 1 }
    const full = {
      kind: 'refuse',
      code: 241,
      type: 'MEMORY_LIMIT_EXCEEDED',
      match: '^INSERT',
    } as const
    for (const attempt of [1, 2]) {
      await suite.server.inject([full])
      await assert.rejects(
        sink.write({ ...next, attempt }, never),
        failsWith('sink.clickhouse.memory', 'transient'),
      )
    }
    // The whole, and its first half.
    await suite.server.inject([{ ...full, times: 2 }])
    assert.deepEqual(await sink.write({ ...next, attempt: 3 }, never), { rejected: [] })
    const [row] = await suite.server.query(
      `SELECT toInt32(count()) AS c, toInt32(uniqExact(n)) AS u FROM ${table}`,
    )
    assert.deepEqual(row, { c: 41, u: 41 })
  }
})

test('an answer that is not the server’s own is none: the rows are sent again', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 'src.lied', numbered(append, 0, 1))
  const next = { id: 'b2', topic: 'src.lied', batch: numbered(append, 1, 9), offset: 1 }
  for (const [i, body] of ['', '<html>Please log in</html>'].entries()) {
    await suite.server.inject([{ kind: 'answer', match: '^INSERT', body }])
    const refused = failsWith('sink.clickhouse.unreachable', 'transient')
    await assert.rejects(sink.write({ ...next, attempt: i + 1 }, never), refused)
  }
  assert.deepEqual(await counts('lied'), [1, 1])
  await sink.write({ ...next, attempt: 3 }, never)
  assert.deepEqual(await counts('lied'), [9, 9])
})
