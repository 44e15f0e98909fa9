/** Who asks: every scheme as its standard writes it, tokens that expire and are taken back, and no secret told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { ApiServer, type Asked } from './api-server.ts'
import { Life } from './polling.ts'

function items(server: ApiServer, more: Record<string, unknown> = {}): unknown {
  const schema = { id: 'int64' }
  return { poll: { items: { url: `${server.origin}/items`, every: '100ms', schema, ...more } } }
}

for (const [auth, expected] of [
  [
    { scheme: 'basic', username: 'ann', password: 'p:ü' },
    { authorization: `Basic ${Buffer.from('ann:p:ü').toString('base64')}` },
  ],
  [{ scheme: 'bearer', token: 't0k' }, { authorization: 'Bearer t0k' }],
  [{ scheme: 'api_key', key: 'k3y', header: 'X-Api-Key' }, { 'x-api-key': 'k3y' }],
  [{ scheme: 'api_key', key: 'k&3', query: 'key' }, { url: '/items?key=k%263' }],
] as const) {
  test(`${auth.scheme} is sent with each page, by ${Object.keys(expected)[0]!}`, async () => {
    await using server = await ApiServer.start(({ query }) => ({
      headers: query.has('n') ? {} : { link: `</items?n=1&${query.toString()}>; rel=next` },
      body: [{ id: 1 }],
    }))
    await using life = await Life.start(
      items(server, { every: '1h', auth, pagination: { type: 'link' } }),
    )
    await life.until(() => life.kept.position !== null)
    // Not in the position either, where an address echoes it.
    assert.doesNotMatch(life.kept.position!, /k%263|t0k|k3y/)
    await life.runs('items')
    const seen = ({ headers, url }: Asked) => ({ ...headers, url: url.replace('n=1&', '') })
    for (const asked of server.asked) {
      for (const [name, value] of Object.entries(expected)) {
        assert.equal((seen(asked) as Record<string, unknown>)[name], value)
      }
    }
    assert.equal(server.asked.length, 2)
  })
}

/** A token server and what it guards. */
async function guarded(lifeS: number | null) {
  let issued = 0
  const good = new Set<string>()
  const server = await ApiServer.start(({ path, headers, body }) => {
    if (path !== '/token') {
      const isGood = good.has(headers.authorization ?? '')
      return isGood ? { body: [{ id: issued }] } : { status: 401 }
    }
    const form = new URLSearchParams(body)
    const id = Buffer.from((headers.authorization ?? '').slice(6), 'base64').toString()
    const isKnown =
      id === 'me:s%2F3' || (form.get('client_id') === 'me' && form.get('client_secret') === 's/3')
    if (
      !isKnown ||
      form.get('grant_type') !== 'client_credentials' ||
      form.get('scope') !== 'a b'
    ) {
      return { status: 401, body: { error: 'invalid_client' } }
    }
    const token = `t${++issued}`
    good.add(`Bearer ${token}`)
    return { body: { access_token: token, token_type: 'Bearer', expires_in: lifeS } }
  })
  const auth = {
    scheme: 'oauth2',
    token_url: `${server.origin}/token`,
    client_id: 'me',
    client_secret: 's/3',
    scope: 'a b',
  }
  return { server, good, auth, issued: () => issued }
}

test('a token is fetched once, anew before it expires, and when it is taken back', async () => {
  let nowMs = 1_000_000
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number, signal: AbortSignal) => {
      nowMs += ms
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
    },
  }
  const { server, good, auth, issued } = await guarded(100)
  await using _ = server
  await using life = await Life.start(items(server, { every: '10s', auth }), { context: { clock } })
  await life.runs('items', 8)
  assert.equal(issued(), 1)
  await life.runs('items', 1)
  assert.equal(issued(), 2)
  good.clear()
  await life.runs('items', 1)
  assert.equal(issued(), 3)
})

for (const client_in of ['header', 'body']) {
  test(`the client is sent in the ${client_in}, and a refused one stops the source`, async () => {
    const { server, auth } = await guarded(null)
    await using _ = server
    {
      await using life = await Life.start(items(server, { auth: { ...auth, client_in } }))
      await life.runs('items')
    }
    const wrong = { ...auth, client_in, client_secret: 'wr0ng' }
    await using life = await Life.start(items(server, { auth: wrong }))
    await assert.rejects(
      life.runs('items'),
      (error) =>
        error instanceof SluiceError &&
        error.code === 'http.poll.token' &&
        /invalid_client/.test(error.message) &&
        !/wr0ng/.test(error.message),
    )
  })
}

test('a token that is good for nothing is fetched twice, and no more', async () => {
  const { server, good, auth, issued } = await guarded(3600)
  await using _ = server
  good.add = () => good
  await using life = await Life.start(items(server, { auth }))
  await assert.rejects(
    life.runs('items'),
    (error) => error instanceof SluiceError && error.code === 'http.poll.auth',
  )
  assert.equal(issued(), 2)
})

test('a secret that no header can hold stops the source, and is not told', async () => {
  await using server = await ApiServer.start(() => ({ body: [] }))
  await using life = await Life.start(
    items(server, { auth: { scheme: 'bearer', token: 'gehe1m€' } }),
  )
  await assert.rejects(
    life.runs('items'),
    (error) =>
      error instanceof SluiceError &&
      error.code === 'http.poll.refused' &&
      !/gehe1m/.test(String(error.stack)),
  )
})
