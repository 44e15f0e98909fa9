/**
 * The webhook sink when its endpoint is down, slow, broken or hostile, and when it is told to stop.
 * Attacks invariant 5 (an outage loses nothing) and 8 (every wait ends by a signal or a bound).
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { Secret } from '../../../core/connector/secret.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { webhook, webhookWith } from '../../../sinks/webhook/connector.ts'
import { startReceiver } from '../../services/webhook-receiver.ts'
import { freePort, waitFor } from '../../support/env.ts'
import {
  batchOf,
  configOf,
  forever,
  jumpClock,
  openSink,
  secret,
  sinkBatch,
  testContext,
  type Change,
} from './support.ts'

const cert = readFileSync(new URL('../../fixtures/tls/localhost.cert.pem', import.meta.url), 'utf8')
const key = readFileSync(new URL('../../fixtures/tls/localhost.key.pem', import.meta.url), 'utf8')

function inserts(count: number): Change[] {
  return Array.from({ length: count }, (_, i) => ['+', 'insert', i, `name ${i}`] as const)
}

async function failure(write: Promise<unknown>): Promise<SluiceError> {
  try {
    await write
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown
    throw thrown
  }
  throw new Error('it did not fail')
}

test('an endpoint that is not there: the batch waits, nothing is set aside, then all is delivered', async () => {
  const port = await freePort()
  const clock = jumpClock()
  await using sink = await openSink(`http://127.0.0.1:${port}/`, {}, testContext(clock))
  const batch = sinkBatch(batchOf(inserts(30)))
  const waits: number[] = []
  for (let attempt = 1; attempt <= 30; attempt++) {
    const { code, fault, message, retryAfterMs } = await failure(
      sink.write({ ...batch, attempt }, forever),
    )
    assert.deepEqual([code, fault], ['sink.webhook.failing', 'transient'])
    assert.match(message, /^127\.0\.0\.1 could not be reached \(ECONNREFUSED\)/)
    waits.push(retryAfterMs ?? 0)
    clock.pass(retryAfterMs ?? 0)
  }
  assert.ok(waits[0]! > 0 && waits[0]! <= 5000)
  assert.equal(Math.max(...waits), 300_000)
  await using receiver = await startReceiver({ secret, port, anyTime: true })
  assert.deepEqual(await sink.write({ ...batch, attempt: 31 }, forever), { rejected: [] })
  assert.equal(receiver.taken.length, 30)
})

test('an endpoint that answers 500 to everything is probed, and few events are set aside', async () => {
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: () => ({ status: 500 }),
  })
  const clock = jumpClock()
  await using sink = await openSink(receiver.url, {}, testContext(clock))
  const batch = sinkBatch(batchOf(inserts(200)))
  const startMs = clock.nowMs()
  for (let attempt = 1; clock.nowMs() - startMs < 2 * 3_600_000; attempt++) {
    const error = await failure(sink.write({ ...batch, attempt }, forever))
    assert.equal(error.code, 'sink.webhook.failing')
    clock.pass(error.retryAfterMs ?? 0)
  }
  // Two hours of probes, at most one in five minutes once they are that far apart, and a first burst.
  assert.ok(receiver.requests.length < 60, `${receiver.requests.length} requests`)
  const exhausted = new Map<string, number>()
  for (const { id, attempt } of receiver.requests) exhausted.set(id, attempt)
  assert.ok([...exhausted.values()].filter((attempts) => attempts >= 8).length <= 6)
})

test('one event that is never taken does not stop the others, nor its key, for ever', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ event }) => ({ status: event.offset === 100 ? 500 : 200 }),
  })
  const clock = jumpClock()
  await using sink = await openSink(receiver.url, { order: 'strict' }, testContext(clock))
  const { rejected } = await sink.write(sinkBatch(batchOf(inserts(3))), forever)
  assert.deepEqual(
    rejected.map(({ row, attempts }) => [row, attempts]),
    [[0, 8]],
  )
  assert.equal(receiver.taken.length, 2)
})

test('overload: 429 and 503 use up no attempts, and the batch comes back to the caller', async () => {
  let busy = true
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: ({ event }) => ({ status: busy && event.offset === 100 ? 429 : 200 }),
  })
  const clock = jumpClock()
  const options = { max_in_flight: 1, retry: { attempts: 3 } }
  await using sink = await openSink(receiver.url, options, testContext(clock))
  const batch = sinkBatch(batchOf(inserts(2)))
  for (let attempt = 1; attempt <= 4; attempt++) {
    const { code, fault } = await failure(sink.write({ ...batch, attempt }, forever))
    assert.ok(code === 'sink.webhook.throttled' || code === 'sink.webhook.failing', code)
    assert.equal(fault, 'transient')
    const busyRequests = receiver.requests.filter(({ event }) => event.offset === 100)
    assert.ok(busyRequests.length <= 3 * attempt, `${busyRequests.length} requests (invariant 8)`)
    clock.pass(600_000)
  }
  busy = false
  assert.deepEqual(await sink.write({ ...batch, attempt: 5 }, forever), { rejected: [] })
  assert.deepEqual(
    receiver.taken.map(({ event }) => event.offset).toSorted((a, b) => a - b),
    [100, 101],
  )
})

test('lost connections and slow answers are tried again', async () => {
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ attempt }) =>
      [undefined, { drop: 'unseen' }, { drop: 'answerless' }, { delayMs: 600_000 }][attempt] as
        { drop: 'unseen' } | undefined,
  })
  // As many attempts as a machine needs that does not answer itself within the time-out.
  const retry = { attempts: 100, base: '1ms', max: '1ms' }
  await using sink = await openSink(receiver.url, { timeout: '500ms', retry })
  assert.deepEqual(await sink.write(sinkBatch(batchOf(inserts(1))), forever), { rejected: [] })
  // More than four where the machine itself was too slow for the answer.
  assert.deepEqual(receiver.requests.map(({ attempt }) => attempt).slice(0, 4), [1, 2, 3, 4])
})

/** A server that is no HTTP server: says `greeting` to whoever has sent something, and never ends. */
async function rawServer(
  greeting: (socket: Socket) => void,
): Promise<{ readonly url: string; readonly sockets: Set<Socket> } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => greeting(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('answers that never end are cut off: the status counts, the body is not waited for', async () => {
  await using endless = await rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const timer = setInterval(() => socket.write('1\r\nx\r\n'), 20)
    socket.on('close', () => clearInterval(timer))
  })
  // The machine may not get as far as the status within the time-out.
  const retry = { attempts: 100, base: '1ms', max: '1ms' }
  await using sink = await openSink(endless.url, { timeout: '200ms', retry })
  assert.deepEqual(await sink.write(sinkBatch(batchOf(inserts(1))), forever), { rejected: [] })
  await waitFor('the connection to be closed', () => [...endless.sockets][0]!.destroyed)
})

test('an answer that goes on and on is cut off by its size', { timeout: 40_000 }, async () => {
  await using endless = await rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n')
    socket.write(Buffer.alloc(1_000_000))
  })
  await using sink = await openSink(endless.url, { timeout: '60s' })
  assert.deepEqual(await sink.write(sinkBatch(batchOf(inserts(1))), forever), { rejected: [] })
})

test('what is not HTTP is a failure of the attempt', async () => {
  await using garbage = await rawServer((socket) => socket.end('SSH-2.0-x\r\n'))
  await using sink = await openSink(garbage.url, { retry: { attempts: 2 } })
  const { rejected } = await sink.write(sinkBatch(batchOf(inserts(1))), forever)
  assert.equal(rejected[0]?.code, 'sink.webhook.exhausted')
})

test('abort ends a wait for an answer, for a turn and for a retry, and the connection', async () => {
  await using silent = await rawServer(() => {})
  const stop = new AbortController()
  await using sink = await openSink(silent.url, { max_in_flight: 1 })
  const write = sink.write(sinkBatch(batchOf(inserts(50))), stop.signal)
  await waitFor('a request', () => silent.sockets.size === 1)
  stop.abort(new Error('stop now'))
  await assert.rejects(write, /stop now/)
  await waitFor('the connection to be closed', () => [...silent.sockets][0]!.destroyed)
  await assert.rejects(sink.write(sinkBatch(batchOf(inserts(1))), stop.signal), /stop now/)
})

test('abort ends a wait for a name that never resolves; so does closing the sink', async () => {
  const stop = new AbortController()
  const connector = webhookWith(() => {})
  const config = configOf('http://nowhere.example.com/')
  await using sink = await connector.open(config, [], testContext())
  const write = sink.write(sinkBatch(batchOf(inserts(3))), stop.signal)
  setImmediate(() => stop.abort(new Error('stop now')))
  await assert.rejects(write, /stop now/)
})

test("https: verified, with an authority of one's own; anything else waits and says why", async () => {
  await using receiver = await startReceiver({ secret, tls: { cert, key } })
  const batch = sinkBatch(batchOf(inserts(3)))
  await using sink = await openSink(receiver.url, { tls: { ca: cert } })
  await sink.write(batch, forever)
  assert.equal(receiver.taken.length, 3)
  await using strangers = await openSink(receiver.url)
  const unknown = await failure(strangers.write(batch, forever))
  assert.equal(unknown.code, 'sink.webhook.failing')
  assert.match(unknown.message, /could not be verified \(DEPTH_ZERO_SELF_SIGNED_CERT\)/)
  const connector = webhookWith((...[, , callback]) =>
    callback(null, [{ address: '127.0.0.1', family: 4 }]),
  )
  const other = configOf(`https://other.example.com:${receiver.port}/`, { tls: { ca: cert } })
  await using misnamed = await connector.open(other, [], testContext())
  const name = await failure(misnamed.write(batch, forever))
  assert.match(name.message, /could not be verified \(ERR_TLS_CERT_ALTNAME_INVALID\)/)
  assert.equal(receiver.requests.length, 3)
})

test('check finds everything at once, sends nothing, and tells no secret', async () => {
  const config = configOf('http://user:pa55word@10.0.0.1/hooks/T0KEN', {
    secret: 'whsec_c2hvcnQ=',
    secret_previous: 'n0tasecret',
    allow_http: false,
    allow_private: false,
    headers: {
      'webhook-id': 'x',
      'bad name': 'x',
      'x-smuggle': 'v1\r\nx-more: v4lue',
      'X-Twice': 'a',
      'x-twice': 'b',
    },
    tls: { ca: 'none', cert: 'none' },
  })
  const problems = await webhook.check(config, testContext())
  assert.deepEqual(
    problems.map(({ code }) => code.slice('sink.webhook.'.length)),
    [
      'invalid_url',
      'http_refused',
      'address_refused',
      'invalid_secret',
      'invalid_secret',
      'invalid_header',
      'invalid_header',
      'invalid_header',
      'invalid_header',
      'invalid_tls',
      'invalid_tls',
      'invalid_tls',
    ],
  )
  const error = await failure(webhook.open(config, [], testContext()))
  const said = JSON.stringify([problems, error.message, error, config])
  for (const text of ['pa55word', 'T0KEN', 'c2hvcnQ', 'n0tasecret', 'v4lue'])
    assert.ok(!said.includes(text), text)
})

test('check: not an address, another scheme, a name that does not resolve', async () => {
  const codes = async (
    url: string,
    resolve?: Parameters<typeof webhookWith>[0],
  ): Promise<string[]> =>
    (await webhookWith(resolve).check(configOf(url), testContext())).map(
      ({ code, severity }) => `${severity} ${code}`,
    )
  assert.deepEqual(await codes('nonsense'), ['error sink.webhook.invalid_url'])
  assert.deepEqual(await codes('file:///etc/passwd'), ['error sink.webhook.invalid_url'])
  assert.deepEqual(
    await codes('https://no.example.com/', (...[, , callback]) =>
      callback(Object.assign(new Error('x'), { code: 'ENOTFOUND' }), '', 0),
    ),
    ['warning sink.webhook.unreachable'],
  )
  assert.deepEqual(await codes('https://127.0.0.1/'), [])
})

test('errors of a failing endpoint name the host, never the address with its token', async () => {
  await using receiver = await startReceiver({ secret, behaviour: () => ({ status: 500 }) })
  await using sink = await openSink(`${receiver.url}/T0KEN?key=T0KEN`, { retry: { attempts: 1 } })
  const { rejected } = await sink.write(sinkBatch(batchOf(inserts(2))), forever)
  assert.equal(rejected.length, 2)
  assert.ok(!JSON.stringify(rejected).includes('T0KEN'))
  assert.equal(String(new Secret('T0KEN')), '***')
})

test('a probe that was given up while it waited for its place in the rate lets another be it (invariant 8)', async () => {
  let mended = false
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: () => ({ status: mended ? 204 : 500 }),
  })
  const clock = jumpClock()
  let stop: AbortController | null = null
  const sleep: typeof clock.sleep = (ms, signal) => {
    if (ms > 30_000) stop?.abort(new Error('stopped'))
    return clock.sleep(ms, signal)
  }
  const options = { rate: '1/m', retry: { attempts: 100 } }
  await using sink = await openSink(receiver.url, options, testContext({ ...clock, sleep }))
  const batch = sinkBatch(batchOf(inserts(1)))
  const down = await failure(sink.write(batch, forever))
  assert.equal(down.code, 'sink.webhook.failing')
  clock.pass(down.retryAfterMs ?? 0)
  stop = new AbortController()
  await assert.rejects(sink.write(batch, stop.signal))
  stop = null
  mended = true
  for (let attempt = 0; attempt < 10 && receiver.taken.length === 0; attempt++) {
    clock.pass(300_000)
    await sink.write(batch, forever).catch(() => {})
  }
  assert.equal(receiver.taken.length, 1)
})
