/**
 * What a sink says of its endpoints, when it gives one up, and where a host from the row may lead, all
 * through the deliver loop and a real receiver. Attacks invariants 5 and 8.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../core/log/log.ts'
import type { LetterEntry } from '../../../core/task/dead-letter-entry.ts'
import { startReceiver, type Received } from '../../services/webhook-receiver.ts'
import { keptContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'
import { lettersOf, notesOf, ownRows } from '../../support/letters.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { deliverHooks, leapClock, tenantRows } from './deliver-support.ts'
import { secret } from './support.ts'

const isBad = ({ path }: Received): boolean => path.endsWith('/t1')
const doneOf = async (log: Log): Promise<number | undefined> =>
  (await notesOf(log))?.topics['s.t']?.done

/**
 * The letters, once none waits any more. An event whose answer is slow is set aside to wait, and the cursor moves
 * on before its outcome: that it has passed all says nothing of what was taken, or refused.
 */
const outcomes = (log: Log): Promise<LetterEntry[]> =>
  waitFor('the outcomes', async () => {
    const letters = await lettersOf(log)
    return letters.every(({ state }) => state === 'open') && letters
  })

for (const place of ['/T0KEN/{name}/T0KEN?key=T0KEN', '/T0KEN?key=T0KEN']) {
  test(`a token in the address is nowhere to be read: ${place}`, async () => {
    const log = await testLog()
    const ctx = keptContext()
    const { logger, report } = ctx
    await using receiver = await startReceiver({
      secret,
      behaviour: ({ path }) => ({ status: path.includes('t1') ? 410 : 422 }),
    })
    await using hooks = deliverHooks(log, `${receiver.url}${place}`, { delivery_log: 'all' }, { logger, report }) // prettier-ignore
    const rows = tenantRows([0, 1, 2, 3], (id) => `t${id % 2}`)
    await writeTopics(log, rows)
    await waitFor('the cursor', async () => (await doneOf(log)) === 4)
    assert.equal((await outcomes(log)).length, 4)
    const deliveries = await ownRows(log, 'k.deliveries')
    const names = new Set(deliveries.map(({ endpoint }) => endpoint))
    const many = place.includes('{')
    assert.deepEqual(
      names,
      new Set(many ? ['127.0.0.1/…/t0/…', '127.0.0.1/…/t1/…'] : ['127.0.0.1']),
    )
    const letters = await lettersOf(log)
    const told = [deliveries, letters, await notesOf(log), ctx.lines, ctx.reports]
    assert.doesNotMatch(JSON.stringify([told, hooks.ctx.troubles.map(String)]), /T0KEN/)
  })
}

test('of many endpoints one that fails for `disable_after` gets nothing more, until the next start', async () => {
  const log = await testLog()
  const clock = leapClock()
  let mended = false
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: (request) => (!mended && isBad(request) ? { status: 500 } : undefined),
  })
  const config = { disable_after: '1m', retry: { attempts: 100, base: '10ms', max: '50ms' } }
  const url = `${receiver.url}/{name}`
  const tenants = (ids: readonly number[]) => tenantRows(ids, (id) => `t${id % 2}`)
  {
    await using _hooks = deliverHooks(log, url, config, { clock })
    await writeTopics(log, tenants([0, 1]))
    await waitFor('the good one', async () => receiver.taken.length === 1)
    await waitFor('failures', async () => receiver.requests.filter(isBad).length > 1)
    // It fails for half a minute: that is not long enough.
    clock.pass(30_000)
    const before = receiver.requests.filter(isBad).length
    await waitFor('one more', async () => receiver.requests.filter(isBad).length > before)
    assert.deepEqual(
      (await lettersOf(log)).filter(({ state }) => state === 'open'),
      [],
    )
    clock.pass(31_000)
    await waitFor('the end', async () => (await lettersOf(log))[0]?.state === 'open')
    const asked = receiver.requests.filter(isBad).length
    await writeTopics(log, tenants([2, 3]))
    await waitFor('the cursor', async () => (await doneOf(log)) === 4)
    const letters = await outcomes(log)
    assert.equal(receiver.requests.filter(isBad).length, asked, 'nothing more is sent to it')
    assert.deepEqual(
      receiver.taken.map(({ event }) => event.offset),
      [0, 2],
    )
    assert.deepEqual(
      letters.map(({ state, code, offset }) => [state, code, offset]),
      [
        ['open', 'sink.webhook.disabled', 1],
        ['open', 'sink.webhook.disabled', 3],
      ],
    )
    assert.match(letters[0]!.message, /failed since \d{4}-/)
  }
  mended = true
  await using _again = deliverHooks(log, url, config, { clock })
  await writeTopics(log, tenants([5]))
  await waitFor('the mended one', async () => receiver.taken.length === 3)
})

test('one event that an endpoint never takes does not have it given up after a restart (invariant 5)', async () => {
  const log = await testLog()
  const clock = leapClock()
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: ({ event }) => (event.data?.['id'] === 0 ? { status: 500 } : undefined),
  })
  const config = { disable_after: '1m', retry: { schedule: ['1h', '1h', '1h'] } }
  const url = `${receiver.url}/{name}`
  const failed = (times: number) =>
    waitFor(`attempt ${times}`, async () => {
      const [letter] = await lettersOf(log)
      return letter?.attempts === times
    })
  {
    await using _hooks = deliverHooks(log, url, config, { clock })
    await writeTopics(
      log,
      tenantRows([0], () => 't0'),
    )
    await failed(1)
  }
  clock.pass(2 * 3_600_000)
  await using _again = deliverHooks(log, url, config, { clock })
  await failed(2)
  await writeTopics(
    log,
    tenantRows([1], () => 't0'),
  )
  await waitFor('the cursor', async () => (await doneOf(log)) === 2)
  // It is set aside too where its answer is slow.
  const letters = await waitFor('the next event', async () => {
    const all = await lettersOf(log)
    return receiver.taken.length === 1 && all.length === 1 && all
  })
  assert.deepEqual(
    letters.map(({ state, offset }) => [state, offset]),
    [['waiting', 0]],
  )
})

test('what waits for its turn at a good endpoint is not said to wait for a failing one', async () => {
  const log = await testLog()
  await using receiver = await startReceiver({ secret, behaviour: () => ({ delayMs: 600_000 }) })
  const config = { concurrency: 1, max_in_flight: 4, timeout: '2m' }
  await using _hooks = deliverHooks(log, `${receiver.url}/{name}`, config)
  await writeTopics(
    log,
    tenantRows([0, 1, 2], () => 't0'),
  )
  await waitFor('the cursor', async () => (await doneOf(log)) === 3)
  const letters = await lettersOf(log)
  assert.deepEqual(new Set(letters.map(({ state }) => state)), new Set(['waiting']))
  for (const { code, message } of letters) {
    assert.equal(code, 'sink.webhook.busy')
    assert.match(message, /as many requests under way/)
  }
})

test('the only endpoint is never passed over: its topic stops, and goes on when it is mended', async () => {
  const log = await testLog()
  const clock = leapClock()
  let mended = false
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: () => (mended ? undefined : { status: 503 }),
  })
  const config = { disable_after: '1m', retry: { attempts: 100, base: '10ms', max: '50ms' } }
  await using _hooks = deliverHooks(log, receiver.url, config, { clock })
  await writeTopics(log, tenantRows([0, 1], String))
  await waitFor('failures', async () => receiver.requests.length > 1)
  await waitFor('the stop', async () => {
    clock.pass(5000)
    return (await notesOf(log))?.topics['s.t']?.parked?.code === 'sink.webhook.disabled'
  })
  assert.deepEqual(await lettersOf(log), [])
  assert.equal(await doneOf(log), 0)
  mended = true
  await waitFor('the events', async () => {
    clock.pass(5000)
    return receiver.taken.length === 2
  })
})

for (const allowed of [true, false]) {
  test(`a host from the row that resolves: ${allowed ? 'delivered' : 'refused where it leads inside'}`, async () => {
    const log = await testLog()
    await using receiver = await startReceiver({ secret })
    await using _hooks = deliverHooks(log, `http://{name}:${receiver.port}/hooks`, {
      allow_hosts: ['localhost', 'no-such-*'],
      allow_private: allowed,
      retry: { attempts: 2, base: '1ms' },
    })
    const names = ['localhost', 'intern', 'localhost']
    await writeTopics(
      log,
      tenantRows([0, 1, 2], (id) => names[id]!),
    )
    await waitFor('the cursor', async () => (await doneOf(log)) === 3)
    const letters = (await outcomes(log)).map(({ offset, code, message }) => [offset, code, message]) // prettier-ignore
    const elsewhere = [
      1,
      'sink.webhook.unfillable',
      'the host of `url` does not match `allow_hosts`',
    ]
    if (allowed) {
      // Two keys, each behind a lookup of its own: either may be there first.
      const offsets = receiver.taken.map(({ event }) => event.offset)
      assert.deepEqual(new Set(offsets), new Set([0, 2]))
      assert.equal(offsets.length, 2)
      assert.equal(receiver.taken[0]!.headers.host, `localhost:${receiver.port}`)
      assert.deepEqual(letters, [elsewhere])
      return
    }
    assert.equal(receiver.connections, 0)
    const codes = new Map(letters.map(([offset, code]) => [offset, code]))
    assert.equal(codes.get(1), 'sink.webhook.unfillable')
    // Both may have set out before the first is refused; else the second finds its endpoint given up.
    const refused = [codes.get(0), codes.get(2)]
    assert.ok(refused.includes('sink.webhook.address_refused'))
    for (const code of refused)
      assert.match(String(code), /^sink\.webhook\.(address_refused|disabled)$/)
    assert.match(JSON.stringify(letters), /not on the public network/)
  })
}
