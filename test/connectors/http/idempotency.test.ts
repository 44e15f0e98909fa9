/** What is sent again makes no second row: within the window, in flight, and after the source was away (invariants 1, 2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../core/connector/context.ts'
import { waitFor } from '../../support/env.ts'
import { HttpHub, orders, sorted, StalledStore, type Answer } from './support.ts'

const byHeader = { idempotency: { from: 'header.idempotency-key' } }
const key = (name: string): { readonly headers: Record<string, string> } => ({
  headers: { 'idempotency-key': name },
})

test('the same key again is answered as taken, and makes no row', async () => {
  await using hub = await HttpHub.start({ config: orders(byHeader) })
  assert.deepEqual((await hub.send('{"id":1}', key('a'))).json, { accepted: 1 })
  const again = await hub.send('{"id":2}', key('a'))
  assert.deepEqual([again.status, again.json], [200, { accepted: 0, duplicates: 1 }])
  assert.equal((await hub.send('{"id":3}', key('b'))).status, 200)
  const without = await hub.send('{"id":4}')
  assert.deepEqual([without.status, without.json['code']], [400, 'http.no_key'])
  assert.deepEqual(
    (await hub.rows('orders')).map(([id]) => id),
    ['1', '3'],
  )
})

test('keys are not counted among the rows that the source wrote', async () => {
  const hub = await HttpHub.start({ config: orders(byHeader) })
  for (const id of [1, 2, 3]) await hub.send(`{"id":${id}}`, key(`k${id}`))
  await hub[Symbol.asyncDispose]()
  assert.equal(hub.rowsDone, 3)
})

test('rows are counted whatever their topic is called', async () => {
  const { push } = orders() as { readonly push: { readonly orders: object } }
  const hub = await HttpHub.start({ config: { push: { deliveries: push.orders } } })
  for (const id of [1, 2, 3]) await hub.send(`{"id":${id}}`)
  await hub[Symbol.asyncDispose]()
  assert.equal(hub.rowsDone, 3)
})

test('while the first is in flight, the second waits for its commit', async () => {
  const gate = new StalledStore()
  await using hub = await HttpHub.start({ config: orders(byHeader), store: gate.wrap })
  gate.stall()
  const { begun } = gate
  let answered = 0
  const send = async (body: string): Promise<Answer> => {
    const answer = await hub.send(body, key('a'))
    answered++
    return answer
  }
  const sent = [send('{"id":1}')]
  await waitFor('the commit of the first', () => gate.begun > begun)
  sent.push(send('{"id":1}'), send('{"id":1}'))
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(answered, 0, 'a 2xx was said before the commit')
  gate.goOn()
  const answers = await Promise.all(sent)
  assert.deepEqual(
    answers.map(({ json }) => json),
    [{ accepted: 1 }, { accepted: 0, duplicates: 1 }, { accepted: 0, duplicates: 1 }],
  )
  assert.equal((await hub.rows('orders')).length, 1)
})

test('a key whose request was refused may come again', async () => {
  await using hub = await HttpHub.start({ config: orders(byHeader) })
  const [bad, follower] = await Promise.all([
    hub.send('{"id":"x"}', key('a')),
    hub.send('{"id":1}', key('a')),
  ])
  // They come by two connections, in any order: where the good one was first, the bad one is a duplicate.
  assert.ok(bad.status === 422 || [200, 422, 503].includes(follower.status))
  const good = await hub.send('{"id":1}', key('a'))
  assert.equal(good.status, 200)
  assert.equal((await hub.rows('orders')).length, 1)
})

test('keys of records: only new records of a request make rows', async () => {
  await using hub = await HttpHub.start({ config: orders({ idempotency: { from: 'field.id' } }) })
  const answers = await Promise.all([
    hub.send('[{"id":1},{"id":2},{"id":1}]'),
    hub.send('[{"id":2},{"id":3}]'),
    hub.send('{"id":3}'),
  ])
  for (const { status } of answers) assert.equal(status, 200)
  const again = await hub.send('[{"id":1},{"id":"1"},{"id":4}]')
  assert.deepEqual(again.json, { accepted: 1, duplicates: 2 })
  const ids = (await hub.rows('orders')).map(([id]) => id)
  assert.deepEqual(sorted(ids), ['1', '2', '3', '4'])
  const missing = await hub.send('[{"id":9},{"note":"x"}]')
  assert.deepEqual([missing.status, missing.json['code']], [422, 'http.no_key'])
  assert.equal((await hub.send('{"id":9}')).json['accepted'], 1)
})

test('a request that is replayed word for word', async () => {
  const { createHmac } = await import('node:crypto')
  await using hub = await HttpHub.start({
    config: orders({ auth: { scheme: 'github', secret: 's' }, idempotency: { from: 'signature' } }),
  })
  const send = (body: string): Promise<Answer> => {
    const digest = createHmac('sha256', 's').update(body).digest('hex')
    return hub.send(body, { headers: { 'x-hub-signature-256': `sha256=${digest}` } })
  }
  assert.deepEqual((await send('{"id":1}')).json, { accepted: 1 })
  assert.deepEqual((await send('{"id":1}')).json, { accepted: 0, duplicates: 1 })
  assert.deepEqual((await send('{"id":1, "note":"x"}')).json, { accepted: 1 })
})

test('a replay is one in whichever way its signature is written', async () => {
  const { createHmac } = await import('node:crypto')
  const secret = ['new', 'old']
  const auth = { scheme: 'stripe', secret }
  await using hub = await HttpHub.start({
    config: {
      push: {
        orders: {
          path: '/in',
          auth: { scheme: 'github', secret: 's' },
          idempotency: { from: 'signature' },
          schema: { id: 'int64' },
        },
        paid: { path: '/paid', auth, idempotency: { from: 'signature' }, schema: { id: 'int64' } },
      },
    },
  })
  const body = '{"id":1}'
  const digest = createHmac('sha256', 's').update(body).digest('hex')
  const hex = (text: string) => ({ headers: { 'x-hub-signature-256': `sha256=${text}` } })
  assert.deepEqual((await hub.send(body, hex(digest))).json, { accepted: 1 })
  const shouted = await hub.send(body, hex(digest.toUpperCase()))
  assert.deepEqual(shouted.json, { accepted: 0, duplicates: 1 })
  // While a secret is exchanged both sign; whoever replays may leave one out, or add what fits nothing.
  const at = Math.floor(Date.now() / 1000)
  const [one, other] = secret.map(
    (key) => `v1=${createHmac('sha256', key).update(`${at}.${body}`).digest('hex')}`,
  )
  const send = (signatures: string): Promise<Answer> =>
    hub.send(body, { path: '/paid', headers: { 'stripe-signature': `t=${at},${signatures}` } })
  assert.deepEqual((await send(`${one},${other}`)).json, { accepted: 1 })
  for (const text of [one!, other!, `${other},${one}`, `${one},v1=${'0'.repeat(64)}`]) {
    assert.deepEqual((await send(text)).json, { accepted: 0, duplicates: 1 }, text)
  }
})

test('keys are read back from the log at the start, those of the window and no others', async () => {
  const config = orders({ idempotency: { from: 'header.idempotency-key', window: '1h' } })
  let laterMs = 0
  const clock = { ...systemClock, nowMs: () => Date.now() + laterMs }
  const first = await HttpHub.start({ config, clock })
  const { log } = first
  await first.send('{"id":1}', key('old'))
  laterMs += 3_600_000
  await first.send('[{"id":2},{"id":3}]', key('new'))
  await first[Symbol.asyncDispose]()

  await using hub = await HttpHub.start({ config, log, clock })
  assert.deepEqual((await hub.send('{"id":2}', key('new'))).json, { accepted: 0, duplicates: 1 })
  assert.deepEqual((await hub.send('{"id":4}', key('old'))).json, { accepted: 1 })
  assert.deepEqual(
    (await hub.rows('orders')).map(([id]) => id),
    ['1', '2', '3', '4'],
  )
})

test('what waits when the source ends is committed and answered, or told to come again', async () => {
  const gate = new StalledStore()
  const hub = await HttpHub.start({ config: orders(byHeader), store: gate.wrap })
  gate.stall()
  const { begun } = gate
  const staged = hub.send('{"id":1}', key('a'))
  await waitFor('the commit of the first', () => gate.begun > begun)
  const late = hub.send('{"id":2}', key('b'))
  await new Promise((resolve) => setTimeout(resolve, 50))
  const stopped = hub[Symbol.asyncDispose]()
  await new Promise((resolve) => setTimeout(resolve, 50))
  gate.goOn()
  const answers = await Promise.all([staged, late])
  await stopped
  assert.equal(answers[0].status, 200)
  const ids = (await hub.rows('orders')).map(([id]) => id)
  assert.ok(ids.includes('1'))
  // Either it was in the last commit and is answered so, or it was not and is told so.
  assert.equal(answers[1].status === 200, ids.includes('2'))
  if (answers[1].status !== 200) {
    assert.equal(answers[1].status, 503)
    assert.ok(Number(answers[1].headers['retry-after']) > 0)
  }
})
