/**
 * Polls of a real server that changes under us: pages of every kind, what is new, what changed, what is
 * gone. Attacks invariants 2 (one position with its rows), 5 (nothing vanishes) and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiServer, type Handler } from './api-server.ts'
import { Kept, Life } from './polling.ts'

const schema = { id: 'int64', note: 'text?' }

/** One topic `items`, asked often. */
function items(server: ApiServer, more: Record<string, unknown> = {}): unknown {
  return { poll: { items: { url: `${server.origin}/items`, every: '100ms', schema, ...more } } }
}

test('records at a path, their numbers exact', async () => {
  const body = '{"data":{"items":[{"id":9007199254740993,"note":"a"},{"id":-9223372036854775808}]}}'
  await using server = await ApiServer.start(() => ({ body }))
  await using life = await Life.start(items(server, { records: '$.data.items' }))
  await life.runs('items')
  assert.deepEqual(life.kept.rows('items'), ['9007199254740993|a', '-9223372036854775808|null'])
  assert.equal(server.asked[0]!.headers['accept'], 'application/json, */*;q=0.5')
})

test('NDJSON and CSV, with columns of the answer', async () => {
  await using server = await ApiServer.start(({ path }) => ({
    headers: { 'x-region': 'eu' },
    body: path === '/csv' ? 'note,id\r\n"a,b",1\r\nc,2\r\n' : '{"id":1}\n\n{"id":2,"note":"x"}\n',
  }))
  const columns = { region: 'header.X-Region' }
  await using life = await Life.start({
    poll: {
      sheet: {
        url: `${server.origin}/csv`,
        every: '1h',
        format: 'csv',
        csv: { header: true },
        schema,
      },
      lines: { url: `${server.origin}/lines`, every: '1h', format: 'ndjson', schema, columns },
    },
  })
  await life.until(() => life.kept.batches.filter(({ batch }) => batch.rows > 0).length === 2)
  assert.deepEqual(life.kept.rows('sheet'), ['1|a,b', '2|c'])
  assert.deepEqual(life.kept.rows('lines'), ['1|null|eu', '2|x|eu'])
})

interface PageCase {
  readonly pagination: object
  readonly answer: Handler
  /** What was asked for, page by page. */
  readonly asked: readonly string[]
}

const all = [1, 2, 3, 4, 5].map((id) => ({ id }))
const pageCases: Readonly<Record<string, PageCase>> = {
  cursor: {
    pagination: { type: 'cursor', next: '$.meta.next', parameter: 'after' },
    answer: ({ query }) => {
      const from = Number(query.get('after') ?? 0)
      const next = from + 2 < all.length ? String(from + 2) : null
      return { body: { data: all.slice(from, from + 2), meta: { next } } }
    },
    asked: ['/items', '/items?after=2', '/items?after=4'],
  },
  page: {
    pagination: { type: 'page', parameter: 'p', size: 2, size_parameter: 'n' },
    answer: ({ query }) => {
      const from = (Number(query.get('p')) - 1) * 2
      return { body: { data: all.slice(from, from + 2) } }
    },
    asked: ['/items?p=1&n=2', '/items?p=2&n=2', '/items?p=3&n=2'],
  },
  offset: {
    pagination: { type: 'offset', parameter: 'skip' },
    answer: ({ query }) => {
      const from = Number(query.get('skip'))
      return { body: { data: all.slice(from, from + 3) } }
    },
    asked: ['/items?skip=0', '/items?skip=3', '/items?skip=5'],
  },
  link: {
    pagination: { type: 'link' },
    answer: ({ query }) => {
      const from = Number(query.get('from') ?? 0)
      const link = '</else>; rel=prev, <?from=3&x=a%2Cb>; title="a, b"; rel="last NEXT"'
      return { headers: from === 0 ? { link } : {}, body: { data: all.slice(from, from + 3) } }
    },
    asked: ['/items', '/items?from=3&x=a%2Cb'],
  },
  next_url: {
    pagination: { type: 'next_url', next: "$['next']" },
    answer: ({ path }) =>
      path === '/items'
        ? { body: { data: all.slice(0, 3), next: '/more' } }
        : { body: { data: all.slice(3), next: '' } },
    asked: ['/items', '/more'],
  },
}

for (const [type, { pagination, answer, asked }] of Object.entries(pageCases)) {
  test(`pages by ${type}, also when it is stopped after each of them`, async () => {
    await using server = await ApiServer.start(answer)
    const config = items(server, { records: '$.data', pagination, every: '1h' })
    {
      await using life = await Life.start(config)
      await life.runs('items')
      assert.deepEqual(
        life.kept.rows('items'),
        all.map(({ id }) => `${id}|null`),
      )
      assert.deepEqual(
        server.asked.map(({ url }) => url),
        asked,
      )
    }
    // A life for each page: it goes on with the next one, and asks for none again.
    server.asked.length = 0
    const kept = new Kept()
    for (const _ of asked) {
      await using life = await Life.start(config, { kept })
      const before = kept.position
      await life.until(() => kept.position !== before)
    }
    assert.deepEqual(
      kept.rows('items'),
      all.map(({ id }) => `${id}|null`),
    )
    assert.deepEqual(
      server.asked.map(({ url }) => url),
      asked,
    )
  })
}
