/** Requests become rows: kinds of bodies, columns beside them, and what is said of rows that do not fit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { HttpHub, orders, sorted } from './support.ts'

const json = { 'content-type': 'application/json' }

test('an object, an array, lines and a form are rows', async () => {
  await using hub = await HttpHub.start({
    config: orders({ schema: { id: 'int64', note: 'text?', paid: 'bool?', tags: 'list<text>?' } }),
  })
  const sent: readonly (readonly [string, string, number])[] = [
    ['application/json', '{"id":1,"note":"a","x":[{}]}', 1],
    ['application/json; charset=utf-8', ' [{"id":2},{"id":9223372036854775807,"note":"ü\\n"}] ', 2],
    ['application/x-ndjson', '{"id":4}\n\r\n{"id":5,"tags":["a","b"]}\r\n', 2],
    ['application/x-www-form-urlencoded', 'id=6&note=a+b%20c%26&paid=on&tags=x&tags=y&other=1', 1],
    ['application/x-www-form-urlencoded', 'id=7&note=&tags=one&paid=', 1],
    // What `curl -d` says of any body.
    ['application/x-www-form-urlencoded', ' {"id":8}', 1],
    ['application/x-www-form-urlencoded', '[{"id":9}]', 1],
    // GitHub's form.
    [
      'application/x-www-form-urlencoded',
      'payload=%7B%22id%22%3A12%2C%22note%22%3A%22a+b%22%7D',
      1,
    ],
    ['text/plain', '{"id":10}', 1],
    ['', '{"id":11}', 1],
    ['application/json', '[]', 0],
  ]
  for (const [type, body, accepted] of sent) {
    const answer = await hub.send(body, { headers: type === '' ? {} : { 'content-type': type } })
    assert.deepEqual([answer.status, answer.json], [200, { accepted }], `${type} ${answer.text}`)
  }
  assert.deepEqual(await hub.rows('orders'), [
    ['1', 'a', null, null],
    ['2', null, null, null],
    ['9223372036854775807', 'ü\n', null, null],
    ['4', null, null, null],
    ['5', null, null, '{a,b}'],
    ['6', 'a b c&', 't', '{x,y}'],
    ['7', '', null, '{one}'],
    ['8', null, null, null],
    ['9', null, null, null],
    ['12', 'a b', null, null],
    ['10', null, null, null],
    ['11', null, null, null],
  ])
})

test('a form of payload alone is a form where there is a column of this name, or more beside it', async () => {
  await using hub = await HttpHub.start({
    config: orders({ schema: { payload: 'json?', id: 'int64?' } }),
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  for (const body of ['payload=%7B%22id%22:1%7D', 'payload=%7B%22id%22:1%7D&id=2']) {
    assert.equal((await hub.send(body, { headers })).status, 200)
  }
  assert.deepEqual(await hub.rows('orders'), [
    ['{"id":1}', null],
    ['{"id":1}', '2'],
  ])
})

test('letters of another encoding are refused, not changed', async () => {
  const columns = { who: 'query.who' }
  await using hub = await HttpHub.start({ config: orders({ columns }) })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  for (const body of ['id=1&note=M%FCller', Buffer.from('id=1&note=M\u00fcller', 'latin1')]) {
    const answer = await hub.send(body, { headers })
    assert.deepEqual([answer.status, answer.json['code']], [400, 'http.malformed'])
  }
  const asked = await hub.send('{"id":1}', { path: '/in?who=M%FCller' })
  assert.deepEqual([asked.status, asked.json['code']], [400, 'http.target'])
  // What is no encoding at all is text.
  const sent = await hub.send('id=2&note=100%+M%C3%BCller', { headers, path: '/in?who=5%&x=%zz' })
  assert.deepEqual(sent.json, { accepted: 1 })
  const named = await hub.send('id=3&note=ü', { headers, path: '/in?who=%C3%BC' })
  assert.deepEqual(named.json, { accepted: 1 })
  assert.deepEqual(await hub.rows('orders'), [
    ['2', '100% Müller', '5%'],
    ['3', 'ü', 'ü'],
  ])
})

test('CSV with a header of each request, text and bytes', async () => {
  const schema = { id: 'int64', note: 'text?' }
  await using hub = await HttpHub.start({
    config: {
      push: {
        sheet: { path: '/csv', auth: 'none', format: 'csv', csv: { header: true }, schema },
        plain: { path: '/plain', auth: 'none', format: 'csv', csv: { delimiter: ';' }, schema },
        words: { path: '/text', auth: 'none', format: 'text' },
        blobs: { path: '/bytes', auth: 'none', format: 'bytes' },
      },
    },
  })
  const answers = await Promise.all([
    hub.send('id,note\n1,a\n2,"b,""\n"\n', { path: '/csv' }),
    hub.send('note,other,id\r\nc,x,3\r\n', { path: '/csv' }),
    hub.send('4;d\n5;\n', { path: '/plain' }),
    hub.send('hello\nworld', { path: '/text' }),
    hub.send(Buffer.from([0, 255]), { path: '/bytes' }),
  ])
  assert.deepEqual(
    answers.map(({ json }) => json),
    [{ accepted: 2 }, { accepted: 1 }, { accepted: 2 }, { accepted: 1 }, { accepted: 1 }],
  )
  assert.deepEqual(sorted(await hub.rows('sheet')), [
    ['1', 'a'],
    ['2', 'b,"\n'],
    ['3', 'c'],
  ])
  assert.deepEqual(await hub.rows('plain'), [
    ['4', 'd'],
    ['5', null],
  ])
  assert.deepEqual(await hub.rows('words'), [['hello\nworld']])
  assert.deepEqual(await hub.rows('blobs'), [['\\x00ff']])
  const bad = await hub.send('note\nx\n', { path: '/csv' })
  assert.equal(bad.status, 422)
  assert.match(bad.text, /id: is not in the header/)
})

test('packed bodies are unpacked', async () => {
  await using hub = await HttpHub.start({ config: orders() })
  const packers = {
    gzip: gzipSync,
    'x-gzip': gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
    identity: (body: Buffer) => body,
  }
  let id = 0
  for (const [coding, pack] of Object.entries(packers)) {
    const body = pack(Buffer.from(`{"id":${id++},"note":"${coding}"}`))
    const answer = await hub.send(body, { headers: { ...json, 'content-encoding': coding } })
    assert.equal(answer.status, 200, `${coding}: ${answer.text}`)
  }
  const raw = deflateRawSync(Buffer.from(`{"id":${id++},"note":"raw"}`))
  assert.equal((await hub.send(raw, { headers: { 'content-encoding': 'Deflate' } })).status, 200)
  const notes = (await hub.rows('orders')).map(([, note]) => note)
  assert.deepEqual(notes, [...Object.keys(packers), 'raw'])
})

test('a packed body is taken to its last byte, or not at all', async () => {
  await using hub = await HttpHub.start({ config: orders() })
  const parts = ['[{"id":1},', '{"id":2},', '{"id":3}]'].map((text) => Buffer.from(text))
  const send = (body: Buffer, coding: string) =>
    hub.send(body, { headers: { 'content-encoding': coding } })
  // A skippable frame (RFC 8878 §3.1.2) between those that hold something.
  const skippable = Buffer.from('502a4d180400000061626364', 'hex')
  const frames = parts.map((part) => zstdCompressSync(part))
  const zstd = Buffer.concat([skippable, frames[0]!, frames[1]!, skippable, frames[2]!])
  assert.deepEqual((await send(zstd, 'zstd')).json, { accepted: 3 })
  const gzip = Buffer.concat(parts.map((part) => gzipSync(part)))
  assert.deepEqual((await send(gzip, 'gzip')).json, { accepted: 3 })
  const padded = Buffer.concat([gzip, Buffer.alloc(512)])
  assert.deepEqual((await send(padded, 'gzip')).json, { accepted: 3 })
  const whole = Buffer.concat(parts)
  for (const [coding, pack] of Object.entries({
    gzip: gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
  })) {
    const body = pack(whole)
    for (const wrong of [
      Buffer.concat([body, Buffer.from('and more')]),
      body.subarray(0, -1),
      Buffer.alloc(0),
    ]) {
      const { status, json: said } = await send(wrong, coding)
      assert.deepEqual([status, said['code']], [400, 'http.content_encoding'], coding)
    }
  }
  const many = Buffer.concat(Array<Buffer>(2000).fill(zstdCompressSync(Buffer.from(' '))))
  assert.equal((await send(many, 'zstd')).status, 400)
  assert.equal((await hub.rows('orders')).length, 9)
})

test('a byte order mark is no part of a body', async () => {
  await using hub = await HttpHub.start({ config: orders() })
  for (const [body, accepted] of [
    ['\ufeff{"id":1}', 1],
    ['\ufeff [{"id":2},{"id":3}]', 2],
  ] as const) {
    assert.deepEqual((await hub.send(body)).json, { accepted }, body)
  }
  const headers = { 'content-type': 'application/x-ndjson' }
  assert.deepEqual((await hub.send('\ufeff{"id":4}\n{"id":5}', { headers })).json, { accepted: 2 })
})

test('columns of the path, headers, query and the request itself', async () => {
  const columns = {
    region: 'path.region',
    agent: 'header.User-Agent',
    page: 'query.page',
    at: 'received',
    ip: 'remote_address',
    k: 'idempotency_key',
  }
  await using hub = await HttpHub.start({
    config: orders({
      path: '/in/:region/x',
      schema: { id: 'int64' },
      key: ['region', 'id'],
      columns,
      idempotency: { from: 'query.k' },
    }),
    server: { trustProxy: ['127.0.0.1'] },
  })
  const headers = { ...json, 'user-agent': 'me/1', 'x-forwarded-for': '198.51.100.7' }
  const before = Date.now()
  await hub.send('[{"id":1},{"id":2}]', { path: '/in/eu%20west/x?page=a%26b&k=K', headers })
  await hub.send('{"id":3}', { path: '/in/us/x?k=L' })
  const rows = await hub.rows('orders')
  const at = (row: (string | null)[]): number => Date.parse(`${row[4]!.replace(' ', 'T')}:00`)
  for (const row of rows) assert.ok(at(row) >= before && at(row) <= Date.now(), row[4]!)
  assert.deepEqual(
    rows.map((row) => row.toSpliced(4, 1)),
    [
      ['1', 'eu west', 'me/1', 'a&b', '198.51.100.7', 'K'],
      ['2', 'eu west', 'me/1', 'a&b', '198.51.100.7', 'K'],
      ['3', 'us', null, null, '127.0.0.1', 'L'],
    ],
  )
})

test('a row that does not fit: the whole request is refused, the others beside it are not', async () => {
  await using hub = await HttpHub.start({ config: orders() })
  const bad = '[{"id":1},{"id":"x"},{"note":"y"},{"id":2}]'
  const answers = await Promise.all([
    hub.send('{"id":10}'),
    hub.send(bad, { headers: json }),
    hub.send('[{"id":11},{"id":12}]'),
    hub.send('{"id":1.5}'),
    hub.send('{"id":13}'),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 422, 200, 422, 200],
  )
  const { json: problem, headers } = answers[1]!
  assert.equal(headers['content-type'], 'application/problem+json')
  assert.equal(problem['status'], 422)
  assert.equal(problem['bad_rows'], 2)
  const errors = problem['errors'] as { index: number; code: string; detail: string }[]
  assert.deepEqual(
    errors.map(({ index, code }) => [index, code]),
    [
      [1, 'format.field'],
      [2, 'format.field'],
    ],
  )
  assert.match(errors[0]!.detail, /^id: expected int64/)
  assert.match(errors[1]!.detail, /^id: is missing/)
  const ids = (await hub.rows('orders')).map(([id]) => id)
  assert.deepEqual(sorted(ids), ['10', '11', '12', '13'])
})

test('with dead_letter the bad rows are set aside, and the others taken', async () => {
  await using hub = await HttpHub.start({
    config: orders({ on_bad_row: 'dead_letter', columns: { ip: 'remote_address' } }),
  })
  const answer = await hub.send('[{"id":1},{"id":"x"},{"id":2},7]', { headers: json })
  assert.deepEqual([answer.status, answer.json], [200, { accepted: 2, set_aside: 2 }])
  assert.deepEqual(
    (await hub.rows('orders')).map(([id]) => id),
    ['1', '2'],
  )
  const letters = await hub.rows('dead_letters')
  assert.equal(letters.length, 2)
  assert.match(letters.flat().join(' '), /expected int64/)
})

test('what is no JSON is malformed, wherever it breaks', async () => {
  await using hub = await HttpHub.start({ config: orders() })
  for (const body of [
    '',
    '   ',
    '{',
    '[',
    '[{"id":1}',
    '{"id":1}x',
    '[{"id":1},]',
    '{"id":01}',
    '"x"',
    '7',
    'null',
    '[\ufeff{"id":1}]',
    '{"id":1}\n{"id":2}',
  ]) {
    const answer = await hub.send(body, { headers: json })
    assert.equal(answer.status, 400, `${body}: ${answer.text}`)
  }
  assert.equal((await hub.send(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).status, 400)
  assert.deepEqual(await hub.rows('orders'), [])
})

test('methods and media types that are not taken', async () => {
  await using hub = await HttpHub.start({ config: orders() })
  for (const method of ['GET', 'DELETE', 'PATCH']) {
    const answer = await hub.send('', { method })
    assert.equal(answer.status, 405)
    assert.match(answer.headers.allow ?? '', /POST/)
  }
  assert.equal((await hub.send('{"id":1}', { method: 'PUT' })).status, 200)
  const form = { 'content-type': 'multipart/form-data; boundary=x' }
  assert.equal((await hub.send('--x', { headers: form })).status, 415)
  const coding = { 'content-encoding': 'compress' }
  assert.equal((await hub.send('x', { headers: coding })).status, 415)
  assert.equal((await hub.send('x', { headers: { 'content-encoding': 'gzip, br' } })).status, 415)
  assert.equal((await hub.send('x', { headers: { 'content-encoding': 'gzip' } })).status, 400)
})

test('Slack’s question is answered, and is no row', async () => {
  const { createHmac } = await import('node:crypto')
  await using hub = await HttpHub.start({
    config: orders({ auth: { scheme: 'slack', secret: 's' } }),
  })
  const send = (body: string): ReturnType<HttpHub['send']> => {
    const time = String(Math.floor(Date.now() / 1000))
    const digest = createHmac('sha256', 's').update(`v0:${time}:${body}`).digest('hex')
    const headers = { 'x-slack-signature': `v0=${digest}`, 'x-slack-request-timestamp': time }
    return hub.send(body, { headers })
  }
  const question = await send('{"token":"x","challenge":"c1","type":"url_verification"}')
  assert.deepEqual([question.status, question.text], [200, 'c1'])
  assert.equal((await send('{"id":1}')).status, 200)
  const forged = await hub.send('{"challenge":"c1","type":"url_verification"}')
  assert.equal(forged.status, 401)
  assert.match(forged.headers['www-authenticate'] ?? '', /Signature/)
  assert.equal((await hub.rows('orders')).length, 1)
})
