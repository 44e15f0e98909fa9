/** An HTTP source with all around it: the hub's server, the ingest loop, a real log in a folder or in memory. */
import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { http } from '../../../connectors/http/connector.ts'
import { HttpServer, type HttpServerSettings } from '../../../core/hub/http-server.ts'
import { openLog, type Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { readHead } from '../../../core/log/head.ts'
import { textAt } from '../../../core/record/value.ts'
import { openStore } from '../../../core/store/open.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { chainName } from '../../../core/task/names.ts'
import { tempDir } from '../../support/env.ts'
import { keptContext, type KeptContext } from '../../support/context.ts'
import { systemClock, type Clock } from '../../../core/connector/context.ts'
import type { TaskContext } from '../../../core/task/context.ts'
import type { ObjectStore } from '../../../core/store/store.ts'

export const serverSettings: HttpServerSettings = {
  host: '127.0.0.1',
  port: 0,
  tls: null,
  trustProxy: [],
  maxConnections: 256,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  keepAliveMs: 5000,
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The text as JSON. */
  readonly json: Record<string, unknown>
}

export interface Sending {
  readonly path?: string
  readonly method?: string
  readonly headers?: Record<string, string>
}

export interface HubOptions {
  /** The source's part of the pipeline file. */
  readonly config: unknown
  readonly server?: Partial<HttpServerSettings>
  /** Of an earlier life. */
  readonly log?: Log
  /** Around the store of a new log. */
  readonly store?: (store: ObjectStore) => ObjectStore
  readonly clock?: Clock
}

/** A source that runs as `sluice run` would run it, until it is disposed of. */
export class HttpHub implements AsyncDisposable {
  readonly log: Log
  readonly server: HttpServer
  readonly context: KeptContext
  /** As `run` and /status count them. */
  rowsDone = 0
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  readonly #folder: ReturnType<typeof tempDir>

  private constructor(log: Log, options: HubOptions) {
    this.log = log
    this.#folder = tempDir('http')
    const { clock = systemClock } = options
    this.context = keptContext({ pipeline: 'p', name: 'web', clock })
    this.server = new HttpServer({ ...serverSettings, ...options.server }, this.context.logger)
    const ctx: TaskContext = {
      ...this.context,
      log,
      writer: 'test',
      http: this.server,
      progress: (rows) => {
        this.rowsDone += rows
      },
      trouble: () => {},
    }
    const task = {
      connector: http,
      config: http.config.parse(options.config),
      flush: { bytesMax: 4 << 20, intervalMs: 5, intervalMsMax: 1000 },
      openBytesMax: 32 << 20,
      stateDir: join(this.#folder.path, 'state'),
    }
    this.#running = runIngest(task as never, ctx, this.#stop.signal)
  }

  static async start(options: HubOptions): Promise<HttpHub> {
    const signal = AbortSignal.timeout(60_000)
    const store = openStore(`memory://http-${process.pid}-${Math.random()}`)
    const wrapped = options.store?.(store) ?? store
    const log = options.log ?? (await openLog(wrapped, { signal }))
    const hub = new HttpHub(log, options)
    const failed = hub.#running.then(
      () => {},
      (error: unknown) => error,
    )
    while (!hub.context.reports.some(({ state }) => state === 'running')) {
      const error = await Promise.race([failed, new Promise((go) => setTimeout(go, 5))])
      if (error !== undefined) throw error
    }
    return hub
  }

  get port(): number {
    return this.server.port ?? 0
  }

  /** Sends one request and waits for its answer. */
  send(
    body: string | Uint8Array,
    { path = '/in', method = 'POST', headers = {} }: Sending = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const request = httpRequest(
        { host: '127.0.0.1', port: this.port, path, method, headers, agent: false },
        (response) => {
          isAnswered = true
          const pieces: Buffer[] = []
          response.on('data', (piece: Buffer) => pieces.push(piece))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(pieces).toString()
            const json = /json/.test(response.headers['content-type'] ?? '')
              ? (JSON.parse(text) as Record<string, unknown>)
              : {}
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
          })
        },
      )
      // Who refuses a body ends the connection while it is still sent; the answer says whether it was cut off too.
      request.on('error', (error) => {
        if (!isAnswered) reject(error)
      })
      request.end(body)
    })
  }

  /** The rows of a topic as exact texts, in their order in the log. */
  rows(topic: string): Promise<(string | null)[][]> {
    return rowsOf(this.log, topic)
  }

  /** Ends the source as SIGTERM would, then the server. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.server[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    this.#folder[Symbol.dispose]()
  }
}

export async function rowsOf(log: Log, topic: string): Promise<(string | null)[][]> {
  const signal = AbortSignal.timeout(60_000)
  const chain = chainName('p', 'ingest', 'web')
  const head = await readHead(log, chain, signal)
  const rows: (string | null)[][] = []
  await using reader = ChainReader.open(log, chain, 1)
  while (reader.seq <= (head?.seq ?? 0)) {
    const commit = await reader.tryNext(signal)
    assert.ok(commit !== null)
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== `web.${topic}`) continue
      const batch = await reader.readBlock(commit, index, signal)
      if (batch === null) continue
      const { fields } = batch.schema
      for (let row = 0; row < batch.rows; row++) {
        rows.push(batch.columns.map((column, i) => textAt(fields[i]!.type, column, row)))
      }
    }
  }
  return rows
}

/** One topic `orders` at `/in`, open to all, with what is given beside. */
export function orders(
  more: Record<string, unknown> = {},
  source: Record<string, unknown> = {},
): unknown {
  const topic = {
    path: '/in',
    auth: 'none',
    schema: { id: 'int64', note: 'text?' },
    ...more,
  }
  return { push: { orders: topic }, ...source }
}

/** A store whose commits wait while it is stalled. */
export class StalledStore {
  /** Commits that began. */
  begun = 0
  #gate: Promise<void> = Promise.resolve()
  #open = (): void => {}

  stall(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve))
  }
  goOn(): void {
    this.#open()
  }

  /** For `HubOptions.store`. */
  readonly wrap = (store: ObjectStore): ObjectStore =>
    new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        if (name !== 'create') return value.bind(target) as unknown
        return async (...words: unknown[]) => {
          this.begun++
          await this.#gate
          return (value as (...words: unknown[]) => unknown).apply(target, words)
        }
      },
    })
}

/** By their texts. */
export function sorted<T>(values: readonly T[]): T[] {
  return values.toSorted((a, b) => String(a).localeCompare(String(b)))
}

/**
 * Frees what nobody holds any more. The second collection waits for the first one's sweeper, which gives array buffers
 * back on a thread of its own: until it is done, `arrayBuffers` counts them still (V8 13.6, array-buffer-sweeper.h).
 */
export function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
}
