/**
 * The webhook sink against a real receiver that judges its signatures: what is sent, how often, and
 * what becomes of an event that is not taken. Attacks invariant 5 (nothing vanishes) and 8 (bounded).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SluiceError } from '../../../core/errors/error.ts'
import { startReceiver, type Answer, type Received } from '../../services/webhook-receiver.ts'
import {
  batchOf,
  forever,
  jumpClock,
  openSink,
  secret,
  sinkBatch,
  testContext,
  type Change,
} from './support.ts'

function inserts(count: number): Change[] {
  return Array.from({ length: count }, (_, i) => ['+', 'insert', i, `name ${i}`] as const)
}

function offsets(received: readonly Received[]): number[] {
  return received.map(({ event }) => event.offset)
}

test('what an endpoint gets: body, headers, id', async () => {
  await using receiver = await startReceiver({ secret })
  const headers = { Authorization: 'Bearer t0ken' }
  await using sink = await openSink(`${receiver.url}?a=1`, { headers })
  const changes: readonly Change[] = [
    ['+', 'insert', 1, 'ä"'],
    ['-', 'delete', 2, null],
  ]
  assert.deepEqual(await sink.write(sinkBatch(batchOf(changes)), forever), { rejected: [] })
  assert.equal(receiver.unverified, 0)
  const [insert, removal] = receiver.taken.toSorted((a, b) => a.event.offset - b.event.offset)
  assert.equal(
    insert?.text,
    '{"type":"shop.public.orders.insert","timestamp":"2026-01-01T00:00:00.123456Z",' +
      '"data":{"id":1,"name":"ä\\""},"topic":"shop.public.orders","op":"insert","offset":100,"key":{"id":1}}',
  )
  assert.equal(
    removal?.text,
    '{"type":"shop.public.orders.delete","timestamp":"2026-01-01T00:00:00.123456Z",' +
      '"data":{"id":2},"topic":"shop.public.orders","op":"delete","offset":101,"key":{"id":2}}',
  )
  assert.equal(insert.method, 'POST')
  assert.equal(insert.path, '/hooks?a=1')
  assert.equal(insert.headers['content-type'], 'application/json')
  assert.equal(insert.headers['authorization'], 'Bearer t0ken')
  assert.equal(insert.headers['user-agent'], 'Sluice')
  assert.match(insert.id, /^shop_shop-public-orders-[0-9a-f]{12}_100_[0-9a-z]+$/)
})

test('an update of a retract topic carries the old row; a delete all of it', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(receiver.url)
  const batch = batchOf(
    [
      ['-', 'update', 1, 'old'],
      ['+', 'update', 1, 'new'],
      ['-', 'delete', 1, 'new'],
    ],
    { changelog: 'retract' },
  )
  await sink.write(sinkBatch(batch), forever)
  assert.deepEqual(
    receiver.taken.map(({ event: { op, data, previous, offset } }) => ({
      op,
      data,
      previous,
      offset,
    })),
    [
      { op: 'update', data: { id: 1, name: 'new' }, previous: { id: 1, name: 'old' }, offset: 101 },
      { op: 'delete', data: { id: 1, name: 'new' }, previous: undefined, offset: 102 },
    ],
  )
})

test('retries: full jitter, the same id and body, a new timestamp and signature each time', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ attempt }) => ({ status: attempt < 4 ? 500 : 204 }),
  })
  const clock = jumpClock()
  await using sink = await openSink(
    receiver.url,
    {},
    testContext(clock, () => 0.999),
  )
  await sink.write(sinkBatch(batchOf(inserts(1))), forever)
  assert.deepEqual(clock.sleeps, [499, 999, 1998])
  assert.equal(new Set(receiver.requests.map(({ id }) => id)).size, 1)
  assert.equal(new Set(receiver.requests.map(({ text }) => text)).size, 1)
  const times = receiver.requests.map(({ headers }) => Number(headers['webhook-timestamp']))
  assert.equal(receiver.requests.length, 4)
  assert.ok(times[3]! >= times[0]! + 3, String(times))
})

for (const [name, retryAfter] of [
  ['seconds', () => '7'],
  ['a date', (nowMs: number) => new Date(nowMs + 7000).toUTCString()],
] as const) {
  test(`Retry-After in ${name} is honoured by every event`, async () => {
    const clock = jumpClock()
    await using receiver = await startReceiver({
      secret,
      behaviour: ({ attempt, event }) =>
        attempt === 1 && event.offset === 100
          ? { status: 429, headers: { 'retry-after': retryAfter(clock.nowMs()) } }
          : undefined,
    })
    const startMs = clock.nowMs()
    await using sink = await openSink(
      receiver.url,
      { max_in_flight: 1 },
      testContext(clock, () => 0),
    )
    await sink.write(sinkBatch(batchOf(inserts(3))), forever)
    assert.equal(receiver.taken.length, 3)
    // A date has whole seconds, so that up to one of the seven is lost.
    assert.ok(clock.nowMs() - startMs >= 6000 && clock.nowMs() - startMs <= 7500)
    const after = receiver.requests
      .slice(1)
      .map(({ headers }) => Number(headers['webhook-timestamp']))
    for (const timeS of after) assert.ok(timeS * 1000 >= startMs + 5000)
  })
}

test('a longer Retry-After is handed to the caller, with the time it needs', async () => {
  let status = 503
  await using receiver = await startReceiver({
    secret,
    behaviour: () => ({ status, headers: { 'retry-after': '120' } }),
  })
  const clock = jumpClock()
  await using sink = await openSink(receiver.url, {}, testContext(clock))
  const batch = sinkBatch(batchOf(inserts(1)))
  await assert.rejects(sink.write(batch, forever), (error: SluiceError) => {
    assert.equal(error.code, 'sink.webhook.throttled')
    assert.equal(error.fault, 'transient')
    assert.ok(error.retryAfterMs !== null && error.retryAfterMs > 110_000)
    return true
  })
  assert.equal(receiver.requests.length, 1)
  clock.pass(120_000)
  status = 200
  assert.deepEqual(await sink.write({ ...batch, attempt: 2 }, forever), { rejected: [] })
})

test('exhausted: set aside with its attempts, later rows of the key go on (invariant 5)', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ event }) => ({ status: event.offset === 101 ? 500 : 200 }),
  })
  await using sink = await openSink(receiver.url, { retry: { attempts: 3 } })
  const batch = batchOf(
    [
      ['-', 'update', 1, 'a'],
      ['+', 'update', 1, 'b'],
      ['+', 'update', 1, 'c'],
    ],
    { changelog: 'retract' },
  )
  const { rejected } = await sink.write(sinkBatch(batch), forever)
  assert.deepEqual(
    rejected.map(({ row, code, attempts }) => ({ row, code, attempts })),
    [
      { row: 0, code: 'sink.webhook.exhausted', attempts: 3 },
      { row: 1, code: 'sink.webhook.exhausted', attempts: 3 },
    ],
  )
  assert.match(rejected[0]!.message, /^127\.0\.0\.1 answered 500, the last of 3 attempts$/)
  assert.deepEqual(offsets(receiver.requests), [101, 101, 101, 102])
})

test('rejected: set aside after one attempt; the statuses are configurable', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ event, attempt }) =>
      attempt > 1 ? undefined : { status: event.offset === 100 ? 422 : 404 },
  })
  await using sink = await openSink(receiver.url)
  const { rejected } = await sink.write(sinkBatch(batchOf(inserts(2))), forever)
  assert.deepEqual(
    rejected.map(({ row, code, attempts }) => [row, code, attempts]),
    [[0, 'sink.webhook.rejected', 1]],
  )
  assert.equal(receiver.taken.length, 1)
  await using strict = await openSink(receiver.url, { reject: [404] })
  const other = sinkBatch(batchOf(inserts(1)), { offset: 500 })
  assert.equal((await strict.write(other, forever)).rejected.length, 1)
})

test('410 stops the topic; what was answered before is not sent again', async () => {
  let gone = true
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ event }) => (gone && event.offset === 102 ? { status: 410 } : undefined),
  })
  await using sink = await openSink(receiver.url, { order: 'strict' })
  const batch = sinkBatch(batchOf(inserts(5)))
  await assert.rejects(sink.write(batch, forever), (error: SluiceError) => {
    assert.equal(error.code, 'sink.webhook.gone')
    assert.equal(error.fault, 'config')
    return true
  })
  assert.deepEqual(offsets(receiver.requests), [100, 101, 102])
  gone = false
  await sink.write({ ...batch, attempt: 2 }, forever)
  assert.deepEqual(offsets(receiver.taken), [100, 101, 102, 103, 104])
})

test('redirects are never followed: 301 stops, 302 is a failure like any other', async () => {
  await using elsewhere = await startReceiver({ secret })
  let status = 301
  await using receiver = await startReceiver({
    secret,
    behaviour: () => ({ status, headers: { location: elsewhere.url } }),
  })
  await using sink = await openSink(receiver.url, { retry: { attempts: 2 } })
  await assert.rejects(sink.write(sinkBatch(batchOf(inserts(1))), forever), {
    code: 'sink.webhook.moved',
    fault: 'config',
  })
  status = 302
  await using another = await openSink(receiver.url, { retry: { attempts: 2 } })
  const { rejected } = await another.write(sinkBatch(batchOf(inserts(1))), forever)
  assert.equal(rejected[0]?.code, 'sink.webhook.exhausted')
  assert.equal(elsewhere.connections, 0)
})

test('a batch that is tried again in this process sends nothing twice; a restart keeps the ids', async () => {
  await using receiver = await startReceiver({ secret })
  const batch = sinkBatch(batchOf(inserts(20)))
  await using sink = await openSink(receiver.url)
  await sink.write(batch, forever)
  await sink.write({ ...batch, attempt: 2 }, forever)
  assert.equal(receiver.requests.length, 20)
  await using restarted = await openSink(receiver.url)
  await restarted.write(batch, forever)
  assert.equal(receiver.requests.length, 40)
  const [before, after] = [receiver.taken.slice(0, 20), receiver.taken.slice(20)]
  const seen = (list: readonly Received[]): string[] => list.map(({ id, text }) => id + text).sort()
  assert.deepEqual(seen(after), seen(before))
})

test('connections are kept, and no more than max_in_flight of them', async () => {
  await using receiver = await startReceiver({ secret, behaviour: () => ({ delayMs: 1 }) })
  await using sink = await openSink(receiver.url, { max_in_flight: 4 })
  for (let round = 0; round < 3; round++) {
    const batch = batchOf(inserts(100))
    await sink.write(sinkBatch(batch, { id: `b${round}`, offset: round * 100 }), forever)
  }
  assert.equal(receiver.taken.length, 300)
  assert.equal(receiver.concurrencyMax, 4)
  assert.equal(receiver.connections, 4)
})

test('truncate: an event in its place; unwanted kinds are not sent', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(receiver.url)
  const at = { id: 't-1', offset: 7 }
  await sink.truncate('shop.public.orders', at, forever)
  await sink.truncate('shop.public.orders', at, forever)
  assert.equal(receiver.taken.length, 1)
  const { type, data, offset } = receiver.taken[0]!.event
  assert.deepEqual(
    { type, data, offset },
    { type: 'shop.public.orders.truncate', data: null, offset: 7 },
  )
  await using changes = await openSink(receiver.url, { events: ['update'] })
  await changes.truncate('shop.public.orders', { id: 't-2', offset: 9 }, forever)
  const { rejected } = await changes.write(sinkBatch(batchOf(inserts(3))), forever)
  assert.deepEqual([rejected.length, receiver.requests.length], [0, 1])
})

test('a truncate that the endpoint refuses does not hold the topic', async () => {
  await using receiver = await startReceiver({ secret, behaviour: () => ({ status: 422 }) })
  await using sink = await openSink(receiver.url)
  await sink.truncate('t', { id: 't-1', offset: 7 }, forever)
  assert.equal(receiver.requests.length, 1)
})

test('ids: safe and bounded whatever the names, different for different topics, offsets and times', async () => {
  await using receiver = await startReceiver({ secret })
  const ctx = { ...testContext(), pipeline: 'a.b\r\nx: y' }
  await using sink = await openSink(receiver.url, {}, ctx)
  const topics = ['t.a', 't_a', 't-a', 'ü'.repeat(500), '']
  const ids = new Set<string>()
  for (const topic of topics) {
    for (const timeUs of [0, -5, 1e15]) {
      const batch = batchOf(inserts(2), { timeUs })
      await sink.write(sinkBatch(batch, { topic, id: `${topic}${timeUs}` }), forever)
    }
  }
  for (const { id } of receiver.taken) {
    assert.match(id, /^[A-Za-z0-9_-]{1,160}$/)
    ids.add(id)
  }
  assert.equal(ids.size, topics.length * 3 * 2)
})

test('numbers as configured', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(receiver.url, { json: { int64: 'string' } })
  await sink.write(sinkBatch(batchOf([['+', 'insert', 5, null]])), forever)
  assert.deepEqual(receiver.taken[0]?.event.data, { id: '5', name: null })
  assert.deepEqual(receiver.taken[0]?.event.key, { id: '5' })
})

test('a row that JSON cannot hold is set aside; the others are delivered (invariant 9)', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(receiver.url)
  const batch = batchOf(inserts(3))
  const names = batch.columns[1]!
  assert.equal(names.encoding, 'bytes')
  // "name 1" begins at byte 6; 0xff is in no UTF-8 text.
  if (names.encoding === 'bytes') names.data[7] = 0xff
  const { rejected } = await sink.write(sinkBatch(batch), forever)
  assert.deepEqual(
    rejected.map(({ row, code, attempts }) => [row, code, attempts]),
    [[1, 'sink.webhook.not_text', 0]],
  )
  assert.deepEqual(new Set(offsets(receiver.taken)), new Set([100, 102]))
})

test('large events and large answers', async () => {
  const large = 'x'.repeat(3_000_000)
  const answers: Answer[] = [
    { status: 200, body: large },
    { status: 200, body: 'ok' },
  ]
  await using receiver = await startReceiver({ secret, behaviour: () => answers.shift() })
  await using sink = await openSink(receiver.url)
  const batch = batchOf([
    ['+', 'insert', 1, large],
    ['+', 'update', 1, 'b'],
  ])
  assert.deepEqual((await sink.write(sinkBatch(batch), forever)).rejected, [])
  assert.equal(receiver.taken[0]?.event.data?.['name'], large)
  assert.equal(receiver.requests.length, 2)
})
