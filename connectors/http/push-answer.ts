/** Answers to those who push: stored, or why not. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendProblem } from '../../core/connector/http-problem.ts'
import type { Refusal } from './push-body.ts'

/** What became of one request's rows. */
export interface Taken {
  readonly accepted: number
  /** Passed over, because their idempotency key was there. */
  readonly duplicates: number
  /** Set aside as dead letters. */
  readonly setAside: number
}

/** Only after the commit that holds the rows. */
export function sendTaken(response: ServerResponse, taken: Taken): void {
  if (response.headersSent || response.destroyed) return
  const { accepted, duplicates, setAside } = taken
  let text = `{"accepted":${accepted}`
  if (duplicates > 0) text += `,"duplicates":${duplicates}`
  if (setAside > 0) text += `,"set_aside":${setAside}`
  text += '}'
  response.writeHead(200, [
    'content-type',
    'application/json',
    'content-length',
    String(text.length),
  ])
  response.end(text)
}

/** A plain answer of one line: handshakes. */
export function sendText(
  response: ServerResponse,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return
  const body = Buffer.from(text)
  response.writeHead(200, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    ...headers,
  })
  response.end(body)
}

export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { status, code, detail, retryAfterS, more } = refusal
  sendProblem(request, response, {
    status,
    code,
    detail,
    headers: {
      ...headers,
      ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
    },
    ...(more === undefined ? {} : { more }),
  })
}
