/** Addresses, headers and bodies out of the row; what cannot be filled is set aside. Attacks invariants 5 and 9. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { startReceiver, type Received } from '../../services/webhook-receiver.ts'
import { parseTarget } from '../../../sinks/webhook/target.ts'
import { parseTemplate, sampleOf } from '../../../sinks/webhook/template.ts'
import { batchOf, configOf, forever, openSink, secret, sinkBatch, type Change } from './support.ts'

/** What the endpoint saw, and the rows that were set aside. */
async function send(
  changes: readonly Change[],
  more: Record<string, unknown>,
  place = '',
): Promise<{ readonly seen: readonly Received[]; readonly reasons: readonly string[] }> {
  await using receiver = await startReceiver({ secret })
  await using sink = await openSink(`${receiver.url}${place}`, more)
  const { rejected } = await sink.write(sinkBatch(batchOf(changes)), forever)
  const reasons = rejected.map(({ row, code, message }) => `${row} ${code} ${message}`)
  return { seen: receiver.requests, reasons }
}

const one = (name: string | null): Change[] => [['+', 'insert', 1, name]]

test('values in path and query are encoded; none leads elsewhere', async () => {
  const { seen, reasons } = await send(
    [
      ['+', 'insert', 1, 'a/b?c#d é'],
      ['+', 'insert', 2, '..'],
      ['+', 'insert', 3, ''],
      ['+', 'insert', 4, null],
      ['+', 'insert', 5, '%2e%2e'],
    ],
    {},
    '/{name}/x?id={id}',
  )
  assert.deepEqual(
    seen.map(({ path }) => path).toSorted(),
    ['/hooks/%252e%252e/x?id=5', '/hooks/a%2Fb%3Fc%23d%20%C3%A9/x?id=1'].toSorted(),
  )
  assert.deepEqual(reasons, [
    '1 sink.webhook.unfillable a part of the path of `url` is "." or ".."',
    '2 sink.webhook.unfillable {name} is empty, in the path of `url`',
    '3 sink.webhook.unfillable {name} is NULL or not known',
  ])
})

test('whatever the value, the path has the parts that the template has', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (value) => {
      const url = new URL(`https://example.com/a/${encodeURIComponent(value)}/b`)
      fc.pre(!/^\.{1,2}$/.test(value))
      assert.equal(url.pathname.split('/').length, 4)
      assert.equal(url.search + url.hash, '')
    }),
  )
})

test('of a deleted row only the key can be in a template', async () => {
  const gone: Change[] = [['-', 'delete', 1, null]]
  const named = await send(gone, {}, '/{name}')
  assert.deepEqual(named.reasons, ['0 sink.webhook.unfillable {name} is NULL or not known'])
  const keyed = await send(gone, {}, '/{id}')
  assert.deepEqual(
    keyed.seen.map(({ path }) => path),
    ['/hooks/1'],
  )
})

test('a header from the row; one that HTTP cannot carry is set aside', async () => {
  const headers = { 'x-tenant': '{name}', 'x-event': '{@type} {@offset}' }
  const { seen } = await send(one('acme'), { headers })
  assert.equal(seen[0]?.headers['x-tenant'], 'acme')
  assert.equal(seen[0]?.headers['x-event'], 'shop.public.orders.insert 100')
  const smuggled = await send(one('a\r\nx-admin: 1'), { headers })
  assert.deepEqual(smuggled.seen, [])
  assert.deepEqual(smuggled.reasons, [
    '0 sink.webhook.unfillable {name} cannot be sent in a header',
  ])
})

test('a body of JSON: values with their quotes, or inside of a text', async () => {
  const body = '{"text":"order {id} of {name}","n":{id},"who":{name},"row":{@data},"brace":"{{"}'
  const { seen } = await send(one('O"Hara\n'), { body })
  assert.deepEqual(JSON.parse(seen[0]!.text), {
    text: 'order 1 of O"Hara\n',
    n: 1,
    who: 'O"Hara\n',
    row: { id: 1, name: 'O"Hara\n' },
    brace: '{',
  })
  const none = await send(one(null), { body: '{"who":{name}}' })
  assert.deepEqual(JSON.parse(none.seen[0]!.text), { who: null })
  const inside = await send(one(null), { body: '{"who":"is {name}"}' })
  assert.deepEqual(inside.reasons, ['0 sink.webhook.unfillable {name} is NULL or not known'])
})

test('a template that cannot be right is found without a row', () => {
  const codes = ({ url = 'https://example.com/', ...more }: Record<string, unknown>): string[] =>
    parseTarget(configOf(url as string, more)).problems.map(
      ({ code, message }) => `${code} ${message}`,
    )
  assert.deepEqual(codes({ body: '{"a":{id}' }), [
    'sink.webhook.invalid_body `body` is not JSON once its placeholders are filled',
  ])
  assert.match(codes({ body: '{"a":{@dat}}' })[0]!, /no value of an event; did you mean "@data"\?/)
  assert.match(codes({ url: 'https://{name}.example.com/' })[0]!, /`allow_hosts` does not say/)
  assert.match(codes({ url: '{name}://example.com/' })[0]!, /`url`/)
  assert.deepEqual(
    codes({ url: 'https://{name}.example.com/', allow_hosts: ['*.example.com'] }),
    [],
  )
  assert.match(codes({ content_type: 'text/plain' })[0]!, /the usual body is JSON/)
})

test('an unknown column stops the topic, with the name that was meant', async () => {
  await using sink = await openSink('http://127.0.0.1:9/{nam}')
  const to = batchOf([]).schema
  await assert.rejects(sink.evolve('s.t', { from: null, to, agreed: [] }, forever), {
    code: 'sink.webhook.unknown_column',
    message: 's.t has no column {nam}; did you mean "name"?',
  })
})

test('a host from the row goes only where `allow_hosts` says (SSRF)', async () => {
  const { reasons } = await (async () => {
    await using sink = await openSink('http://{name}.example.com/', {
      allow_hosts: ['shop-*.example.com'],
      timeout: '100ms',
    })
    const names = ['evil.org/', 'evil.org#', 'intern', 'a@b', '127.0.0.1']
    const changes = names.map((name, i): Change => ['+', 'insert', i, name])
    const { rejected } = await sink.write(sinkBatch(batchOf(changes)), forever)
    return { reasons: rejected.map(({ code }) => code) }
  })()
  assert.deepEqual(
    reasons,
    Array.from({ length: 5 }, () => 'sink.webhook.unfillable'),
  )
})

test('text without placeholders comes back as it is', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/\{\{|\{@?[\p{L}_]/u.test(text))
      const { template } = parseTemplate(text, false)
      assert.equal(sampleOf(template!, false), text)
    }),
  )
})
