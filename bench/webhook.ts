/**
 * P13: signed webhook deliveries a second, against a bare undici loop that POSTs the same bodies,
 * prepared beforehand and unsigned, with the same number of requests in flight. The endpoint is a
 * process of its own that reads each body and answers 204; both sides take turns on it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Pool, request } from 'undici'
import { systemClock, type SinkContext } from '../core/connector/context.ts'
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
import { openStore } from '../core/store/open.ts'
import type { BenchRow } from './types.ts'

const inFlight = 16
const batchRows = 500
const topic = 'shop.public.orders'

export const bench = {
  id: 'P13',
  what: 'signed webhook deliveries beside a bare undici loop with the same bodies',
  run,
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const rounds = quick ? 5 : 11
  const batches = quick ? 8 : 20
  await using endpoint = await startEndpoint()
  const signing = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
  const config = webhook.config.parse({
    url: endpoint.url,
    secret: signing,
    allow_http: true,
    allow_private: true,
    max_in_flight: inFlight,
  })
  await using sink = await webhook.open(config, [], benchContext())
  await using pool = disposable(new Pool(endpoint.url, { connections: inFlight, pipelining: 1 }))
  const sample = sinkBatch(ordersBatch(), 0)
  const payloads = new Payloads('bench', sample, jsonDefaults)
  const bodies = planEvents(sample.batch).map((event) => payloads.body(event))
  let offset = 0
  const ours = async (): Promise<number> => {
    const startMs = performance.now()
    for (let i = 0; i < batches; i++) offset = await deliver(sink, sample.batch, offset)
    return rate(startMs, batches)
  }
  const bare = async (): Promise<number> => {
    const startMs = performance.now()
    for (let i = 0; i < batches; i++) await postAll(pool.pool, bodies)
    return rate(startMs, batches)
  }
  await ours()
  await bare()
  const pairs: { readonly ours: number; readonly bare: number }[] = []
  for (let round = 0; round < rounds; round++) {
    // Which goes first changes, so that neither always finds the machine as the other left it.
    const first = round % 2 === 0 ? await ours() : await bare()
    const second = round % 2 === 0 ? await bare() : await ours()
    pairs.push(round % 2 === 0 ? { ours: first, bare: second } : { ours: second, bare: first })
  }
  const expected = 2 * (rounds + 1) * batches * batchRows
  const taken = await endpoint.taken()
  if (taken !== expected) throw new Error(`${taken} of ${expected} requests arrived`)
  const ratio = median(pairs.map((pair) => pair.ours / pair.bare))
  const what = `signed deliveries, ${inFlight} in flight, ${bodies[0]?.length ?? 0} bytes each`
  return [
    {
      what,
      unit: 'deliveries/s',
      ours: Math.round(median(pairs.map((pair) => pair.ours))),
      limit: Math.round(median(pairs.map((pair) => pair.bare))),
      ratio: Math.round(ratio * 1000) / 1000,
      goal: 0.6,
      met: ratio >= 0.6,
    },
  ]
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

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function sinkBatch(batch: Batch, offset: number): SinkBatch {
  return { id: `bench:${offset}`, topic, batch, offset, attempt: 1 }
}

/** Orders as a shop has them: seven columns of the usual types. */
function ordersBatch(): Batch {
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
  for (let row = 0; row < batchRows; row++) {
    const values = [row, row % 97, `region-${row % 5}`, 'paid', `${row}.25`, `note ${row}`, startUs]
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
    new Int32Array(batchRows).fill(1),
    new Uint8Array(batchRows).fill(Op.insert),
    new Float64Array(batchRows).fill(startUs),
  )
}

function benchContext(): SinkContext {
  const nothing = (): void => {}
  return {
    pipeline: 'bench',
    name: 'hooks',
    clock: systemClock,
    random: Math.random,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    metrics: { count: nothing, gauge: nothing, observe: nothing },
    report: nothing,
    files: openStore,
  }
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
