/**
 * The small HTTP server for machines: `/metrics` (Prometheus), `/healthz` (the process answers) and
 * `/readyz` (everything is attached; 503 with the reasons otherwise). Loopback unless the caller says
 * otherwise: it has no authentication, and it shows names of tables and servers.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { listen } from './listen.ts'
import type { MetricsRegistry } from './metrics.ts'

export interface ObserveServerOptions {
  readonly host?: string
  /** 0 = any free port. */
  readonly port: number
  readonly metrics: MetricsRegistry
  /** Why the pipeline is not ready; none = ready. */
  readonly notReady: () => readonly string[]
  /** The live status as JSON, at `/status`. */
  readonly status: () => unknown
}

const requestTimeoutMs = 10_000

export class ObserveServer implements AsyncDisposable {
  readonly #server: Server
  readonly url: string

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  /** Throws `observe.port_unavailable` where the port cannot be had. */
  static async start(options: ObserveServerOptions): Promise<ObserveServer> {
    const { host = '127.0.0.1', port } = options
    const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
      answer(request, response, options).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : new Error(String(error)))
      })
    })
    server.maxConnections = 64
    const at = await listen(server, { host, port, code: 'observe.port_unavailable' })
    return new ObserveServer(server, `http://${at}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { metrics, notReady, status }: ObserveServerOptions,
): Promise<void> {
  const send = (code: number, contentType: string, text: string): void => {
    response.writeHead(code, { 'content-type': contentType, 'cache-control': 'no-store' })
    response.end(request.method === 'HEAD' ? '' : text)
  }
  const plain = 'text/plain; charset=utf-8'
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, plain, 'only GET\n')
  const path = (request.url ?? '/').split('?', 1)[0]
  if (path === '/metrics') {
    const { text, contentType } = await metrics.render()
    return send(200, contentType, text)
  }
  if (path === '/healthz') return send(200, plain, 'ok\n')
  if (path === '/readyz') {
    const reasons = notReady()
    return send(reasons.length === 0 ? 200 : 503, plain, `${reasons.join('\n') || 'ready'}\n`)
  }
  if (path === '/status') {
    return send(200, 'application/json', `${JSON.stringify(status(), null, 2)}\n`)
  }
  return send(404, plain, 'there are /metrics, /healthz, /readyz and /status\n')
}
