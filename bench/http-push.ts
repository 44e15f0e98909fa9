/**
 * P15: requests that are pushed, from the socket to a durable commit in a folder, against a bare fastify
 * handler that parses the same JSON and drops it. Both in this process; the load comes from another one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { http } from '../connectors/http/connector.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import { HttpServer } from '../core/hub/http-server.ts'
import { flushPolicy } from '../core/hub/pipeline-tasks.ts'
import { openLog } from '../core/log/log.ts'
import { DirectoryStore } from '../core/store/directory.ts'
import { runIngest } from '../core/task/ingest.ts'
import { benchContext } from './support/context.ts'
import { loadFrom, type Load, type LoadResult } from './support/http-load.ts'
import type { BenchModule, BenchRow } from './types.ts'

const host = '127.0.0.1'
const path = '/in/orders'
const batchRows = 100
const p99MsMax = 50

export const bench: BenchModule['bench'] = {
  id: 'P15',
  what: 'HTTP push into the durable log',
  run: async ({ quick }) => {
    const seconds = quick ? 2 : 6
    const rounds = quick ? 3 : 7
    await using ours = await startOurs()
    await using bare = await startBare()
    const single = await compare(ours.port, bare.port, { rows: 1, seconds, rounds })
    const batched = await compare(ours.port, bare.port, { rows: batchRows, seconds, rounds })
    const rate = single.ours / 2
    const calm = await loadFrom(loadOf(ours.port, 1, { seconds: seconds * 2, rate }))
    return [
      row('requests of one row', 'requests/s', single),
      row(`requests of ${batchRows} rows`, 'requests/s', batched),
      {
        what: `99 of 100 answers at ${Math.round(rate)} requests/s come within`,
        unit: 'ms',
        ours: Math.round(calm.p99Ms * 10) / 10,
        limit: p99MsMax,
        ratio: Math.round((calm.p99Ms / p99MsMax) * 1000) / 1000,
        goal: 1,
        met: calm.p99Ms < p99MsMax && calm.refused === 0,
      },
    ]
  },
}

interface Compared {
  readonly ours: number
  readonly limit: number
  readonly ratio: number
}

function row(what: string, unit: string, { ours, limit, ratio }: Compared): BenchRow {
  return {
    what,
    unit,
    ours: Math.round(ours),
    limit: Math.round(limit),
    ratio: Math.round(ratio * 1000) / 1000,
    goal: 0.5,
    met: ratio >= 0.5,
  }
}

async function compare(
  oursPort: number,
  barePort: number,
  { rows, seconds, rounds }: { rows: number; seconds: number; rounds: number },
): Promise<Compared> {
  const run = async (port: number): Promise<number> => {
    const result = await loadFrom(loadOf(port, rows, { seconds, rate: null }))
    if (result.refused > 0) throw new Error(`${result.refused} requests were refused`)
    return result.perSecond
  }
  await run(oursPort)
  await run(barePort)
  const pairs: { readonly ours: number; readonly limit: number }[] = []
  for (let round = 0; round < rounds; round++) {
    // Which goes first changes, so that neither finds the machine as the other left it.
    const first = round % 2 === 0 ? oursPort : barePort
    const [a, b] = [await run(first), await run(first === oursPort ? barePort : oursPort)]
    pairs.push(first === oursPort ? { ours: a, limit: b } : { ours: b, limit: a })
  }
  return {
    ours: median(pairs.map(({ ours }) => ours)),
    limit: median(pairs.map(({ limit }) => limit)),
    ratio: median(pairs.map(({ ours, limit }) => ours / limit)),
  }
}

function loadOf(
  port: number,
  rows: number,
  { seconds, rate }: { readonly seconds: number; readonly rate: LoadResult['perSecond'] | null },
): Load {
  const bodies = Array.from({ length: 64 }, (_, at) => {
    const records = Array.from({ length: rows }, (_, i) => record(at * rows + i))
    return rows === 1 ? JSON.stringify(records[0]) : JSON.stringify(records)
  })
  const headers = { 'content-type': 'application/json' }
  // As many wait for a commit as it takes to keep the server busy until the one after is written: commits
  // are 20 ms apart, and what is measured here is work, not waiting.
  const lanes = 1024
  return { host, port, path, headers, bodies, lanes, seconds, rate }
}

/** An order of about 200 bytes. */
function record(id: number): Record<string, unknown> {
  return {
    id,
    customer_id: id % 97,
    region: `region-${id % 5}`,
    amount: `${id % 1000}.25`,
    created_at: '2026-01-01T12:00:00.123456Z',
    note: `order ${id} of somebody who wrote a few words about where to leave it`,
  }
}

async function startOurs(): Promise<{ readonly port: number } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const stop = new AbortController()
  const log = await openLog(new DirectoryStore(join(folder, 'log')), { signal: stop.signal })
  const context = benchContext()
  const server = new HttpServer(
    {
      host,
      port: 0,
      tls: null,
      trustProxy: [],
      maxConnections: 4096,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 60_000,
      keepAliveMs: 65_000,
    },
    context.logger,
  )
  const schema = {
    id: 'int64',
    customer_id: 'int64',
    region: 'text',
    amount: 'decimal(12,2)',
    created_at: 'timestamptz',
    note: 'text',
  }
  const task = {
    connector: http as unknown as SourceConnector<unknown>,
    config: http.config.parse({
      max_waiting: '256MiB',
      push: { orders: { path, auth: 'none', schema } },
    }),
    flush: flushPolicy(log.store.url, null),
    openBytesMax: 32 << 20,
    stateDir: join(folder, 'state'),
  }
  const ctx = {
    ...context,
    log,
    writer: 'bench',
    http: server,
    progress: () => {},
    trouble: () => {},
  }
  const running = runIngest(task, ctx, stop.signal)
  while (server.port === null) {
    await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 10))])
  }
  return {
    port: server.port,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
      await server[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function startBare(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = fastify({ bodyLimit: 4 << 20 })
  server.post(path, async () => ({ accepted: 1 }))
  await server.listen({ host, port: 0 })
  const address = server.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, [Symbol.asyncDispose]: () => server.close() }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
