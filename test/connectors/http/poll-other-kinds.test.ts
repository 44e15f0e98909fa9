/**
 * Answers that are not what they should be, with status 200: none of them becomes rows, dead letters or
 * deletes (invariant 5), and what is said of them leads to the cure. And a topic that has to be mended keeps
 * no other one back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import { quietContext } from '../../support/context.ts'
import { ApiServer, type Reply } from './api-server.ts'
import { Life } from './polling.ts'

const schema = { id: 'int64' }

function items(server: ApiServer, more: Record<string, unknown> = {}): object {
  return { url: `${server.origin}/items`, every: '100ms', schema, ...more }
}

const page = '<!doctype html>\n<html><body>Please log in</body></html>\n'

for (const [what, more, reply, reason, remedy] of [
  [
    'a page for people',
    {},
    { headers: { 'content-type': 'text/html; charset=utf-8' }, body: page },
    /it is a page or XML \(text\/html; charset=utf-8\), no JSON$/,
    /`url` or `auth`/,
  ],
  [
    'a page where lines were expected',
    { format: 'ndjson' },
    { body: `\ufeff \n${page}` },
    /it is a page or XML.*, no lines of JSON$/,
    /`url` or `auth`/,
  ],
  [
    'a page where CSV was expected',
    { format: 'csv' },
    { headers: { 'content-type': 'text/html' }, body: page },
    /it is a page or XML \(text\/html\), no CSV$/,
    /`url` or `auth`/,
  ],
  [
    'lines where one JSON was expected',
    {},
    { body: '{"id":1}\r\n{"id":2}\r\n' },
    /not JSON: a second value, where one may be \(several are NDJSON\), at byte 10$/,
    /`format: ndjson`/,
  ],
  [
    'an array where lines were expected',
    { format: 'ndjson' },
    { body: ' [{"id":1}]' },
    /it is one JSON array/,
    /`format: json`/,
  ],
  [
    'JSON where CSV was expected',
    { format: 'csv' },
    { headers: { 'content-type': 'application/json' }, body: '{"id":1}' },
    /it is JSON \(application\/json\), no CSV/,
    /`format: json`/,
  ],
  ['half of a JSON', {}, { body: '[{"id":1}' }, /not JSON: /, /correct `format`/],
] as readonly (readonly [string, object, Reply, RegExp, RegExp])[]) {
  test(`asked again, and no record of it: ${what}`, async () => {
    await using server = await ApiServer.start(() => reply)
    const config = http.config.parse({ poll: { items: items(server, { ...more }) } })
    const [problem, ...others] = await http.check(config, quietContext())
    assert.deepEqual(others, [])
    assert.deepEqual([problem!.code, problem!.severity], ['http.poll.answer', 'warning'])
    assert.match(problem!.message, reason)
    assert.match(problem!.remedy, remedy)

    await using life = await Life.start({ poll: { items: items(server, { ...more }) } })
    const next = life.next().then(() => life.next())
    while (server.asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    server.handler = () => ({ body: '' })
    await next
    assert.deepEqual(life.kept.rows('items'), [])
    assert.deepEqual(life.kept.rejected, [])
  })
}

test('an error that says 200 in the middle of a listing ends no listing', async () => {
  let broken: Reply | null = null
  const pages = [[1, 2], [3, 4], [5]]
  await using server = await ApiServer.start(({ query }) => {
    const number = Number(query.get('p'))
    if (number === 2 && broken !== null) {
      const reply = broken
      broken = null
      return reply
    }
    return { body: { d: (pages[number - 1] ?? []).map((id) => ({ id })) } }
  })
  const listing = items(server, {
    key: ['id'],
    deletes: 'full_listing',
    deletes_after: 1,
    deletes_max: 1,
    records: '$.d',
    pagination: { type: 'page', parameter: 'p', size: 2 },
  })
  await using life = await Life.start({ poll: { items: listing } })
  await life.runs('items')
  for (const reply of [{ body: { error: 'come again' } }, { body: '' }]) {
    broken = reply
    await life.runs('items')
    assert.equal(broken, null)
    assert.deepEqual(life.kept.folded('items'), ['1', '2', '3', '4', '5'])
  }
  pages[2] = []
  await life.runs('items')
  assert.deepEqual(life.kept.folded('items'), ['1', '2', '3', '4'])
})

test('a topic that has to be mended waits for it beside the others, and goes on by itself', async () => {
  let refused = true
  await using server = await ApiServer.start(({ path }) => {
    if (path === '/secret' && refused) return { status: 403 }
    if (path === '/round' && refused) return { headers: { link: '</round>; rel=next' }, body: [] }
    return { body: [{ id: 1 }] }
  })
  const waits: number[] = []
  let nowMs = 1_700_000_000_000
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number, signal: AbortSignal) => {
      nowMs += ms
      if (ms > 50_000) waits.push(ms)
      await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 20)))
      signal.throwIfAborted()
    },
  }
  const poll = {
    items: items(server, { key: ['id'] }),
    secret: items(server, { url: `${server.origin}/secret`, key: ['id'] }),
    round: items(server, {
      url: `${server.origin}/round`,
      key: ['id'],
      pagination: { type: 'link' },
    }),
  }
  await using life = await Life.start({ poll }, { context: { clock } })
  await life.until(() => life.kept.rows('items').length === 1 && waits.length >= 4)
  assert.deepEqual([life.kept.rows('secret'), life.kept.rows('round')], [[], []])
  assert.ok(life.context.hasLogged('answered 403'))
  assert.ok(life.context.hasLogged('leads back'))
  refused = false
  await life.until(() => life.kept.rows('secret').length + life.kept.rows('round').length === 2)
  assert.equal(life.context.reports.at(-1)?.state, 'running')
})

test('a topic with more rows than are remembered turns nobody else away', async () => {
  // Neither pages nor a stream: what they take for known was not written.
  let rows = 1
  await using server = await ApiServer.start(({ path }, response) => {
    const ids = Array.from({ length: rows }, (_, id) => ({ id: id + 1 }))
    if (path === '/items') return { body: ids.slice(0, 1) }
    if (path === '/listing') return { body: ids }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.end(ids.map((row) => `${JSON.stringify(row)}\n`).join(''))
    return null
  })
  const listing = {
    url: `${server.origin}/listing`,
    key: ['id'],
    deletes: 'full_listing',
    max_keys: 1000,
  }
  const feed = {
    url: `${server.origin}/feed`,
    every: undefined,
    stream: 'ndjson',
    since: { field: 'id', parameter: 'from', overlap: 1_000_000 },
    max_keys: 1000,
  }
  const poll = { items: items(server), listing: items(server, listing), feed: items(server, feed) }
  await using life = await Life.start({ poll })
  await life.until(() => ['listing', 'feed'].every((topic) => life.kept.rows(topic).length === 1))
  rows = 1001
  const inTrouble = (topic: string): boolean =>
    life.context.hasLogged(`"about":"${topic}","code":"http.poll.too_many_keys"`)
  await life.until(() => inTrouble('listing') && inTrouble('feed'))
  const before = life.kept.rows('items').length
  await life.until(() => life.kept.rows('items').length > before + 3)
  const { length: asked } = server.asked.filter(({ path }) => path !== '/items')
  await life.until(() => life.kept.rows('items').length > before + 20)
  assert.equal(server.asked.filter(({ path }) => path !== '/items').length, asked)
  // Alone it ends the source, which begins anew with what is in the log.
  await using alone = await Life.start({ poll: { listing: items(server, listing) } })
  await assert.rejects(
    alone.until(() => false),
    { code: 'http.poll.too_many_keys' },
  )
})

test('an answer of which almost nothing fits is asked for again, and is no flood of letters (invariant 8)', async () => {
  let id: unknown = 'x'
  const count = 10_001
  await using server = await ApiServer.start(() => ({
    body: Array.from({ length: count }, (_, at) => ({ id: at % 2 === 0 ? id : at })).concat(
      Array.from({ length: count }, () => ({ id })),
    ),
  }))
  const poll = { items: items(server, { key: ['id'] }) }
  {
    await using life = await Life.start({ poll })
    await life.next()
    await assert.rejects(life.next(), {
      code: 'http.poll.unfit_records',
      fault: 'config',
      message: /more than 10000 records of an answer do not fit; the first: items, record 0 of/,
    })
    assert.deepEqual(life.kept.rejected, [])
  }
  // Beside another topic it waits for its cure, and then has all of its rows.
  let nowMs = 1_700_000_000_000
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number, signal: AbortSignal) => {
      nowMs += ms
      if (ms > 50_000) id = 0
      await new Promise((resolve) => setTimeout(resolve, 1))
      signal.throwIfAborted()
    },
  }
  await using other = await ApiServer.start(() => ({ body: [{ id: 1 }] }))
  const both = { poll: { ...poll, others: items(other, { key: ['id'] }) } }
  id = 'x'
  await using life = await Life.start(both, { context: { clock } })
  await life.runs('items')
  assert.equal(life.kept.folded('items').length, 1 + (count - 1) / 2)
  assert.deepEqual([life.kept.rejected, life.kept.rows('others')], [[], ['1']])
})

test('the check tells streams that are none, and first pages that lead nowhere', async () => {
  const many = Array.from({ length: 5000 }, (_, id) => ({ id: id < 4000 ? id : 'x' }))
  await using server = await ApiServer.start(({ path }) =>
    path === '/many' ? { body: many } : { body: { d: many.slice(0, 20), meta: { next: 'x' } } },
  )
  const of = (name: string, more: object): object => ({ url: `${server.origin}/${name}`, ...more })
  const pagination = { type: 'cursor', next: '$.meta.cursor', parameter: 'c' }
  const config = http.config.parse({
    poll: {
      stream: of('paged', { stream: 'sse', schema }),
      paged: of('paged', { every: '1s', records: '$.d', schema, pagination }),
      fine: of('paged', {
        every: '1s',
        records: '$.d',
        schema,
        pagination: { ...pagination, next: '$.meta.next' },
      }),
      many: of('many', { every: '1s', schema: { id: 'bool' } }),
    },
  })
  const problems = await http.check(config, quietContext())
  assert.deepEqual(
    problems.map(({ code, severity, message }) => [code, severity, message]),
    [
      [
        'http.poll.answer',
        'warning',
        'poll.stream: the answer is no stream of events, but application/json',
      ],
      [
        'http.poll.one_page',
        'warning',
        'poll.paged: $.meta.cursor names no page behind the first, which has 20 records',
      ],
      [
        'http.poll.unfit_records',
        'warning',
        'poll.many: 1000 of 1000 records do not fit; the first: many, record 0 of an answer: id: expected bool, true or false',
      ],
    ],
  )
})

test('a list of one page is not taken for the first of many where it is not', async () => {
  const of = (count: number) => Array.from({ length: count }, (_, id) => ({ id }))
  const answers: Readonly<Record<string, Reply>> = {
    // Says that it ends, or is short of any page.
    null: { body: { d: of(20), next: null } },
    empty: { body: { d: of(20), next: '' } },
    short: { body: { d: of(17) } },
    few: { body: { d: of(8) } },
    more: { body: { d: of(20), more: false } },
    // As full as a page is, and nothing where `next` looks for it.
    missing: { body: { d: of(20), cursor: 'x' } },
    object: { body: { d: of(25), next: { cursor: 'x' } } },
    asked: { body: { d: of(17) } },
    links: { headers: { link: '</links?page=0>; rel="first"' }, body: { d: of(20) } },
    link: { body: { d: of(20) } },
  }
  await using server = await ApiServer.start(({ path }) => answers[path.slice(1)]!)
  const pagination = { type: 'cursor', next: '$.next', parameter: 'c' }
  const poll = Object.fromEntries(
    Object.keys(answers).map((name) => [
      name,
      items(server, {
        url: `${server.origin}/${name}${name === 'asked' ? '?limit=17' : ''}`,
        records: '$.d',
        pagination: name.startsWith('link')
          ? { type: 'link' }
          : { ...pagination, ...(name === 'more' && { more: '$.more' }) },
      }),
    ]),
  )
  const problems = await http.check(http.config.parse({ poll }), quietContext())
  assert.deepEqual(
    problems.map(({ code, message }) => [code, /^poll\.(\w+)/.exec(message)?.[1]]),
    ['missing', 'object', 'asked', 'link'].map((name) => ['http.poll.one_page', name]),
  )
})
