/**
 * One sink with many endpoints, through the deliver loop: a bad endpoint holds up neither the others nor
 * the cursor, and loses nothing. Attacks invariants 5 and 8.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startReceiver, type Answer, type Received } from '../../services/webhook-receiver.ts'
import { waitFor } from '../../support/env.ts'
import { lettersOf, notesOf, ownRows } from '../../support/letters.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { deliverHooks, tenantRows } from './deliver-support.ts'
import { secret } from './support.ts'

const numberOf = ({ path }: Received): number => Number(/\/t(\d+)$/.exec(path)?.[1])

/** One in a hundred: answers 500, does not answer, has no room, breaks the connection. */
function badAnswer(tenant: number): Answer | undefined {
  if (tenant % 100 !== 0) return undefined
  const kinds: readonly Answer[] = [
    { status: 500 },
    { delayMs: 600_000 },
    { status: 503 },
    { drop: 'unseen' },
  ]
  return kinds[(tenant / 100) % kinds.length]
}

/** For ten thousand requests, on a machine that may take many times as long as another. */
const patienceMs = 300_000

test('10,000 endpoints, one in a hundred bad: the good ones get all while the bad ones fail (invariant 5)', async () => {
  const endpoints = 10_000
  const log = await testLog()
  let mended = false
  await using receiver = await startReceiver({
    secret,
    behaviour: (request) => (mended ? undefined : badAnswer(numberOf(request))),
  })
  const ids = Array.from({ length: endpoints }, (_, id) => id)
  for (let at = 0; at < endpoints; at += 1000) {
    await writeTopics(
      log,
      tenantRows(ids.slice(at, at + 1000), (id) => `t${id}`),
    )
  }
  await using _hooks = deliverHooks(log, `${receiver.url}/{name}`, {
    max_in_flight: 64,
    timeout: '5s',
    retry: { schedule: ['100ms', '200ms', '400ms', '1h'] },
  })
  const good = endpoints - endpoints / 100
  // Not how many requests there were: on a slow machine one is answered too late, and sent again.
  const taken = (): number => new Set(receiver.taken.map(({ path }) => path)).size
  await waitFor('the good ones', () => taken() >= good, patienceMs)
  assert.equal(taken(), good)
  const done = async () => (await notesOf(log))?.topics['s.t']?.done === endpoints
  await waitFor('the cursor', done, patienceMs)
  // On a slow machine a good one may have been too late to answer, and be asked again.
  const waiting = await waitFor(
    'the bad ones alone',
    async () => {
      const letters = await lettersOf(log)
      return letters.length <= endpoints / 100 && letters
    },
    patienceMs,
  )
  assert.equal(waiting.length, endpoints / 100)
  assert.deepEqual([...new Set(waiting.map(({ state }) => state))], ['waiting'])
  assert.ok(receiver.concurrencyMax <= 64 + 100, `${receiver.concurrencyMax} at a time`)
  mended = true
})

test('a bad endpoint that is mended gets what waited, in the order of each key (invariant 5)', async () => {
  const log = await testLog()
  let bad = true
  await using receiver = await startReceiver({
    secret,
    behaviour: (request) => (bad && numberOf(request) === 1 ? { status: 500 } : undefined),
  })
  await using _hooks = deliverHooks(log, `${receiver.url}/{name}`, {
    retry: { schedule: Array.from({ length: 60 }, () => '1s') },
    delivery_log: 'all',
  })
  // Three events of each of ten keys, five of them of the bad endpoint.
  const ids = Array.from({ length: 30 }, (_, i) => i % 10)
  await writeTopics(
    log,
    tenantRows(ids, (id) => `t${id % 2}`),
  )
  await waitFor('the good ones', async () => receiver.taken.length === 15)
  await waitFor('the cursor', async () => (await notesOf(log))?.topics['s.t']?.done === 30)
  bad = false
  await waitFor('the others', async () => (await lettersOf(log)).length === 0)
  const offsets = new Map<unknown, number[]>()
  for (const { event } of receiver.taken) {
    const key = event.key?.['id']
    offsets.set(key, [...(offsets.get(key) ?? []), event.offset])
  }
  assert.equal(offsets.size, 10)
  for (const [key, seen] of offsets) {
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
      `key ${String(key)}`,
    )
    assert.equal(seen.length, 3)
  }
  const rows = await ownRows(log, 'k.deliveries')
  assert.equal(rows.filter(({ outcome }) => outcome === 'delivered').length, 30)
  const failed = rows.find(({ outcome }) => outcome === 'retry')
  assert.equal(failed?.['status'], 500)
  assert.equal(failed?.['endpoint'], '127.0.0.1/…/t1')
})

test('an endpoint that is gone gets nothing more, and stops nobody else (invariant 5)', async () => {
  const log = await testLog()
  await using receiver = await startReceiver({
    secret,
    behaviour: (request) => (numberOf(request) === 1 ? { status: 410 } : undefined),
  })
  await using _hooks = deliverHooks(log, `${receiver.url}/{name}`, { concurrency: 1 })
  await writeTopics(
    log,
    tenantRows([0, 1, 2, 3], (id) => `t${id % 2}`),
  )
  await waitFor('the cursor', async () => (await notesOf(log))?.topics['s.t']?.done === 4)
  // An event whose answer is slow is set aside to wait: the cursor has moved on before its outcome.
  const letters = await waitFor('the outcomes', async () => {
    const all = await lettersOf(log)
    const open = all.length === 2 && all.every(({ state }) => state === 'open')
    return open && receiver.taken.length === 2 && all
  })
  assert.deepEqual(
    receiver.taken.map(({ event }) => event.offset),
    [0, 2],
  )
  assert.equal(receiver.requests.length, 3)
  assert.deepEqual(
    letters.toSorted((a, b) => a.offset! - b.offset!).map(({ state, code }) => [state, code]),
    [
      ['open', 'sink.webhook.gone'],
      ['open', 'sink.webhook.disabled'],
    ],
  )
})

test('a rate of its own for each endpoint', async () => {
  const log = await testLog()
  const times = new Map<string, number[]>()
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ path }) => {
      times.set(path, [...(times.get(path) ?? []), Date.now()])
      return undefined
    },
  })
  await using _hooks = deliverHooks(log, `${receiver.url}/{name}`, { rate: '10/s', concurrency: 4 })
  const ids = Array.from({ length: 60 }, (_, id) => id)
  await writeTopics(
    log,
    tenantRows(ids, (id) => `t${id % 2}`),
  )
  await waitFor('all', async () => receiver.taken.length === 60)
  for (const seen of times.values()) {
    // A burst of one second's, then ten a second: no second has more than both, and what was on its way
    // while the machine stood still.
    for (const from of seen) {
      const within = seen.filter((at) => at >= from && at < from + 1000).length
      assert.ok(within <= 20 + 4, `${within} requests within a second`)
    }
  }
})
