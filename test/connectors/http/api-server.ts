/** A server that is polled: real HTTP on loopback, with what the test answers and what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { keepAliveMs } from '../../support/env.ts'

export interface Asked {
  readonly method: string
  /** Without the origin. */
  readonly url: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Status, headers and body; a string is the body of a 200, anything else but null becomes its JSON. */
export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: unknown
}

export type Handler = (
  asked: Asked,
  response: ServerResponse,
  request: IncomingMessage,
) => Reply | null | Promise<Reply | null>

export class ApiServer implements AsyncDisposable {
  readonly asked: Asked[] = []
  /** Answers; null = it has answered by itself, or will. May be exchanged while it is asked. */
  handler: Handler
  readonly #server
  readonly #scheme: 'http' | 'https'

  private constructor(handler: Handler, tls: { cert: string; key: string } | null) {
    this.handler = handler
    this.#scheme = tls === null ? 'http' : 'https'
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#answer(request, response)
    }
    this.#server = tls === null ? createServer(listener) : createTlsServer(tls, listener)
  }

  static async start(
    handler: Handler,
    { tls = null, port = 0 }: { tls?: { cert: string; key: string } | null; port?: number } = {},
  ): Promise<ApiServer> {
    const server = new ApiServer(handler, tls)
    server.#server.keepAliveTimeout = keepAliveMs
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }
  get origin(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`
  }
  /** Connections that are open now. */
  open(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_, count) => resolve(count)))
  }
  /** Cuts every connection. */
  cut(): void {
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    try {
      for await (const piece of request) pieces.push(piece as Buffer)
      const url = new URL(request.url ?? '/', this.origin)
      const asked: Asked = {
        method: request.method ?? '',
        url: request.url ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: Buffer.concat(pieces).toString(),
      }
      this.asked.push(asked)
      const reply = await this.handler(asked, response, request)
      if (reply === null) return
      const { status = 200, headers = {}, body = '' } = reply
      const isText = typeof body === 'string' || Buffer.isBuffer(body)
      const type = isText ? {} : { 'content-type': 'application/json' }
      response.writeHead(status, { ...type, ...headers })
      response.end(isText ? body : JSON.stringify(body))
    } catch {
      // The client has gone.
      response.destroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }
}
