/**
 * A real HTTP endpoint for webhooks: node:http, signatures judged by the `standardwebhooks` package,
 * every request recorded, and any failure on demand.
 *
 * In this process:   await using receiver = await startReceiver({ secret })
 * In its own:        await using receiver = await startReceiverProcess({ secret, file })
 *
 * The process appends one line of JSON per event that it takes to `file`, before it answers, so that
 * what it took is known however it, or the sender, ends. By hand:
 *
 *   node test/services/webhook-receiver.ts --secret whsec_… --port 8080 --file taken.jsonl
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions as TlsOptions } from 'node:https'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Webhook } from 'standardwebhooks'
import { keepAliveMs } from '../support/env.ts'

/** The body of an event. */
export interface WebhookEvent {
  readonly type: string
  readonly timestamp: string
  readonly data: Readonly<Record<string, unknown>> | null
  readonly previous?: Readonly<Record<string, unknown>>
  readonly topic: string
  readonly op: string
  readonly offset: number
  readonly key: Readonly<Record<string, unknown>> | null
}

export interface Received {
  readonly id: string
  readonly event: WebhookEvent
  /** The body as it came. */
  readonly text: string
  readonly headers: IncomingMessage['headers']
  readonly method: string
  readonly path: string
  /** 1 for the first request with this id. */
  readonly attempt: number
}

/** What to do with a request; the default is 204 at once. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly delayMs?: number
  /** Close the connection: `unseen` before the event is taken, `answerless` after it was taken. */
  readonly drop?: 'unseen' | 'answerless'
}

export interface ReceiverOptions {
  readonly secret: string
  /** 0, the default, takes a free one. */
  readonly port?: number
  readonly behaviour?: (request: Received) => Answer | undefined | Promise<Answer | undefined>
  /** PEM certificate and key: then it speaks https. */
  readonly tls?: {
    readonly cert: string
    readonly key: string
    /** PEM authority: clients without a certificate of it are turned away. */
    readonly clientAuthority?: string
  }
  /** Takes signatures of any time, for senders whose clock is not this machine's. */
  readonly anyTime?: boolean
  /** Called for each event that is taken, before it is answered. */
  readonly onTaken?: (request: Received) => void
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Every request whose signature verified, in the order they came. */
  readonly requests: readonly Received[]
  /** Those answered 2xx, or taken and then dropped. */
  readonly taken: readonly Received[]
  /** Requests whose signature did not verify: answered 401. */
  readonly unverified: number
  /** Most requests under way at a time. */
  readonly concurrencyMax: number
  /** Connections accepted. */
  readonly connections: number
}

export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const state = new ReceiverState(options)
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void state.handle(request, response)
  }
  const server = options.tls ? createTlsServer(tlsOf(options.tls), handle) : createServer(handle)
  server.keepAliveTimeout = keepAliveMs
  server.on('connection', () => state.connections++)
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const scheme = options.tls ? 'https' : 'http'
  return Object.assign(state, {
    url: `${scheme}://127.0.0.1:${address.port}/hooks`,
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      state.closing.abort()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

function tlsOf({
  cert,
  key,
  clientAuthority: ca,
}: NonNullable<ReceiverOptions['tls']>): TlsOptions {
  return ca === undefined
    ? { cert, key }
    : { cert, key, ca, requestCert: true, rejectUnauthorized: true }
}

class ReceiverState {
  readonly requests: Received[] = []
  readonly taken: Received[] = []
  readonly closing = new AbortController()
  unverified = 0
  concurrencyMax = 0
  connections = 0
  #underWay = 0
  readonly #attempts = new Map<string, number>()
  readonly #options: ReceiverOptions
  readonly #judge: Webhook

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#judge = new Webhook(options.secret)
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay++
    this.concurrencyMax = Math.max(this.concurrencyMax, this.#underWay)
    try {
      await this.#answer(request, response)
    } catch {
      // The sender went away, or the receiver is closing: there is nobody to answer.
      response.destroy()
    } finally {
      this.#underWay--
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const received = this.#verify(request, Buffer.concat(chunks).toString())
    if (received === null) {
      this.unverified++
      response.writeHead(401).end()
      return
    }
    this.requests.push(received)
    const answer = (await this.#options.behaviour?.(received)) ?? {}
    const { status = 204, headers = {}, body, delayMs = 0, drop } = answer
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: this.closing.signal })
    if (drop === 'unseen') return void response.destroy()
    if ((status >= 200 && status < 300) || drop === 'answerless') {
      this.taken.push(received)
      this.#options.onTaken?.(received)
    }
    if (drop === 'answerless') return void response.destroy()
    response.writeHead(status, headers).end(body)
  }

  #verify(request: IncomingMessage, text: string): Received | null {
    const { headers, method = '', url = '' } = request
    try {
      const event = this.#eventOf(text, headers as Record<string, string>)
      const id = String(headers['webhook-id'])
      const attempt = (this.#attempts.get(id) ?? 0) + 1
      this.#attempts.set(id, attempt)
      return { id, event, text, headers, method, path: url, attempt }
    } catch {
      return null
    }
  }

  /** Throws when the signature does not verify. */
  #eventOf(text: string, headers: Record<string, string>): WebhookEvent {
    if (this.#options.anyTime !== true) return this.#judge.verify(text, headers) as WebhookEvent
    const at = new Date(Number(headers['webhook-timestamp']) * 1000)
    const expected = this.#judge.sign(headers['webhook-id'] ?? '', at, text)
    if (!headers['webhook-signature']?.split(' ').includes(expected)) throw new Error('signature')
    return JSON.parse(text) as WebhookEvent
  }
}

/** One line of a receiver process's file. */
export interface TakenLine {
  readonly id: string
  readonly event: WebhookEvent
}

export interface ReceiverProcess extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** What it took so far, oldest first; an event that was sent again stands there again. */
  taken(): readonly TakenLine[]
}

export async function startReceiverProcess(options: {
  readonly secret: string
  readonly file: string
  readonly port?: number
  /** Share of requests, from 0 to 1, that are answered 503 or dropped, by a generator with this seed. */
  readonly failures?: { readonly rate: number; readonly seed: number }
}): Promise<ReceiverProcess> {
  const { secret, file, port = 0, failures } = options
  const args = [
    fileURLToPath(import.meta.url),
    '--file',
    file,
    '--port',
    String(port),
    '--until-eof',
  ]
  if (failures !== undefined)
    args.push('--rate', String(failures.rate), '--seed', String(failures.seed))
  const child = spawn(process.execPath, args, {
    // By the environment: arguments can be read by everyone on the machine.
    env: { ...process.env, WEBHOOK_SECRET: secret },
    // Its input ends with this process, and it with its input, however that is.
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const started = JSON.parse(line) as { url: string; port: number }
  return {
    ...started,
    pid: child.pid ?? 0,
    taken: () => readTaken(file),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill()
      await exit
    },
  }
}

/** Of whole lines: the last one may be half written, as the process writes on or was killed. */
export function readTaken(file: string): readonly TakenLine[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as TakenLine)
}

/** Makes the file, or takes the half line off its end that a killed process left. */
function mendTaken(file: string): void {
  appendFileSync(file, '')
  truncateSync(file, readFileSync(file).lastIndexOf('\n') + 1)
}

/** A generator of numbers in [0, 1) with a seed, so that the same failures can be had again. */
export function seeded(seed: number): () => number {
  let count = 0
  return () => createHash('sha256').update(`${seed}:${count++}`).digest().readUInt32BE() / 2 ** 32
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      secret: { type: 'string', default: process.env['WEBHOOK_SECRET'] ?? '' },
      port: { type: 'string', default: '0' },
      file: { type: 'string' },
      rate: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      'until-eof': { type: 'boolean', default: false },
    },
  })
  const { file } = values
  if (file !== undefined) mendTaken(file)
  const random = seeded(Number(values.seed))
  const rate = Number(values.rate)
  const receiver = await startReceiver({
    secret: values.secret,
    port: Number(values.port),
    behaviour: () => {
      if (random() >= rate) return undefined
      const kind = random()
      if (kind < 0.5) return { status: 503 }
      return { drop: kind < 0.75 ? 'unseen' : 'answerless' }
    },
    onTaken: ({ id, event }) => {
      if (file !== undefined) appendFileSync(file, `${JSON.stringify({ id, event })}\n`)
    },
  })
  process.stdout.write(`${JSON.stringify({ url: receiver.url, port: receiver.port })}\n`)
  if (values['until-eof']) process.stdin.resume().once('end', () => process.exit(0))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void receiver[Symbol.asyncDispose]().then(() => process.exit(0)))
  }
}

if (import.meta.main) await main()
