/** Several events in one request: their order, and finding the one that is refused. Attacks invariants 5 and 6. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startReceiver, type Received } from '../../services/webhook-receiver.ts'
import { waitFor } from '../../support/env.ts'
import { lettersOf } from '../../support/letters.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { deliverHooks, tenantRows } from './deliver-support.ts'
import { batchOf, forever, openSink, secret, sinkBatch, type Change } from './support.ts'

interface Part {
  readonly id: string
  readonly offset: number
  readonly data: { readonly id: number; readonly name: string }
}

const partsOf = ({ text }: Received): Part[] => (JSON.parse(text) as { data: Part[] }).data
const inserts = (ids: readonly number[], name = 'a'): Change[] =>
  ids.map((id): Change => ['+', 'insert', id, name])
const batch = { events: 10, wait: '20ms' }

test('events of different keys share requests, those of one key follow one another', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(receiver.url, { batch })
  const ids = Array.from({ length: 40 }, (_, i) => i % 20)
  const { rejected } = await sink.write(sinkBatch(batchOf(inserts(ids))), forever)
  assert.deepEqual(rejected, [])
  const seen = receiver.requests.map(partsOf)
  assert.equal(seen.flat().length, 40)
  assert.ok(receiver.requests.length <= 8, `${receiver.requests.length} requests`)
  for (const parts of seen) {
    assert.ok(parts.length <= 10)
    assert.equal(new Set(parts.map(({ data }) => data.id)).size, parts.length)
  }
  const offsets = new Map<number, number[]>()
  for (const { data, offset } of seen.flat())
    offsets.set(data.id, [...(offsets.get(data.id) ?? []), offset])
  for (const list of offsets.values())
    assert.deepEqual(
      list,
      list.toSorted((a, b) => a - b),
    )
})

test('the bad event of a refused request is found by halving; the others are delivered', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: (request) => ({
      status: partsOf(request).some(({ data }) => data.name === 'arsenic') ? 422 : 200,
    }),
  })
  await using sink = await openSink(receiver.url, { batch })
  const changes = [...inserts([1, 2, 3]), ...inserts([4], 'arsenic'), ...inserts([5, 6])]
  const { rejected } = await sink.write(sinkBatch(batchOf(changes)), forever)
  assert.deepEqual(
    rejected.map(({ row, code }) => [row, code]),
    [[3, 'sink.webhook.rejected']],
  )
  const taken = receiver.taken.flatMap(partsOf).map(({ data }) => data.id)
  assert.deepEqual(
    taken.toSorted((a, b) => a - b),
    [1, 2, 3, 5, 6],
  )
})

test('an answer that names the bad ones spares the halving, also a 2xx', async () => {
  for (const status of [422, 200]) {
    await using receiver = await startReceiver({
      secret,
      behaviour: (request) => {
        const bad = partsOf(request).filter(({ data }) => data.name === 'arsenic')
        if (bad.length === 0) return undefined
        return { status, body: JSON.stringify({ rejected: bad.map(({ id }) => id) }) }
      },
    })
    await using sink = await openSink(receiver.url, { batch })
    const changes = [...inserts([1, 2]), ...inserts([3, 4], 'arsenic'), ...inserts([5])]
    const { rejected } = await sink.write(sinkBatch(batchOf(changes)), forever)
    assert.deepEqual(
      rejected.map(({ row }) => row),
      [2, 3],
    )
    assert.equal(receiver.requests.length, status === 422 ? 2 : 1)
  }
})

test('the same events make the same request id (invariant 6)', async () => {
  await using receiver = await startReceiver({ secret })
  for (let run = 0; run < 2; run++) {
    await using sink = await openSink(receiver.url, { batch })
    await sink.write(sinkBatch(batchOf(inserts([1, 2, 3]))), forever)
  }
  const [first, second] = receiver.requests
  assert.equal(first?.id, second?.id)
  assert.match(first!.id, /^batch_[0-9a-f]{24}$/)
})

test('a request that fails is tried again with all of its events', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ attempt }) => ({ status: attempt === 1 ? 500 : 200 }),
  })
  await using sink = await openSink(receiver.url, { batch })
  const { rejected } = await sink.write(sinkBatch(batchOf(inserts([1, 2, 3]))), forever)
  assert.deepEqual(rejected, [])
  assert.equal(new Set(receiver.taken.flatMap(partsOf).map(({ id }) => id)).size, 3)
})

test('events for different addresses of one endpoint do not share a request', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(`${receiver.url}/in?tenant={name}`, { batch })
  const changes = ['a', 'b', 'a', 'b'].flatMap((name, i) => inserts([i], name))
  const { rejected } = await sink.write(sinkBatch(batchOf(changes)), forever)
  assert.deepEqual(rejected, [])
  const seen = receiver.taken.flatMap((request) =>
    partsOf(request).map(({ data }) => [request.path, data.name, data.id] as const),
  )
  assert.deepEqual(
    seen.toSorted(([, , a], [, , b]) => a - b),
    ['a', 'b', 'a', 'b'].map((name, id) => [`/hooks/in?tenant=${name}`, name, id]),
  )
  assert.equal(receiver.requests.length, 2)
})

test('an event that a late answer names as refused is refused (invariant 5)', async () => {
  const log = await testLog()
  let named = ''
  await using receiver = await startReceiver({
    secret,
    behaviour: (request) => {
      if (named !== '') return undefined
      named = partsOf(request).find(({ data }) => data.id === 2)!.id
      // Later than anybody waits for it.
      return { status: 200, delayMs: 2500, body: JSON.stringify({ rejected: [named] }) }
    },
  })
  await using _hooks = deliverHooks(log, `${receiver.url}/{name}`, { batch })
  await writeTopics(
    log,
    tenantRows([1, 2, 3], () => 't'),
  )
  const letters = await waitFor('the letter', async () => {
    const all = await lettersOf(log)
    return all.length === 1 && all[0]!.state === 'open' && all
  })
  assert.deepEqual(
    letters.map(({ offset, code }) => [offset, code]),
    [[1, 'sink.webhook.rejected']],
  )
  assert.equal(receiver.requests.length, 1)
})

test('a truncate among requests of several events says its id and its time', async () => {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(receiver.url, { batch })
  await sink.truncate('shop.public.orders', { id: 't-1', offset: 7 }, forever)
  const { timestamp, data } = JSON.parse(receiver.requests[0]!.text) as {
    readonly timestamp: string
    readonly data: readonly {
      readonly id: string
      readonly op: string
      readonly timestamp: string
    }[]
  }
  assert.deepEqual(
    data.map(({ op }) => op),
    ['truncate'],
  )
  assert.match(data[0]!.id, /^shop_shop-public-orders-[0-9a-f]{12}_7_/)
  assert.equal(timestamp, data[0]!.timestamp)
})
