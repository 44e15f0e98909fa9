/**
 * An HTTP proxy in front of a real server that loses answers: the request is carried out in full,
 * then the connection is cut instead of answering. What a client sees when a network breaks at the
 * worst moment.
 */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { keepAliveMs } from '../support/env.ts'

export interface LossyProxy extends AsyncDisposable {
  readonly url: string
  /** Answers lost so far. */
  readonly lost: number
  /** Decides, per request, whether its answer gets lost. */
  lose: (method: string, path: string) => boolean
}

export async function startLossyProxy(target: string): Promise<LossyProxy> {
  let lost = 0
  const proxy = {
    url: '',
    get lost() {
      return lost
    },
    lose: (_method: string, _path: string): boolean => false,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const forward = (incoming: IncomingMessage, answer: ServerResponse): void => {
    const { method = 'GET', url = '/', headers } = incoming
    // The Host header stays as the client signed it.
    const outgoing = request(new URL(url, target), { method, headers }, (response) => {
      if (!proxy.lose(method, url)) {
        answer.writeHead(response.statusCode ?? 502, response.headers)
        response.pipe(answer)
        return
      }
      response.resume()
      response.once('end', () => {
        lost++
        incoming.socket.destroy()
      })
    })
    outgoing.once('error', () => incoming.socket.destroy())
    incoming.pipe(outgoing)
  }
  const server = createServer(forward)
  server.keepAliveTimeout = keepAliveMs
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}
