/** CloudEvents in their three modes (cloudevents/spec 1.0.2, HTTP binding), and what only looks like one. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { HttpHub, orders } from './support.ts'

const config = orders({
  cloudevents: 'require',
  idempotency: { from: 'ce.id' },
  columns: { event: 'ce.id', type: 'ce.type', of: 'ce.source', at: 'ce.time', own: 'ce.myext' },
})
const required = { id: 'e1', source: '/shop', specversion: '1.0', type: 'order.made' }
const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' }
const batch = { 'content-type': 'application/cloudevents-batch+json' }

function binary(more: Record<string, string> = {}): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  for (const [name, value] of Object.entries({ ...required, ...more }))
    headers[`ce-${name}`] = value
  return headers
}

test('binary, structured and batch mode make the same rows', async () => {
  await using hub = await HttpHub.start({ config })
  const time = '2026-01-01T12:00:00Z'
  const answers = [
    await hub.send('{"id":1,"note":"a"}', { headers: binary({ time, myext: 'caf%C3%A9' }) }),
    await hub.send(JSON.stringify({ ...required, id: 'e2', time, myext: 7, data: { id: 2 } }), {
      headers: structured,
    }),
    await hub.send(
      JSON.stringify([
        { ...required, id: 'e3', myext: true, data: { id: 3, note: 'c' } },
        { ...required, id: 'e4', data_base64: Buffer.from('{"id":4}').toString('base64') },
        // Its id came before, from this source.
        { ...required, data: { id: 5 } },
        { ...required, source: '/other', data: { id: 6 } },
      ]),
      { headers: batch },
    ),
  ]
  assert.deepEqual(
    answers.map(({ json }) => json),
    [{ accepted: 1 }, { accepted: 1 }, { accepted: 3, duplicates: 1 }],
  )
  assert.deepEqual(await hub.rows('orders'), [
    ['1', 'a', 'e1', 'order.made', '/shop', time, 'café'],
    ['2', null, 'e2', 'order.made', '/shop', time, '7'],
    ['3', 'c', 'e3', 'order.made', '/shop', null, 'true'],
    ['4', null, 'e4', 'order.made', '/shop', null, null],
    ['6', null, 'e1', 'order.made', '/other', null, null],
  ])
})

test('what is no event, or lacks what an event must have, is refused', async () => {
  await using hub = await HttpHub.start({ config })
  const { id: _, ...without } = required
  const cases: readonly (readonly [number, string, Record<string, string>])[] = [
    [415, '{"id":1}', {}],
    [400, '{"id":1}', { ...binary(), 'ce-id': '' }],
    [400, '{"id":1}', binary({ specversion: '0.3' })],
    [400, JSON.stringify({ ...without, data: { id: 1 } }), structured],
    [400, JSON.stringify({ ...required, type: {}, data: { id: 1 } }), structured],
    [400, JSON.stringify([{ ...required, data: { id: 1 } }]), structured],
    [400, JSON.stringify({ ...required, data: { id: 1 } }), batch],
    [400, JSON.stringify([{ ...required, data: { id: 1 } }, 7]), batch],
    [400, JSON.stringify({ ...required, data_base64: '%%%' }), structured],
    [400, '{', structured],
    [422, JSON.stringify({ ...required, data: { id: 'x' } }), structured],
    [422, JSON.stringify({ ...required }), structured],
  ]
  for (const [status, body, headers] of cases) {
    const answer = await hub.send(body, { headers })
    assert.equal(answer.status, status, `${body}: ${answer.text}`)
  }
  assert.deepEqual(await hub.rows('orders'), [])
})

test('where events are off, a structured one is a body like any other', async () => {
  await using hub = await HttpHub.start({ config: orders({ cloudevents: 'off' }) })
  const answer = await hub.send('{"id":1,"data":{"id":2}}', { headers: structured })
  assert.equal(answer.status, 200)
  assert.deepEqual(await hub.rows('orders'), [['1', null]])
})

test('the question whether events may be sent is answered', async () => {
  await using hub = await HttpHub.start({ config })
  const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: hub.port, path: '/in', method: 'OPTIONS' }
    const origin = { 'webhook-request-origin': 'events.example.com' }
    request({ ...options, headers: origin, agent: false }, (response) => {
      response.resume()
      resolve({ status: response.statusCode, ...response.headers })
    })
      .on('error', reject)
      .end()
  })
  assert.equal(headers['status'], 200)
  assert.equal(headers['webhook-allowed-origin'], 'events.example.com')
})
