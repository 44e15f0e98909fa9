/**
 * P13: signed webhook deliveries a second with the log of all deliveries on, against a bare undici loop
 * that POSTs the same bodies, prepared beforehand and unsigned, with the same number of requests in
 * flight; events in requests of 100 against requests of one; and 10,000 endpoints of which one in a hundred is bad (answers
 * 500 or 503, or not at all), against the same without the bad ones. The endpoint is a process of its own
 * that reads each body and answers 204; both sides take turns on it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Pool, request } from 'undici'
import type { SinkContext } from '../core/connector/context.ts'
import type { Sink, SinkBatch } from '../core/connector/sink.ts'
import { makeBatch, Op, type Batch } from '../core/record/batch.ts'
import { builderFor, NumberBuilder } from '../core/record/builder.ts'
import { BytesBuilder } from '../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../core/record/decimal-builder.ts'
import { jsonDefaults } from '../core/record/json.ts'
import { makeSchema } from '../core/record/schema.ts'
import type { LogicalType } from '../core/record/types.ts'
import { webhook } from '../sinks/webhook/connector.ts'
import { planEvents } from '../sinks/webhook/events.ts'
import { Payloads } from '../sinks/webhook/payload.ts'
import { WaitingRows } from '../core/task/waiting-rows.ts'
import { benchContext } from './support/context.ts'
import { median } from './support/figures.ts'
import type { BenchRow } from './types.ts'

const inFlight = 16
const batchRows = 500
/** Rounds that do not count: in the first two code is still being compiled, on both sides. */
const warmUps = 3
/** Events of a request, where there are several. */
const together = 100
const topic = 'shop.public.orders'

export const bench = {
  id: 'P13',
  what: 'signed webhook deliveries beside a bare undici loop with the same bodies',
  run,
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const rounds = quick ? 7 : 11
  const batches = quick ? 16 : 20
  await using endpoint = await startEndpoint()
  await using sink = await openSink(endpoint.url, {})
  await using gathering = await openSink(endpoint.url, { batch: { events: together, wait: '5ms' } })
  await using pool = disposable(new Pool(endpoint.url, { connections: inFlight, pipelining: 1 }))
  const sample = sinkBatch(ordersBatch(), 0)
  const payloads = new Payloads('bench', sample, jsonDefaults)
  const bodies = planEvents(sample.batch).map((event) => payloads.body(event))
  let offset = 0
  const through = (to: Sink) => async (): Promise<number> => {
    const startMs = performance.now()
    for (let i = 0; i < batches; i++) offset = await deliver(to, sample.batch, offset)
    return rate(startMs, batches)
  }
  const bare = (parts: readonly Buffer[]) => async (): Promise<number> => {
    const startMs = performance.now()
    for (let i = 0; i < batches; i++) await postAll(pool.pool, parts)
    return rate(startMs, batches)
  }
  const before = await endpoint.taken()
  const one = await compare(rounds, through(sink), bare(bodies))
  const expected = 2 * (rounds + warmUps) * batches * batchRows
  const taken = (await endpoint.taken()) - before
  if (taken !== expected) throw new Error(`${taken} of ${expected} requests arrived`)
  const many = await compare(rounds, through(gathering), through(sink))
  const bad = await compare(
    quick ? 3 : 5,
    manyEndpoints(endpoint.url, 'bad'),
    manyEndpoints(endpoint.url, 'good'),
  )
  const size = bodies[0]?.length ?? 0
  return [
    row(`signed deliveries, ${inFlight} in flight, ${size} bytes each, all logged`, one, 0.6),
    row(`events in signed requests of ${together}, against one each`, many, 1.5),
    row('10,000 endpoints, 1 % of them bad: deliveries to the good ones', bad, 0.9),
  ]
}

interface Compared {
  readonly ours: number
  readonly limit: number
  readonly ratio: number
}

function row(what: string, { ours, limit, ratio }: Compared, goal: number): BenchRow {
  return {
    what,
    unit: 'deliveries/s',
    ours: Math.round(ours),
    limit: Math.round(limit),
    ratio: Math.round(ratio * 1000) / 1000,
    goal,
    met: ratio >= goal,
  }
}

/** Both warmed up first, in turns; which goes first changes, so that neither finds the machine as the other left it. */
async function compare(
  rounds: number,
  ours: () => Promise<number>,
  limit: () => Promise<number>,
): Promise<Compared> {
  for (let i = 0; i < warmUps; i++) {
    await ours()
    await limit()
  }
  const pairs: { readonly ours: number; readonly limit: number }[] = []
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? await ours() : await limit()
    const second = round % 2 === 0 ? await limit() : await ours()
    pairs.push(round % 2 === 0 ? { ours: first, limit: second } : { ours: second, limit: first })
  }
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    limit: median(pairs.map((pair) => pair.limit)),
    ratio: median(pairs.map((pair) => pair.ours / pair.limit)),
  }
}

function openSink(
  url: string,
  more: Record<string, unknown>,
  ctx: SinkContext = benchContext(),
): Promise<Sink> {
  const config = webhook.config.parse({
    url,
    secret: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    allow_http: true,
    allow_private: true,
    max_in_flight: inFlight,
    delivery_log: 'all',
    ...more,
  })
  return webhook.open(config, [], ctx)
}

/**
 * Deliveries a second to the good ones of 10,000 endpoints that nothing is known of yet, from the first
 * request until the last good one was answered. As many batches are under way as the deliver loop has.
 */
function manyEndpoints(url: string, kind: 'good' | 'bad'): () => Promise<number> {
  return async () => {
    const endpoints = 10_000
    const good = endpoints - endpoints / 100
    let delivered = 0
    let doneMs = 0
    const count = (name: string, _: number, { outcome = '' }: Record<string, string>): void => {
      if (name !== 'webhook_requests_total' || outcome !== 'delivered') return
      if (++delivered === good) doneMs = performance.now()
    }
    const ctx = benchContext()
    const counted = {
      ...ctx,
      metrics: { ...ctx.metrics, count: count as typeof ctx.metrics.count },
    }
    await using sink = await openSink(`${url}${kind}/{id}`, { timeout: '10s' }, counted)
    const waiting = new WaitingRows()
    const stop = new AbortController()
    const startMs = performance.now()
    const under = new Set<Promise<unknown>>()
    for (let at = 0; at < endpoints; at += batchRows) {
      // Of the good ones one in a hundred is left out: both runs make the same deliveries.
      const batch = { ...sinkBatch(ordersBatch(at, kind === 'good'), at), waiting }
      const writing: Promise<unknown> = sink.write(batch, stop.signal)
      under.add(writing)
      void writing.then(() => under.delete(writing))
      if (under.size > 15) await Promise.race(under)
    }
    await Promise.all(under)
    stop.abort()
    return good / ((doneMs - startMs) / 1000)
  }
}

async function deliver(sink: Sink, batch: Batch, offset: number): Promise<number> {
  const { rejected } = await sink.write(sinkBatch(batch, offset), new AbortController().signal)
  if (rejected.length > 0) throw new Error(rejected[0]!.message)
  return offset + batch.rows
}

async function postAll(pool: Pool, bodies: readonly Buffer[]): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < bodies.length) {
      const body = bodies[next++]!
      const answer = await pool.request({ method: 'POST', path: '/', headers, body })
      await answer.body.dump()
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

function rate(startMs: number, batches: number): number {
  return (batches * batchRows) / ((performance.now() - startMs) / 1000)
}

function sinkBatch(batch: Batch, offset: number): SinkBatch {
  return { id: `bench:${offset}`, topic, batch, offset, attempt: 1 }
}

/** Orders as a shop has them: seven columns of the usual types. */
function ordersBatch(firstId = 0, withoutBad = false): Batch {
  const types: readonly (readonly [string, LogicalType])[] = [
    ['id', { kind: 'int64' }],
    ['customer_id', { kind: 'int64' }],
    ['region', { kind: 'text' }],
    ['status', { kind: 'text' }],
    ['amount', { kind: 'decimal', precision: 12, scale: 2 }],
    ['note', { kind: 'text' }],
    ['created_at', { kind: 'timestamptz' }],
  ]
  const fields = types.map(([name, type]) => ({ name, type, nullable: false }))
  const builders = types.map(([, type]) => builderFor(type))
  const startUs = 1_767_225_600_000_000
  let rows = 0
  for (let row = 0; row < batchRows; row++) {
    const id = firstId + row
    if (withoutBad && id % 100 === 0) continue
    rows++
    const values = [id, row % 97, `region-${row % 5}`, 'paid', `${row}.25`, `note ${row}`, startUs]
    builders.forEach((builder, i) => {
      const value = values[i]!
      if (builder instanceof NumberBuilder) builder.append(Number(value))
      else if (builder instanceof BytesBuilder) builder.appendString(String(value))
      else if (builder instanceof DecimalBuilder) {
        const text = Buffer.from(String(value))
        builder.appendText(text, 0, text.length)
      }
    })
  }
  return makeBatch(
    makeSchema(fields, [0], 'upsert'),
    builders.map((builder) => builder.finish()),
    new Int32Array(rows).fill(1),
    new Uint8Array(rows).fill(Op.insert),
    new Float64Array(rows).fill(startUs),
  )
}

function disposable(pool: Pool): { readonly pool: Pool } & AsyncDisposable {
  return { pool, [Symbol.asyncDispose]: () => pool.destroy() }
}

interface EndpointProcess extends AsyncDisposable {
  readonly url: string
  taken(): Promise<number>
}

async function startEndpoint(): Promise<EndpointProcess> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--endpoint'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string]
  const url = `http://127.0.0.1:${port}/`
  return {
    url,
    taken: async () => Number(await (await request(`${url}taken`)).body.text()),
    [Symbol.asyncDispose]: async () => {
      const exit = once(child, 'exit')
      child.kill()
      await exit
    },
  }
}

function serve(): void {
  let taken = 0
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.end(String(taken))
      return
    }
    request.resume().on('end', () => {
      const bad = Number(/^\/bad\/(\d+)00$/.exec(request.url ?? '')?.[1] ?? Number.NaN)
      // Of three bad ones one never answers.
      if (bad % 3 === 0) return
      if (bad > 0) return void response.writeHead(bad % 3 === 1 ? 500 : 503).end()
      taken++
      response.writeHead(204).end()
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address !== 'string') process.stdout.write(`${address.port}\n`)
  })
}

if (import.meta.main && process.argv.includes('--endpoint')) serve()
