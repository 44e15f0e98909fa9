/** What a pipeline file may say of HTTP sources, what is wrong between the parts, and what preflight says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import { parseColumnSource } from '../../../connectors/http/push-columns.ts'
import { parseKeyFrom } from '../../../connectors/http/key-source.ts'
import { quietContext } from '../../support/context.ts'
import { orders } from './support.ts'

function issues(config: unknown): string[] {
  const parsed = http.config.safeParse(config)
  return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('what is written as it should be is taken', () => {
  assert.deepEqual(issues(orders()), [])
  const parsed = http.config.parse(orders({ idempotency: { from: 'field.id' } }))
  assert.deepEqual(http.topics?.(parsed), ['orders', 'orders.idempotency_keys'])
})

test('what does not fit together is said at its place', () => {
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ path: 'in' }, /^push\.orders\.path: expected a path/],
    [{ path: '/in/*' }, /path: expected/],
    [{ path: '/in/(a+)+' }, /path: expected/],
    [{ auth: undefined }, /^push\.orders\.auth: /],
    [{ auth: { scheme: 'api_key', key: 'k' } }, /auth: api_key needs `header` or `query`/],
    [{ auth: { scheme: 'github' } }, /auth/],
    [
      { auth: { scheme: 'hmac', secret: 's', header: 'x', signed: '{body}.{body}' } },
      /auth.*\{body\} once/,
    ],
    [{ schema: { id: 'integer' } }, /^push\.orders\.schema\.id: /],
    [{ key: ['nothing'] }, /^push\.orders\.key\.0: /],
    [{ columns: { a: 'path.region' } }, /columns\.a: the path has no part :region/],
    [{ columns: { a: 'cookie.x' } }, /columns\.a: expected path/],
    [{ columns: { a: 'idempotency_key' } }, /columns\.a: needs `idempotency`/],
    [{ columns: { a: 'ce.id' }, cloudevents: 'off' }, /columns\.a: needs `cloudevents`/],
    [{ idempotency: { from: 'body' } }, /idempotency\.from: expected header/],
    [{ idempotency: { from: 'signature' } }, /idempotency\.from: needs an `auth` that signs/],
    [{ idempotency: { from: 'ce.id' } }, /idempotency\.from: needs `cloudevents: require`/],
    [{ idempotency: { from: 'field.a' }, format: 'text', schema: undefined }, /for bodies of JSON/],
    [{ allow_ips: ['10.0.0.0/99'] }, /allow_ips\.0: expected an IP address/],
    [{ rate_limit: '5' }, /rate_limit: expected requests per time/],
    [{ max_body: '1GB' }, /max_body/],
  ]
  for (const [more, expected] of cases) {
    const found = issues(orders(more))
    assert.ok(
      found.some((text) => expected.test(text)),
      `${JSON.stringify(more)}: ${found.join('; ')}`,
    )
  }
})

test('a key column may come from beside the body', () => {
  const columns = { region: 'path.region' }
  assert.deepEqual(issues(orders({ path: '/in/:region', columns, key: ['region', 'id'] })), [])
})

test('two topics share no path', () => {
  const topic = (path: string, more = {}): object => ({
    path,
    auth: 'none',
    schema: { id: 'int64' },
    ...more,
  })
  const same = issues({ push: { a: topic('/in/:x'), b: topic('/in/:y') } })
  assert.deepEqual(same, ['push.b.path: a has this path already'])
  assert.match(issues({ push: {} }).join(), /^: it has no topic: say `push` or `poll`/)
})

test('preflight: a topic that is open to all, secrets and columns that cannot be', async () => {
  const check = async (more: Record<string, unknown>): Promise<string[]> => {
    const problems = await http.check(http.config.parse(orders(more)), quietContext())
    return problems.map(({ severity, code }) => `${severity} ${code}`)
  }
  assert.deepEqual(await check({}), ['warning http.open_to_all'])
  assert.deepEqual(await check({ allow_ips: ['10.0.0.0/8'] }), [])
  assert.deepEqual(await check({ auth: { scheme: 'github', secret: 's' } }), [])
  const unknown = { schema: undefined, allow_ips: ['10.0.0.0/8'] }
  assert.deepEqual(await check(unknown), ['error http.no_schema'])
  assert.deepEqual(await check({ ...unknown, format: 'csv' }), ['error http.no_schema'])
  assert.deepEqual(await check({ ...unknown, format: 'text' }), [])
  const bad = { scheme: 'standard_webhooks', secret: 'whsec_?' }
  assert.deepEqual(await check({ auth: bad }), ['error http.invalid_config'])
  const untimed = { scheme: 'hmac', secret: 's', header: 'x', signed: '{timestamp}.{body}' }
  assert.deepEqual(await check({ auth: untimed }), ['error http.invalid_config'])
  const allowed = { allow_ips: ['10.0.0.0/8'], columns: { id: 'received' } }
  assert.deepEqual(await check(allowed), ['error format.schema'])
})

test('secrets are not shown', () => {
  const auth = { scheme: 'stripe', secret: ['hidden-1', 'hidden-2'] }
  const text = JSON.stringify(http.config.parse(orders({ auth })))
  assert.ok(!text.includes('hidden'))
})

test('where columns and keys come from', () => {
  assert.deepEqual(parseColumnSource('header.User-Agent'), { from: 'header', name: 'user-agent' })
  for (const text of [
    '',
    'path.',
    'header.a b',
    'ce.Type',
    'query.a&b',
    'received.x',
    'Received',
  ]) {
    assert.equal(parseColumnSource(text), null, text)
  }
  assert.deepEqual(parseKeyFrom('field.a.b'), { from: 'field', name: 'a.b' })
  for (const text of ['', 'header.', 'header.a:b', 'ce.type', 'signature.x']) {
    assert.equal(parseKeyFrom(text), null, text)
  }
})

test('without a server there is nobody who could call', async () => {
  await using source = await http.open(http.config.parse(orders()), quietContext())
  const batches = source.read(null, new AbortController().signal)[Symbol.asyncIterator]()
  await assert.rejects(batches.next(), { code: 'http.no_server', fault: 'config' })
})
