/** The registry's client against servers that fail in every way there is: what it says, and for whom. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { test } from 'node:test'
import { SchemaRegistry } from '../../../../connectors/kafka/registry/client.ts'
import { registryConfig } from '../../../../connectors/kafka/registry/config.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { makeAuthority, makeCertificate } from '../../../support/certificates.ts'
import { keepAliveMs } from '../../../support/env.ts'
import { steadily } from '../../../support/steadily.ts'

const signal = new AbortController().signal
const schema = JSON.stringify({ schema: '"int"' })

async function listening(server: Server): Promise<{ readonly port: number } & AsyncDisposable> {
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = keepAliveMs
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      if ('closeAllConnections' in server)
        (server as ReturnType<typeof createServer>).closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function clientOf(url: string, more: Readonly<Record<string, unknown>> = {}): SchemaRegistry {
  const config = registryConfig.parse({ url, timeout: '30s', ...more })
  return new SchemaRegistry(config, { nowMs: () => 0 })
}

async function errorOf(registry: SchemaRegistry): Promise<SluiceError> {
  try {
    await registry.schema(7, signal)
  } catch (error) {
    assert.ok(error instanceof SluiceError, String(error))
    return error
  }
  throw new Error('no error')
}

/** What the client throws when that is what answers. */
async function against(
  answer: RequestListener,
  more: Readonly<Record<string, unknown>> = {},
): Promise<SluiceError> {
  await using server = await listening(createServer(answer))
  await using registry = clientOf(`http://127.0.0.1:${server.port}/base/`, more)
  return await errorOf(registry)
}

function status(code: number, body: string, headers: Record<string, string> = {}): RequestListener {
  return (_, response) => response.writeHead(code, headers).end(body)
}

const unknown = JSON.stringify({ error_code: 40403, message: 'Schema not found' })

test('registry: each way to fail has its code, and decides who waits for what', async () => {
  const cases: readonly (readonly [RequestListener, string, string, RegExp])[] = [
    [status(404, unknown), 'source.kafka.schema_unknown', 'row', /no schema with id 7/],
    [
      status(404, '<html>'),
      'source.kafka.registry_answer',
      'config',
      /answered 404 to \/schemas\/ids\/7/,
    ],
    [status(401, ''), 'source.kafka.registry_auth', 'config', /answered 401/],
    [
      status(403, JSON.stringify({ error_code: 40301, message: 'Denied.' })),
      'source.kafka.registry_auth',
      'config',
      /403 .*: Denied\.$/,
    ],
    [status(503, ''), 'source.kafka.registry_unreachable', 'transient', /answered 503/],
    [status(200, 'hello'), 'source.kafka.registry_answer', 'config', /is no schema registry/],
    [status(200, '{"schema":1}'), 'source.kafka.registry_answer', 'config', /holds no schema/],
    [
      status(302, '', { location: 'http://127.0.0.1:1/' }),
      'source.kafka.registry_answer',
      'config',
      /answered 302/,
    ],
    [status(200, ' '.repeat(9_000_000)), 'source.kafka.registry_answer', 'config', /longer than/],
    [
      (request) => request.socket.destroy(),
      'source.kafka.registry_unreachable',
      'transient',
      /Could not ask/,
    ],
  ]
  for (const [answer, code, fault, message] of cases) {
    const error = await against(answer)
    assert.deepEqual([error.code, error.fault], [code, fault], error.message)
    assert.match(error.message, message)
  }
  const endless: readonly RequestListener[] = [
    () => {},
    (_, response) => void response.writeHead(200).write('{'),
  ]
  // A machine that stands still may take the time before the connection is there.
  await steadily(100, async () => {
    for (const answer of endless) {
      const error = await against(answer, { timeout: '500ms' })
      assert.equal(error.code, 'source.kafka.registry_unreachable')
      assert.match(error.message, /within 500 ms/)
    }
  })
  const later = await against(status(429, '', { 'retry-after': '3' }))
  assert.equal(later.retryAfterMs, 3000)
})

test('registry: nobody there, and an abort', async () => {
  await using registry = clientOf('http://127.0.0.1:1')
  const error = await errorOf(registry)
  assert.equal(error.code, 'source.kafka.registry_unreachable')
  const reason = new Error('enough')
  await assert.rejects(registry.schema(7, AbortSignal.abort(reason)), reason)
})

test('registry: credentials go into a header, and into no message', async () => {
  const seen: (string | undefined)[] = []
  await using server = await listening(
    createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(seen.length < 3 ? 200 : 401).end(schema)
    }),
  )
  const url = `http://127.0.0.1:${server.port}`
  await using basic = clientOf(url, { username: 'me', password: 'hunter2' })
  await using bearer = clientOf(url, { token: 'secret-token' })
  await basic.schema(1, signal)
  await bearer.schema(1, signal)
  assert.deepEqual(seen, [
    `Basic ${Buffer.from('me:hunter2').toString('base64')}`,
    'Bearer secret-token',
  ])
  const error = await errorOf(basic)
  assert.doesNotMatch(`${error.message} ${error.remedy} ${String(error.cause)}`, /hunter2|bWU6/)
  assert.throws(() => clientOf('http://me:hunter2@host'))
  assert.throws(() => clientOf(url, { password: 'x' }))
})

test('registry: TLS is verified, by `ca` where one is given', async () => {
  const authority = makeAuthority('registry-authority')
  const { cert, key } = makeCertificate(['127.0.0.1'], authority)
  await using server = await listening(createTlsServer({ cert, key }, status(200, schema)))
  const url = `https://127.0.0.1:${server.port}`
  await using trusted = clientOf(url, { ca: authority.cert })
  assert.equal((await trusted.schema(1, signal)).text, '"int"')
  await using strange = clientOf(url)
  assert.equal((await errorOf(strange)).code, 'source.kafka.registry_tls')
  const other = makeCertificate(['elsewhere.test'], authority)
  await using named = await listening(createTlsServer(other, status(200, schema)))
  await using misnamed = clientOf(`https://127.0.0.1:${named.port}`, { ca: authority.cert })
  assert.equal((await errorOf(misnamed)).code, 'source.kafka.registry_tls')
})

test('registry: a schema is asked for once, one that is not there not all the time', async () => {
  const asked: string[] = []
  let nowMs = 0
  await using server = await listening(
    createServer((request, response) => {
      asked.push(request.url!)
      if (request.url!.endsWith('/9')) response.writeHead(404).end(unknown)
      else response.end(schema)
    }),
  )
  const config = registryConfig.parse({ url: `http://127.0.0.1:${server.port}/apis/ccompat/v7/` })
  await using registry = new SchemaRegistry(config, { nowMs: () => nowMs })
  await registry.schema(1, signal)
  await registry.schema(1, signal)
  for (const now of [0, 29_000, 31_000]) {
    nowMs = now
    await assert.rejects(registry.schema(9, signal))
  }
  assert.deepEqual(
    asked,
    ['1', '9', '9'].map((id) => `/apis/ccompat/v7/schemas/ids/${id}`),
  )
})

test('registry: references are followed once each, in circles too, and not without end', async () => {
  const answers: Record<string, unknown> = {
    '/schemas/ids/1': { schema: 'a', references: [{ name: 'b', subject: 'sub/b', version: 2 }] },
    '/subjects/sub%2Fb/versions/2': {
      schema: 'b',
      references: [{ name: 'c', subject: 'c', version: 1 }],
    },
    '/subjects/c/versions/1': {
      schema: 'c',
      references: [{ name: 'b', subject: 'sub/b', version: 2 }],
    },
    '/schemas/ids/2': { schema: 'x', references: [{ name: 'n0', subject: 'n0', version: 1 }] },
    '/schemas/ids/3': { schema: 'x', references: [{ name: 'gone', subject: 'gone', version: 1 }] },
  }
  await using server = await listening(
    createServer((request, response) => {
      const chain = /^\/subjects\/n(\d+)\//.exec(request.url!)
      const name = chain === null ? '' : `n${Number(chain[1]) + 1}`
      const next = { schema: 'n', references: [{ name, subject: name, version: 1 }] }
      const answer = chain === null ? answers[request.url!] : next
      if (answer === undefined) response.writeHead(404).end(JSON.stringify({ error_code: 40401 }))
      else response.end(JSON.stringify(answer))
    }),
  )
  await using registry = clientOf(`http://127.0.0.1:${server.port}`, { timeout: '5s' })
  const { references } = await registry.schema(1, signal)
  assert.deepEqual(references, [
    { name: 'c', text: 'c' },
    { name: 'b', text: 'b' },
  ])
  await assert.rejects(registry.schema(2, signal), /refers to more than 200 others/)
  await assert.rejects(registry.schema(3, signal), /version 1 of gone, which .* does not have/)
})
