/**
 * PushEndpoint: one path as its callers see it. Each request goes through the same gates, the cheap ones
 * first, so that nobody who may not send makes us hold a body:
 *
 *   method (405) → address (403) → rate (429) → credentials (401) → length (413) → room (503)
 *   → body → signature over its raw bytes (401) → unpacked (400, 413, 415) → queue of the topic
 *
 * What is in the body is looked at when a batch is made of it (push-topic.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RouteCall } from '../../core/connector/http-routes.ts'
import type { IpRanges } from '../../core/connector/ip-range.ts'
import type { Semaphore } from '../../core/connector/semaphore.ts'
import type { Authenticator, RequestHead } from './auth.ts'
import { Delivery } from './delivery.ts'
import { pairsOf } from './form.ts'
import { handshake } from './handshakes.ts'
import { sendRefusal, sendText } from './push-answer.ts'
import {
  contentCoding,
  full,
  notUnpacked,
  readBody,
  requestOverheadBytes,
  type Budget,
  type Refusal,
} from './push-body.ts'
import type { RateLimit } from './rate-limit.ts'
import { unpack, type UnpackFault } from './unpack.ts'

export interface EndpointParts {
  readonly topic: string
  readonly allowed: IpRanges
  readonly rate: RateLimit | null
  readonly auth: Authenticator | null
  /** The name of the scheme, for its handshake. */
  readonly scheme: string
  /** What is signed is the idempotency key. */
  readonly tellsReplays: boolean
  readonly takesCloudEvents: boolean
  readonly bodyBytesMax: number
  readonly unpackedBytesMax: number
}

/** What the source gives to all its endpoints. */
export interface EndpointHost {
  readonly budget: Budget
  /** Bodies being unpacked at a time. */
  readonly unpacking: Semaphore
  readonly signal: AbortSignal
  readonly nowMs: () => number
  /** A request that passed all gates. */
  readonly taken: (delivery: Delivery) => void
  readonly settled: (delivery: Delivery) => void
  /** Counts an answer that no delivery gives. */
  readonly refused: (topic: string, status: number) => void
  /** Keeps a promise until it is over, so that the source does not end before. */
  readonly keep: (work: Promise<void>) => void
}

const noQuery = new URLSearchParams()

interface Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly call: RouteCall
  readonly head: RequestHead
  /** What was signed, hashed, once it was found right. */
  signed: string | null
}

export class PushEndpoint {
  readonly #parts: EndpointParts
  readonly #host: EndpointHost

  constructor(parts: EndpointParts, host: EndpointHost) {
    this.#parts = parts
    this.#host = host
  }

  handle(request: IncomingMessage, response: ServerResponse, call: RouteCall): void {
    const mark = request.url?.indexOf('?') ?? -1
    const query = mark < 0 ? noQuery : pairsOf(request.url!.slice(mark + 1))
    const head = { headers: request.headers, query: query ?? noQuery }
    const visit = { request, response, call, head, signed: null }
    const refusal = this.#gate(visit) ?? (query === null ? badQuery : null)
    if (refusal !== null) return this.#refuse(visit, refusal)
    if (request.method === 'OPTIONS') return this.#answerOptions(request, response)
    const { bodyBytesMax } = this.#parts
    const { budget, signal } = this.#host
    readBody(request, response, { bodyBytesMax, budget }, (end) => {
      if (end.kind === 'gone') return
      if (end.kind === 'refused') return this.#refuse(visit, end.refusal)
      if (signal.aborted) return this.#letGo(visit, ending, end.heldBytes)
      this.#body(visit, end.body, end.heldBytes)
    })
  }

  #gate({ request, call, head }: Visit): Refusal | null {
    const { allowed, rate, auth, takesCloudEvents } = this.#parts
    const { method } = request
    if (method !== 'POST' && method !== 'PUT' && !(method === 'OPTIONS' && takesCloudEvents)) {
      return { status: 405, code: 'http.method', detail: 'send with POST' }
    }
    if (!allowed.isEmpty && !allowed.has(call.remoteAddress)) {
      return { status: 403, code: 'http.address', detail: 'this address may not send here' }
    }
    const waitS = rate?.take(this.#host.nowMs()) ?? 0
    if (waitS > 0) {
      const detail = 'more requests came than this path takes'
      return { status: 429, code: 'http.rate', detail, retryAfterS: waitS }
    }
    if (method === 'OPTIONS') return null
    const reason = auth?.head(head) ?? null
    return reason === null ? null : unauthorised(reason)
  }

  #body(visit: Visit, body: Buffer, heldBytes: number): void {
    const { auth, scheme, tellsReplays } = this.#parts
    const { unpacking: slots, budget, signal } = this.#host
    const reason = auth?.body(visit.head, body, this.#host.nowMs()) ?? null
    if (reason !== null) return this.#letGo(visit, unauthorised(reason), heldBytes)
    if (tellsReplays) visit.signed = auth?.signed(visit.head, body) ?? null
    const said = handshake(scheme, body)
    if (said !== null) {
      budget.give(heldBytes)
      return sendText(visit.response, said)
    }
    const coding = contentCoding(visit.request)
    if (coding === null) return this.#take(visit, body, heldBytes)
    const bytesMax = Math.min(this.#parts.unpackedBytesMax, budget.bodyBytesMax)
    const work = unpack(body, coding, { bytesMax, slots }, signal).then(
      (unpacked) => this.#unpacked(visit, unpacked, { heldBytes, bytesMax }),
      () => this.#letGo(visit, ending, heldBytes),
    )
    this.#host.keep(work)
  }

  #unpacked(
    visit: Visit,
    unpacked: Buffer | UnpackFault,
    { heldBytes, bytesMax }: { readonly heldBytes: number; readonly bytesMax: number },
  ): void {
    if (!Buffer.isBuffer(unpacked)) {
      return this.#letGo(visit, notUnpacked(unpacked, bytesMax), heldBytes)
    }
    // The packed body goes, the unpacked one comes.
    const { budget } = this.#host
    budget.give(heldBytes)
    const bytes = unpacked.length + requestOverheadBytes
    if (!budget.take(bytes)) return this.#refuse(visit, full)
    this.#take(visit, unpacked, bytes)
  }

  #take(visit: Visit, body: Buffer, heldBytes: number): void {
    const { request, response, call, head, signed } = visit
    const { query } = head
    const receivedMs = this.#host.nowMs()
    const { topic } = this.#parts
    const parts = { topic, request, response, call, query, body, heldBytes, receivedMs, signed }
    this.#host.taken(new Delivery(parts, this.#host.settled))
  }

  /** CloudEvents' question whether this path wants events at all (http-webhook.md §4). */
  #answerOptions(request: IncomingMessage, response: ServerResponse): void {
    const origin = request.headers['webhook-request-origin']
    const allow = { allow: 'POST, PUT, OPTIONS' }
    if (typeof origin !== 'string') return sendText(response, '', allow)
    sendText(response, '', {
      ...allow,
      'webhook-allowed-origin': origin,
      'webhook-allowed-rate': '*',
    })
  }

  #letGo(visit: Visit, refusal: Refusal, heldBytes: number): void {
    this.#host.budget.give(heldBytes)
    this.#refuse(visit, refusal)
  }

  #refuse({ request, response }: Visit, refusal: Refusal): void {
    const { auth, topic } = this.#parts
    const { status } = refusal
    const headers =
      status === 401 && auth !== null
        ? { 'www-authenticate': auth.challenge }
        : status === 405
          ? { allow: 'POST, PUT' }
          : {}
    this.#host.refused(topic, status)
    sendRefusal(request, response, refusal, headers)
  }
}

/** Of requests that are under way when the source ends. */
export const ending: Refusal = {
  status: 503,
  code: 'http.not_ready',
  detail: 'what takes these requests is about to end; send again',
  retryAfterS: 2,
}

const badQuery: Refusal = {
  status: 400,
  code: 'http.target',
  detail: 'the query is not percent-encoded UTF-8',
}

function unauthorised(reason: string): Refusal {
  return { status: 401, code: 'http.unauthorised', detail: reason }
}
