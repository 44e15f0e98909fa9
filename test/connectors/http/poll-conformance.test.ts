/** The contract of every source, by a server that is polled page by page, and by one that streams. */
import type { HttpConfig } from '../../../connectors/http/config.ts'
import { http } from '../../../connectors/http/connector.ts'
import { sourceConformance, type SourceHarness } from '../../conformance/source.ts'
import { ApiServer } from './api-server.ts'

type Harness = SourceHarness<HttpConfig> & AsyncDisposable

const before = 7

function harness(
  server: ApiServer,
  rows: number[],
  more: Record<string, unknown>,
  told: () => void = () => {},
): Harness {
  return {
    connector: http,
    config: http.config.parse({
      poll: { items: { url: `${server.origin}/items`, schema: { id: 'int64' }, ...more } },
    }),
    topic: 'items',
    before,
    insert: async (count) => {
      for (let i = 0; i < count; i++) rows.push(rows.length + 1)
      told()
    },
    count: async () => rows.length,
    connected: async () => (await server.open()) > 0,
    forgotten: null,
    forget: async () => {},
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function first(): number[] {
  return Array.from({ length: before }, (_, at) => at + 1)
}

sourceConformance('http poll by since and pages', async () => {
  const rows = first()
  const server = await ApiServer.start(({ query }) => {
    const found = rows.filter((id) => id > Number(query.get('after') ?? 0))
    const from = Number(query.get('cursor') ?? 0)
    const next = from + 3 < found.length ? from + 3 : null
    return { body: { rows: found.slice(from, from + 3).map((id) => ({ id })), next } }
  })
  return harness(server, rows, {
    every: '100ms',
    records: '$.rows',
    since: { field: 'id', parameter: 'after' },
    pagination: { type: 'cursor', next: '$.next', parameter: 'cursor' },
  })
})

sourceConformance('http stream of events', async () => {
  const rows = first()
  const listeners = new Set<() => void>()
  const server = await ApiServer.start(({ headers }, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let sent = Number(headers['last-event-id'] ?? 0)
    const send = (): void => {
      while (sent < rows.length) {
        sent++
        response.write(`id: ${sent}\ndata: {"id":${rows[sent - 1]!}}\n\n`)
      }
    }
    response.flushHeaders()
    send()
    listeners.add(send)
    response.on('close', () => listeners.delete(send))
    return null
  })
  const told = (): void => {
    for (const send of listeners) send()
  }
  return harness(server, rows, { stream: 'sse' }, told)
})
