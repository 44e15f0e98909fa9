/**
 * The hub's HTTP server against those who are slow, malformed or two-faced, over bare sockets: each refused
 * with its status, and others served meanwhile (invariant 8: every wait is bounded).
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { Secret } from '../../../core/connector/secret.ts'
import type { RouteCall } from '../../../core/connector/http-routes.ts'
import { HttpServer, type HttpServerSettings } from '../../../core/hub/http-server.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { keptContext } from '../../support/context.ts'
import { freePort, waitFor } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { steadily } from '../../support/steadily.ts'

const settings: HttpServerSettings = {
  host: '127.0.0.1',
  port: 0,
  tls: null,
  trustProxy: [],
  maxConnections: 64,
  headersTimeoutMs: 30_000,
  requestTimeoutMs: 60_000,
  keepAliveMs: 1000,
}

/** For those who are slow: soon told so. */
const impatient = { headersTimeoutMs: 1000, requestTimeoutMs: 1500 }

class Started implements AsyncDisposable {
  readonly server: HttpServer
  readonly calls: RouteCall[] = []
  readonly context = keptContext()

  constructor(given: Partial<HttpServerSettings>) {
    this.server = new HttpServer({ ...settings, ...given }, this.context.logger)
  }

  /** Answers 200 once the body is there, with its length. */
  static async at(path: string, given: Partial<HttpServerSettings> = {}): Promise<Started> {
    const started = new Started(given)
    await started.server.add(path, (request, response, call) => {
      started.calls.push(call)
      if (request.headers.expect !== undefined) response.writeContinue()
      let bytes = 0
      request.on('data', (piece: Buffer) => (bytes += piece.length))
      request.on('end', () => response.end(String(bytes)))
    })
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }
}

function socketTo(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  return socket
}

/** Sends the bytes, reads until the other end closes. */
async function exchange(port: number, ...pieces: (string | Buffer)[]): Promise<string> {
  const socket = socketTo(port)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  for (const piece of pieces) {
    if (!socket.destroyed) socket.write(piece)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  if (!socket.destroyed) await once(socket, 'close')
  return text
}

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
const statusesOf = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))

async function isServed(port: number): Promise<boolean> {
  const text = await exchange(
    port,
    'POST /in HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi',
  )
  return statusOf(text) === 200 && text.endsWith('2')
}

const head = 'POST /in HTTP/1.1\r\nhost: x\r\n'
const attacks: readonly (readonly [name: string, status: number, ...pieces: string[]])[] = [
  [
    'Content-Length beside Transfer-Encoding',
    400,
    `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding beside Content-Length',
    400,
    `${head}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n`,
  ],
  ['two Content-Lengths', 400, `${head}content-length: 4\r\ncontent-length: 5\r\n\r\nabcde`],
  ['a list as Content-Length', 400, `${head}content-length: 4, 4\r\n\r\nabcd`],
  ['a negative Content-Length', 400, `${head}content-length: -1\r\n\r\n`],
  [
    'an unknown Transfer-Encoding',
    400,
    `${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  ],
  ['a blank before the colon', 400, `${head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['a folded header', 400, `${head}x-a: 1\r\n b\r\n\r\n`],
  ['a bare line feed in the head', 400, `${head}x-a: 1\nx-b: 2\r\n\r\n`],
  ['a zero byte in a header', 400, `${head}x-a: 1\u00002\r\n\r\n`],
  ['a malformed chunk size', 400, `${head}transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n`],
  ['no host', 400, 'POST /in HTTP/1.1\r\n\r\n'],
  ['no HTTP at all', 400, 'EHLO example.org\r\n\r\n'],
  [
    'a path that is not UTF-8',
    400,
    'POST /in/%ff%fe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
  ],
  ['too large a head', 431, `${head}x-a: ${'a'.repeat(20_000)}\r\n\r\n`],
  ['too many header fields', 431, `${head}connection: close\r\n${'x: 1\r\n'.repeat(150)}\r\n`],
  [
    'a path that nobody has',
    404,
    'POST /etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
  ],
  ['a head that ends nowhere', 408, 'POST /in HTTP/1.1\r\nho'],
  ['a body that ends nowhere', 408, `${head}content-length: 10\r\n\r\nabc`],
  ['chunks that end nowhere', 408, `${head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`],
]

describe('attacks', { concurrency: true }, () => {
  for (const [name, status, ...pieces] of attacks) {
    const isRefused = async (): Promise<void> => {
      await using started = await Started.at('/in', status === 408 ? impatient : {})
      const port = started.server.port!
      const attack = exchange(port, ...pieces)
      assert.ok(await isServed(port))
      const text = await attack
      assert.equal(statusOf(text), status, text)
      // Nothing of what came behind was taken for a request of its own.
      assert.deepEqual(statusesOf(text), [status])
      assert.ok(await isServed(port))
    }
    test(`${name}: ${status}, and others are served`, () => steadily(300, isRefused))
  }
})

test('parts of a path are decoded, and none leads elsewhere', async () => {
  await using started = await Started.at('/in/:region/x')
  const port = started.server.port!
  const ask = async (path: string): Promise<number> =>
    statusOf(
      await exchange(
        port,
        `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      ),
    )
  assert.equal(await ask('/in/eu%20west/x?a=b'), 200)
  assert.equal(started.calls.at(-1)!.parameters['region'], 'eu west')
  assert.equal(await ask('/in/caf%C3%A9/x'), 200)
  assert.equal(started.calls.at(-1)!.parameters['region'], 'café')
  for (const part of [
    '..',
    '.',
    '%2e%2e',
    'a%2fb',
    '..%2f..%2fetc',
    'a%5cb',
    'a%00b',
    'a%0d%0ab',
    '%7f',
  ]) {
    const status = await ask(`/in/${part}/x`)
    assert.ok(status === 400 || status === 404, `${part}: ${status}`)
  }
  assert.equal(await ask(`/in/${'a'.repeat(2000)}/x`), 404)
  assert.equal(started.calls.length, 2)
})

test('a whole address leads where its path does', async () => {
  await using started = await Started.at('/in/:region')
  for (const [target, status] of [
    ['http://proxied.example:80/in/a?b=http://c/d', 200],
    ['HTTPS://proxied.example/in/a', 200],
    ['http://proxied.example', 404],
    ['//in/a', 404],
    ['ftp://proxied.example/in/a', 404],
  ] as const) {
    const text = await exchange(
      started.server.port!,
      `POST ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    )
    assert.equal(statusOf(text), status, target)
  }
  assert.deepEqual(
    started.calls.map(({ parameters }) => parameters['region']),
    ['a', 'a'],
  )
})

test('a route that was given up says come again, and can be had again', async () => {
  await using started = await Started.at('/other')
  const port = started.server.port!
  const ask = (): Promise<string> =>
    exchange(port, 'POST /in HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  const route = await started.server.add('/in', (_, response) => void response.end('first'))
  await assert.rejects(
    started.server.add('/in', () => {}),
    { code: 'http.route_taken' },
  )
  assert.match(await ask(), /first$/)
  await route[Symbol.asyncDispose]()
  const text = await ask()
  assert.equal(statusOf(text), 503)
  assert.match(text, /retry-after: \d/i)
  await started.server.add('/in', (_, response) => void response.end('second'))
  assert.match(await ask(), /second$/)
})

test('of sources that start side by side on one path, one has it and the others are told so', async () => {
  await using started = new Started({})
  const taken = await Promise.allSettled(
    Array.from({ length: 3 }, () => started.server.add('/in/:region', () => {})),
  )
  assert.deepEqual(taken.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected'])
  for (const outcome of taken) {
    if (outcome.status === 'rejected') assert.ok(failsWith('http.route_taken')(outcome.reason))
  }
})

test('what a source throws is 500, and tells nothing', async () => {
  await using started = await Started.at('/other')
  await started.server.add('/in', async () => {
    throw new Error('secret reason')
  })
  const text = await exchange(
    started.server.port!,
    'POST /in HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
  )
  assert.equal(statusOf(text), 500)
  assert.ok(!text.includes('secret reason'))
  assert.ok(started.context.hasLogged('secret reason'))
})

test('answers what is under way before it closes', async () => {
  const started = new Started({})
  let answer: (() => void) | null = null
  await started.server.add('/in', (_, response) => {
    answer = () => void response.end('late')
  })
  const asked = exchange(
    started.server.port!,
    'POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n',
  )
  const late = await waitFor('the request', () => answer ?? false)
  const closed = started.server[Symbol.asyncDispose]()
  await new Promise((resolve) => setTimeout(resolve, 100))
  late()
  assert.match(await asked, /late/)
  await closed
})

test('connections beyond the bound are closed, those within are served', async () => {
  await using started = await Started.at('/in', { maxConnections: 3 })
  const port = started.server.port!
  const idle = [socketTo(port), socketTo(port)]
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  await new Promise((resolve) => setTimeout(resolve, 50))
  const third = socketTo(port)
  await once(third, 'connect')
  await new Promise((resolve) => setTimeout(resolve, 50))
  const refused = socketTo(port)
  await once(refused, 'close')
  third.destroy()
  await waitFor('its room', () => isServed(port))
  for (const socket of idle) socket.destroy()
})

test('a port that somebody has is tried again, an address that is nobody’s is not', async () => {
  const port = await freePort()
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  await using taken = new Started({ port })
  await assert.rejects(
    taken.server.add('/in', () => {}),
    { code: 'http.port_unavailable', fault: 'transient' },
  )
  await new Promise((resolve) => other.close(resolve))
  await taken.server.add('/in', () => {})
  assert.equal(taken.server.port, port)
  await using nowhere = new Started({ host: '203.0.113.1' })
  await assert.rejects(
    nowhere.server.add('/in', () => {}),
    { code: 'http.port_unavailable', fault: 'config' },
  )
})

test('TLS, with certificates of clients where they are asked for', async () => {
  const authority = makeAuthority('test authority')
  const { cert, key } = makeCertificate(['127.0.0.1'], authority)
  const client = makeCertificate(['client'], authority)
  const tls = { cert, key: new Secret(key), clientCa: authority.cert }
  await using started = await Started.at('/in', { tls })
  const ask = (more: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: started.server.port!, path: '/in', method: 'POST' }
      const request = httpsRequest({ ...options, ca: authority.cert, ...more }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      request.on('error', reject)
      request.end('x')
    })
  assert.equal(await ask({ cert: client.cert, key: client.key }), 200)
  await assert.rejects(ask({}))
  await using broken = new Started({ tls: { ...tls, key: new Secret('nonsense') } })
  await assert.rejects(
    broken.server.add('/in', () => {}),
    { code: 'http.tls' },
  )
})

test('whoever never says hello over TLS is let go', { timeout: 30_000 }, async () => {
  const { cert, key } = makeCertificate(['127.0.0.1'], makeAuthority('test authority'))
  const tls = { cert, key: new Secret(key), clientCa: null }
  await using started = await Started.at('/in', { tls, ...impatient })
  await once(socketTo(started.server.port!), 'close')
})

test('an address of IPv6 is written as one', async () => {
  await using started = await Started.at('/in', { host: '::1' })
  assert.ok(started.context.hasLogged(`http://[::1]:${started.server.port}`))
})

test('a body is asked for only by the one who wants it', async () => {
  await using started = await Started.at('/in')
  const port = started.server.port!
  const text = await exchange(
    port,
    'POST /in HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n',
    'hi',
  )
  assert.deepEqual(statusesOf(text), [100, 200])
  const other = await exchange(
    port,
    'POST /none HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n',
  )
  assert.deepEqual(statusesOf(other), [404])
})
