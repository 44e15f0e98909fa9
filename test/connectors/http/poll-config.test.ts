/** What the pipeline file may say of polls, and what it is told when it says something else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import { quietContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'
import { ApiServer } from './api-server.ts'
import { Kept, Life } from './polling.ts'
import { HttpHub } from './support.ts'

const schema = { id: 'int64', at: 'timestamptz', note: 'text?', ok: 'bool?' }

function problems(more: Record<string, unknown>): string[] {
  const topic = { url: 'https://h/x', every: '1m', schema, ...more }
  const parsed = http.config.safeParse({ poll: { t: topic } })
  if (parsed.success) return []
  return parsed.error.issues.map(({ path, message }) => `${path.slice(2).join('.')}: ${message}`)
}

test('what does not fit together is said, and where', () => {
  for (const [more, pattern] of [
    [{ every: undefined }, /^: say when/],
    [{ stream: 'sse' }, /^: only one of/],
    [{ every: undefined, cron: '61 * * * *' }, /^cron: /],
    [{ every: undefined, cron: '0 6 * * *', timezone: 'Mars/Base' }, /^timezone: /],
    [{ url: 'ftp://h/x' }, /^url: expected https/],
    [{ url: 'https://u:p@h/x' }, /^url: expected https/],
    [{ url: 'https://{{ cursor }}.h/x' }, /^url: expected https/],
    [{ url: 'https://h:99999/x' }, /^url: is no address/],
    [
      {
        auth: {
          scheme: 'oauth2',
          token_url: 'https://h:99999/t',
          client_id: 'c',
          client_secret: 's',
        },
      },
      /^auth\.token_url: is no address/,
    ],
    [{ every: undefined, stream: 'sse', records: '$.d' }, /^records: each event or line/],
    [{ url: 'https://h/{{ nwo }}' }, /^url: .*no value of a poll/],
    [{ body: '{}' }, /^body: a body needs/],
    [{ headers: { 'x-a': 'a\r\nb: c' } }, /^headers\.x-a: has a line break/],
    [{ records: '$..x' }, /^records: the path cannot go on/],
    [{ format: 'csv', records: '$.x' }, /^records: a path leads into/],
    [{ pagination: { type: 'cursor', next: '$.n' } }, /^pagination: say where it goes/],
    [
      { pagination: { type: 'page', parameter: 'p', size_parameter: 'n' } },
      /size_parameter: needs `size`/,
    ],
    [
      { format: 'ndjson', pagination: { type: 'next_url', next: '$.n' } },
      /^pagination\.next: a path/,
    ],
    [{ since: { field: 'nope', parameter: 's' } }, /^since\.field: `schema` has no column nope/],
    [{ since: { field: 'ok', parameter: 's' } }, /^since\.field: ok is bool/],
    [{ since: { field: 'id' } }, /^since: say where it goes/],
    [{ since: { field: 'id', parameter: 's', start: 'now' } }, /^since\.start: is no int64/],
    [{ since: { field: 'note', parameter: 's', overlap: 3 } }, /^since\.overlap: is for times/],
    [{ since: { field: 'id', parameter: 's', overlap: '5m' } }, /^since\.overlap: .*number/],
    [{ since: { field: 'at', parameter: 's', overlap: 5 } }, /^since\.overlap: .*duration/],
    [{ since: { field: 'id', parameter: 's', format: 'ms' } }, /^since\.format: is for timestamps/],
    [{ deletes: 'full_listing' }, /^deletes: needs `key`/],
    [
      { deletes: 'full_listing', key: ['id'], since: { field: 'at', parameter: 's' } },
      /^deletes: .*either/,
    ],
    [{ events: ['a'] }, /^events: is for/],
    [{ columns: { e: 'event' } }, /^columns\.e: is for/],
    [{ columns: { e: 'query.x' } }, /^columns\.e: expected received/],
    [{ key: ['nope'] }, /^key\.0: /],
    [{ cert: 'x' }, /^cert: /],
    [{ auth: { scheme: 'api_key', key: 'k' } }, /^auth: api_key needs either/],
    [{ rate: '5' }, /^rate: expected requests per time/],
    [{ evry: '1m' }, /evry/],
  ] as const) {
    const found = problems(more)
    assert.ok(
      found.some((one) => pattern.test(one)),
      `${JSON.stringify(more)}: ${found.join(' | ')}`,
    )
  }
  for (const more of [
    {},
    { schema: undefined },
    { every: undefined, cron: '*/5 * * * *' },
    { since: { field: 'at', parameter: 's', overlap: '5m', start: '2026-01-01' } },
    { since: { field: 'id', parameter: 's', overlap: 5, start: 7 } },
    { method: 'POST', body: '{"c": {{ cursor }}}', pagination: { type: 'cursor', next: '$.n' } },
    { key: ['region', 'id'], columns: { region: 'header.x-region' } },
  ]) {
    assert.deepEqual(problems(more), [], JSON.stringify(more))
  }
  const twice = {
    push: { t: { path: '/t', auth: 'none', schema } },
    poll: { t: { url: 'https://h', every: '1m' } },
  }
  assert.match(
    JSON.stringify(http.config.safeParse(twice).error?.issues),
    /is a topic of push already/,
  )
})

test('a schema is read off an answer, of any format', async () => {
  await using server = await ApiServer.start(({ path }, response) => {
    if (path === '/csv') return { body: 'id,name\n1,a\n2,\n' }
    if (path === '/sse') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: other\ndata: {"y":1}\n\n')
      response.write(
        'event: row\ndata: {"id":1}\n\nevent: row\ndata: {"id":2,"x":"2026-01-01T00:00:00Z"}\n\n',
      )
      return null
    }
    return {
      body: '{"d":{"rows":[{"id":9007199254740993,"price":1.50,"tags":["a"]},{"id":2,"price":2}]}}',
    }
  })
  const infer = async (topic: string, recordsMax = 2) => {
    const config = http.config.parse({
      poll: {
        json: { url: `${server.origin}/json`, every: '1m', records: '$.d.rows' },
        csv: { url: `${server.origin}/csv`, every: '1m', format: 'csv', csv: { header: true } },
        sse: { url: `${server.origin}/sse`, stream: 'sse', events: ['row'] },
      },
    })
    const question = { topic, recordsMax }
    return http.inferSchema!(config, question, quietContext(), AbortSignal.timeout(60_000))
  }
  const { schema, records, path } = await infer('json')
  assert.deepEqual(
    [Object.keys(schema), records, path],
    [['id', 'price', 'tags'], 2, ['poll', 'json']],
  )
  assert.equal(schema['id'], 'int64')
  assert.deepEqual(Object.keys((await infer('csv')).schema), ['id', 'name'])
  assert.deepEqual(Object.keys((await infer('sse')).schema), ['id', 'x'])
  await assert.rejects(infer('nope'), { code: 'http.invalid_config' })
})

test('rows that are pushed and rows that are polled share a source and its position', async () => {
  let rows = [{ id: 1 }]
  await using server = await ApiServer.start(() => ({ body: rows }))
  const config = {
    push: { orders: { path: '/in', auth: 'none', schema: { id: 'int64' } } },
    poll: {
      items: { url: `${server.origin}/i`, every: '100ms', schema: { id: 'int64' }, key: ['id'] },
      others: { url: `${server.origin}/o`, every: '100ms', schema: { id: 'int64' }, key: ['id'] },
    },
  }
  let { log } = await (async () => {
    await using hub = await HttpHub.start({ config })
    assert.equal((await hub.send('[{"id":7},{"id":8}]')).status, 200)
    await waitFor('what is polled', async () => (await hub.rows('others')).length === 1)
    assert.deepEqual(await hub.rows('orders'), [['7'], ['8']])
    return hub
  })()
  rows = [{ id: 1 }, { id: 2 }]
  await using hub = await HttpHub.start({ config, log })
  assert.equal((await hub.send('{"id":9}')).status, 200)
  await waitFor('what is new', async () => (await hub.rows('items')).length >= 2)
  // What is known is read back from the real log.
  assert.deepEqual(await hub.rows('items'), [['1'], ['2']])
  assert.deepEqual(await hub.rows('orders'), [['7'], ['8'], ['9']])
})

test('what was set aside is read again, and is what is known then', async () => {
  let note: unknown = 5
  await using server = await ApiServer.start(() => ({ body: [{ id: 1, n: note }] }))
  const config = (type: string): unknown => ({
    poll: {
      items: {
        url: `${server.origin}/i`,
        every: '100ms',
        schema: { id: 'int64', n: type },
        key: ['id'],
        columns: { from: 'header.x-from' },
      },
    },
  })
  const kept = new Kept()
  note = 'five'
  {
    await using life = await Life.start(config('int32'), { kept })
    await life.runs('items')
    assert.match(kept.rejected[0]!.messages[0]!, /^items, record 0 of an answer: n: /)
    assert.doesNotMatch(kept.rejected[0]!.messages[0]!, /five/)
  }
  note = 'six'
  await using life = await Life.start(config('text'), { kept })
  await life.runs('items')
  const again = (await life.source.decodeAgain!(
    'items',
    kept.rejected[0]!.batch,
    AbortSignal.timeout(60_000),
  ))!
  assert.equal(again.rejected.length, 0)
  assert.equal(
    again.changes.reduce((rows, change) => rows + ('batch' in change ? change.batch.rows : 0), 0),
    1,
  )
  // The letter was older than what is there: the next run says what is.
  await life.runs('items')
  assert.deepEqual(kept.rows('items'), ['1|six|null', '1|six|null'])
})
