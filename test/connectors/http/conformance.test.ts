/**
 * The contract of every source. Those who push keep their rows until they are answered, and send again with
 * the same key; what the log would remember of their keys, the harness does.
 */
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpConfig } from '../../../connectors/http/config.ts'
import { http } from '../../../connectors/http/connector.ts'
import type { SourceContext } from '../../../core/connector/context.ts'
import type { Source, SourceBatch, SourceConnector } from '../../../core/connector/source.ts'
import { HttpServer } from '../../../core/hub/http-server.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { sourceConformance, type SourceHarness } from '../../conformance/source.ts'
import { quietContext } from '../../support/context.ts'
import { freePort } from '../../support/env.ts'
import { orders, serverSettings } from './support.ts'

const before = 5

async function start(): Promise<SourceHarness<HttpConfig> & AsyncDisposable> {
  const port = await freePort()
  const server = new HttpServer({ ...serverSettings, port }, quietContext().logger)
  const stop = new AbortController()
  const senders: Promise<void>[] = []
  let rows = 0
  const insert = async (count: number): Promise<void> => {
    const records = Array.from({ length: count }, (_, at) => ({ id: rows + at }))
    rows += count
    senders.push(sendUntilTaken(port, JSON.stringify(records), `k${rows}`, stop.signal))
  }
  await insert(before)
  const config = orders({ idempotency: { from: 'header.k' } })
  return {
    connector: remembering(server),
    config: http.config.parse(config),
    topic: 'orders',
    before,
    insert,
    count: async () => rows,
    // A method that no path takes: whoever answers has a source behind it.
    connected: async () => (await ask(port, { method: 'GET' }, '')) === 405,
    forgotten: null,
    forget: async () => {},
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await Promise.all(senders)
      await server[Symbol.asyncDispose]()
    },
  }
}

/** The connector with a server, and with the history that the batches it brought make. */
function remembering(server: HttpServer): SourceConnector<HttpConfig> {
  const keys: Batch[] = []
  return {
    ...http,
    open: async (config, ctx) => {
      const history: SourceContext['history'] = async function* () {
        for (const batch of keys) yield batch
      }
      const source = await http.open(config, { ...ctx, http: server, history })
      return {
        ack: (position) => source.ack(position),
        [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
        read: (after, signal) => watched(source.read(after, signal), keys),
      } satisfies Source
    },
  }
}

async function* watched(
  batches: AsyncIterable<SourceBatch>,
  keys: Batch[],
): AsyncGenerator<SourceBatch> {
  for await (const batch of batches) {
    for (const change of batch.changes) {
      if (change.topic === 'orders.idempotency_keys' && 'batch' in change) keys.push(change.batch)
    }
    yield batch
  }
}

async function sendUntilTaken(
  port: number,
  body: string,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const status = await ask(port, { method: 'POST', headers: { k: key }, signal }, body)
    if (status === 200) return
    await sleep(10, undefined, { signal }).catch(() => {})
  }
}

/** The status of the answer; 0 = there was none. */
function ask(port: number, options: object, body: string): Promise<number> {
  return new Promise((resolve) => {
    const one = { host: '127.0.0.1', port, path: '/in', agent: false, ...options }
    const asked = request(one, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', () => resolve(0))
    asked.end(body)
  })
}

sourceConformance('http push', start)
