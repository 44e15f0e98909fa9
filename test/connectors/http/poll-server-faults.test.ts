/**
 * Servers that are slow, rude, full, moved or not who they say: each is waited for or refused with its
 * reason, and no secret is told (invariants 5 and 8).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, brotliCompressSync, deflateSync, zstdCompressSync } from 'node:zlib'
import { http } from '../../../connectors/http/connector.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { quietContext } from '../../support/context.ts'
import { ApiServer, type Handler, type Reply } from './api-server.ts'
import { Life } from './polling.ts'

const schema = { id: 'int64' }

function items(server: ApiServer, more: Record<string, unknown> = {}): unknown {
  return { poll: { items: { url: `${server.origin}/items`, every: '100ms', schema, ...more } } }
}

/** The error that stops a source. */
async function stopped(config: unknown): Promise<SluiceError> {
  await using life = await Life.start(config)
  try {
    for (;;) await life.next()
  } catch (error) {
    assert.ok(error instanceof SluiceError, String(error))
    return error
  }
}

const quick = (asked: number[]): object => ({
  clock: {
    nowMs: () => 1_700_000_000_000 + asked.reduce((sum, ms) => sum + ms, 0),
    sleep: async (ms: number, signal: AbortSignal) => {
      asked.push(ms)
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
    },
  },
})

test('what passes is asked for again, for as long as it takes, and as late as the server says', async () => {
  const replies: readonly Reply[] = [
    { status: 503 },
    { status: 429, headers: { 'retry-after': '7' } },
    { status: 429, headers: { 'retry-after': 'Tue, 14 Nov 2023 22:14:20 GMT' } },
    { status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1700000200' } },
    { status: 408 },
    { status: 425 },
    { status: 500, body: 'oops' },
    { body: '<html>not now</html>' },
    { body: '{"error":"try later"}' },
    { body: '{"data":{"items":[{"id":1}]}}' },
  ]
  let at = 0
  await using server = await ApiServer.start(() => replies[Math.min(at++, replies.length - 1)]!)
  const waits: number[] = []
  await using life = await Life.start(items(server, { every: '1h', records: '$.data.items' }), {
    context: quick(waits),
  })
  await life.runs('items')
  assert.deepEqual(life.kept.rows('items'), ['1'])
  assert.equal(at, replies.length)
  // 7 s; until the time that was said; until the limit begins anew.
  const long = waits.filter((ms) => ms > 4000)
  assert.equal(long[0], 7000)
  assert.ok(waits.reduce((sum, ms) => sum + ms, 0) >= 200_000)
  assert.ok(life.context.hasLogged('answered 503'))
  assert.ok(life.context.reports.some(({ state }) => state === 'retrying'))
  assert.equal(life.context.reports.at(-1)?.state, 'running')
})

test('a server that is away, breaks off, or does not end in time, is asked again', async () => {
  let asked = 0
  await using server = await ApiServer.start((_, response) => {
    asked++
    if (asked === 1) return (response.destroy(), null)
    if (asked === 2)
      return (response.writeHead(200, { 'content-length': 99 }).write('[{"id"'), null)
    if (asked === 3) {
      response.writeHead(200, { 'content-length': 99 }).write('[')
      setTimeout(() => response.destroy(), 5)
      return null
    }
    return { body: [{ id: 1 }] }
  })
  await using life = await Life.start(items(server, { timeout: '1s' }))
  await life.runs('items')
  assert.deepEqual(life.kept.rows('items'), ['1'])
  // Once more for each answer that a machine that stood still did not read in time.
  assert.ok(asked >= 4)
})

test('our own rate and the limits of the server space requests out', async () => {
  const waits: number[] = []
  await using server = await ApiServer.start(({ query }) => ({
    headers: query.get('p') === '3' ? { ratelimit: '"default";r=0;t=30' } : {},
    body: Number(query.get('p')) < 5 ? [{ id: 1 }, { id: Number(query.get('p')) }] : [],
  }))
  const pagination = { type: 'page', parameter: 'p' }
  await using life = await Life.start(items(server, { every: '1h', rate: '30/m', pagination }), {
    context: quick(waits),
  })
  await life.runs('items')
  assert.deepEqual(waits, [2000, 2000, 30_000, 2000])
})

for (const [what, handler, more, code, pattern] of [
  ['401', () => ({ status: 401 }), {}, 'http.poll.auth', /answered 401/],
  ['403', () => ({ status: 403 }), {}, 'http.poll.auth', /answered 403/],
  ['404', () => ({ status: 404 }), {}, 'http.poll.refused', /answered 404/],
  ['400', () => ({ status: 400 }), {}, 'http.poll.refused', /answered 400/],
  [
    'too much',
    () => ({ body: '[' + ' '.repeat(5000) + ']' }),
    { max_response: '4kB' },
    'http.poll.too_large',
    /4000 bytes/,
  ],
  [
    'a bomb',
    () => ({
      headers: { 'content-encoding': 'gzip' },
      body: gzipSync(Buffer.alloc(50 << 20, 0x20)),
    }),
    { max_response: '1MiB' },
    'http.poll.too_large',
    /1048576 bytes/,
  ],
  [
    'elsewhere',
    () => ({ status: 302, headers: { location: 'http://127.0.0.2:1/x?secret' } }),
    {},
    'http.poll.redirect',
    /redirects to http:\/\/127\.0\.0\.2:1$/,
  ],
  [
    'round and round',
    () => ({ status: 307, headers: { location: '/items' } }),
    {},
    'http.poll.redirect',
    /more than 5 times/,
  ],
  [
    'a next page elsewhere',
    () => ({ headers: { link: '<http://169.254.169.254/latest>; rel=next' }, body: [{ id: 1 }] }),
    { pagination: { type: 'link' } },
    'http.poll.foreign_host',
    /169\.254\.169\.254/,
  ],
  [
    'a next page that is a file',
    () => ({ headers: { link: '<file:///etc/passwd>; rel=next' }, body: [{ id: 1 }] }),
    { pagination: { type: 'link' } },
    'http.poll.foreign_host',
    /next page/,
  ],
  [
    'the same cursor',
    () => ({ body: { d: [{ id: 1 }], next: 'a' } }),
    { records: '$.d', pagination: { type: 'cursor', next: '$.next', parameter: 'c' } },
    'http.poll.loop',
    /leads back/,
  ],
  [
    'the same page',
    () => ({ body: [{ id: 1 }] }),
    { pagination: { type: 'page', parameter: 'p' } },
    'http.poll.loop',
    /are the same/,
  ],
  [
    'cursors in a circle',
    ({ query }) => ({ body: { d: [{ id: 1 }], next: String((Number(query.get('c')) + 1) % 4) } }),
    { records: '$.d', pagination: { type: 'cursor', next: '$.next', parameter: 'c' } },
    'http.poll.loop',
    /leads back/,
  ],
  [
    'no end',
    ({ query }) => ({ body: [{ id: Number(query.get('p')) }] }),
    { max_pages: 7, pagination: { type: 'page', parameter: 'p' } },
    'http.poll.too_many_pages',
    /more than 7 pages/,
  ],
] as readonly (readonly [string, Handler, object, string, RegExp])[]) {
  test(`stops, and says why: ${what}`, async () => {
    await using server = await ApiServer.start(handler)
    const config = { ...more, url: `${server.origin}/items?token=s3cr3t` }
    const error = await stopped(items(server, config))
    assert.deepEqual([error.code, error.fault], [code, 'config'])
    assert.match(error.message, pattern)
    assert.doesNotMatch(`${error.message} ${error.remedy} ${String(error.stack)}`, /s3cr3t|secret/)
  })
}

test('redirects within the host are followed, to allowed hosts without credentials', async () => {
  await using other = await ApiServer.start(() => ({ body: [{ id: 2 }] }))
  await using server = await ApiServer.start(({ path }) => {
    if (path === '/items') return { status: 308, headers: { location: '/new' } }
    if (path === '/new') return { status: 302, headers: { location: `${other.origin}/x` } }
    return { status: 500 }
  })
  const config = items(server, {
    every: '1h',
    auth: { scheme: 'bearer', token: 's3cr3t' },
    headers: { 'X-Key': 's3cr3t' },
    allow_hosts: [`127.0.0.1:${other.port}`],
  })
  await using life = await Life.start(config)
  await life.runs('items')
  assert.deepEqual(life.kept.rows('items'), ['2'])
  assert.equal(server.asked[1]!.headers['authorization'], 'Bearer s3cr3t')
  assert.equal(other.asked.length, 1)
  assert.doesNotMatch(JSON.stringify(other.asked), /s3cr3t/)
})

test('packed answers are unpacked', async () => {
  const codings = {
    gzip: gzipSync,
    br: brotliCompressSync,
    deflate: deflateSync,
    zstd: zstdCompressSync,
  }
  const names = Object.keys(codings)
  await using server = await ApiServer.start(({ query }) => {
    const at = Number(query.get('p'))
    const name = names[at]
    if (name === undefined) return { body: '[]' }
    const body = codings[name as 'gzip'](Buffer.from(JSON.stringify([{ id: at }])))
    return { headers: { 'content-encoding': name }, body }
  })
  const pagination = { type: 'page', parameter: 'p', first: 0 }
  await using life = await Life.start(items(server, { every: '1h', pagination }))
  await life.runs('items')
  assert.deepEqual(life.kept.rows('items'), ['0', '1', '2', '3'])
})

test('a certificate is verified, and `ca` is what it is verified by', async () => {
  const authority = makeAuthority('ours')
  const tls = makeCertificate(['127.0.0.1'], authority)
  await using server = await ApiServer.start(() => ({ body: [{ id: 1 }] }), { tls })
  const error = await stopped(items(server))
  assert.equal(error.code, 'http.poll.tls')
  await using life = await Life.start(items(server, { ca: authority.cert }))
  await life.runs('items')
  assert.deepEqual(life.kept.rows('items'), ['1'])
})

test('preflight says what is wrong, and asks once', async () => {
  const cases: readonly (readonly [Handler, Record<string, unknown>, readonly string[]])[] = [
    [() => ({ body: [{ id: 1 }] }), {}, []],
    [() => ({ body: [] }), {}, []],
    [() => ({ body: { x: [] } }), { records: '$.data' }, ['http.poll.no_records warning']],
    [() => ({ body: [{ id: 'x' }] }), {}, ['http.poll.unfit_records warning']],
    [() => ({ status: 401 }), {}, ['http.poll.auth error']],
    [() => ({ status: 503 }), {}, ['http.poll.unavailable warning']],
    [() => ({ status: 404 }), { stream: 'sse', every: undefined }, ['http.poll.refused error']],
    [() => ({ body: '[]' }), { schema: undefined }, ['http.poll.no_schema error']],
  ]
  for (const [handler, more, expected] of cases) {
    await using server = await ApiServer.start(handler)
    const problems = await http.check(http.config.parse(items(server, more)), quietContext())
    assert.deepEqual(
      problems.map(({ code, severity }) => `${code} ${severity}`),
      expected,
    )
    assert.equal(server.asked.length, 'schema' in more ? 0 : 1)
  }
  await using gone = await ApiServer.start(() => ({}))
  const config = http.config.parse(items(gone))
  await gone[Symbol.asyncDispose]()
  const problems = await http.check(config, quietContext())
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['http.poll.unreachable'],
  )
})
