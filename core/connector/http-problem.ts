/**
 * Refusals over HTTP as problem details (RFC 9457): a status, what is wrong in words, and a code of ours
 * that the manual explains.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface HttpProblem {
  readonly status: number
  readonly code: string
  /** What is wrong with this request; never a secret or a value of a row. */
  readonly detail: string
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the answer. */
  readonly more?: Readonly<Record<string, unknown>>
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** How long a client may go on sending a body that was refused, so that it gets to read the answer. */
const lingerMs = 2000

/** Answers with the problem. A body that is still being sent is thrown away, for a while; then the connection is closed. */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  problem: HttpProblem,
): void {
  if (response.headersSent || response.destroyed) return
  const { status, code, detail } = problem
  const body = Buffer.from(
    JSON.stringify({ title: titles[status] ?? 'Refused', status, code, detail, ...problem.more }),
  )
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': body.length,
    'cache-control': 'no-store',
    ...problem.headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  if (request.complete) return
  request.resume()
  const { socket } = request
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  timer.unref()
  request.once('close', () => clearTimeout(timer))
}
