/** Tokens of OAuth's client credentials: fetched once for all who ask, and anew before they expire. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { it } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { saslConfig, type TokenConfig } from '../../../connectors/kafka/security-config.ts'
import { TokenSource } from '../../../connectors/kafka/token-source.ts'
import { keepAliveMs } from '../../support/env.ts'

interface Answer {
  readonly status: number
  readonly body: string
}

async function startEndpoint(
  answer: (asked: number) => Answer,
): Promise<{ readonly url: string; readonly asked: () => number } & AsyncDisposable> {
  let asked = 0
  const server = createServer((_request, response) => {
    const { status, body } = answer(++asked)
    response.writeHead(status).end(body)
  })
  server.keepAliveTimeout = keepAliveMs
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function configOf(url: string): TokenConfig {
  return saslConfig.parse({
    mechanism: 'oauthbearer',
    token_url: url,
    client_id: 'id',
    client_secret: 'wonderland',
  }) as TokenConfig
}

it('is fetched once for all, and anew when a fifth of its life is left', async () => {
  let nowMs = 1000
  await using endpoint = await startEndpoint((asked) => ({
    status: 200,
    body: JSON.stringify({ access_token: `t${asked}`, expires_in: 100 }),
  }))
  await using source = new TokenSource(configOf(endpoint.url), () => nowMs)
  assert.deepEqual(await Promise.all([source.token(), source.token()]), ['t1', 't1'])
  nowMs += 79_000
  assert.equal(await source.token(), 't1')
  nowMs += 2000
  assert.equal(await source.token(), 't2')
  assert.equal(endpoint.asked(), 2)
})

it('tells what the endpoint says, and goes on after it', async () => {
  const answers: readonly (readonly [number, string, string])[] = [
    [401, '{"error":"invalid_client"}', 'source.kafka.token'],
    [200, '{}', 'source.kafka.token'],
    [200, 'no JSON', 'source.kafka.token'],
    [200, 'x'.repeat(2 << 20), 'source.kafka.token'],
    [503, '', 'source.kafka.token_unreachable'],
    [429, '', 'source.kafka.token_unreachable'],
  ]
  await using endpoint = await startEndpoint((asked) => {
    const [status, body] = answers[asked - 1] ?? [200, '{"access_token":"good"}']
    return { status, body }
  })
  await using source = new TokenSource(configOf(endpoint.url), () => 0)
  for (const [, , code] of answers) {
    await assert.rejects(source.token(), (error: SluiceError) => {
      assert.equal(error.code, code)
      assert.doesNotMatch(error.message, /wonderland/)
      return true
    })
  }
  assert.equal(await source.token(), 'good')
})

it('the configuration says what belongs together', () => {
  const valid = (given: object): boolean =>
    saslConfig.safeParse({ mechanism: 'oauthbearer', ...given }).success
  assert.ok(valid({ token: 't' }))
  assert.ok(!valid({}))
  assert.ok(!valid({ token: 't', token_url: 'https://x/' }))
  assert.ok(!valid({ token_url: 'https://x/', client_id: 'a' }))
  assert.ok(!valid({ token: 't', client_id: 'a' }))
  assert.ok(!valid({ token_url: 'ftp://x/', client_id: 'a', client_secret: 'b' }))
})
