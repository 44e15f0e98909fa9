/**
 * What the outcome of one request means. Pure: an answer or an error in, a decision out.
 *
 *   2xx                     delivered
 *   301, 308                stop: the endpoint has moved for good
 *   410                     stop: the endpoint wants no more
 *   `reject` of the config  the event is rejected (400, 413, 422 unless configured)
 *   429, 502, 503, 504      retry, with fewer requests for a while
 *   everything else         retry: other redirects, 401, 404, 408, 500, no answer, a lost connection
 *
 * The statuses are those of Standard Webhooks 1.0.0, "Deliverability and reliability". Statuses that
 * speak of the endpoint and not of the event, such as 401 or 404, are retried rather than rejected:
 * a token that expired must not empty a whole table into the dead letters.
 *
 * An attempt is charged to the event unless it says nothing about it: nothing was sent, or the
 * endpoint said that it has no room now (429, 503).
 */
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'

export type Outcome =
  /** `refused`: of several events, the ids of those that the endpoint names as not taken. */
  | { readonly kind: 'delivered'; readonly refused?: ReadonlySet<string> }
  | { readonly kind: 'rejected'; readonly reason: string; readonly refused?: ReadonlySet<string> }
  | { readonly kind: 'stop'; readonly error: SluiceError }
  | RetryOutcome

export interface RetryOutcome {
  readonly kind: 'retry'
  readonly code: Code
  /** Completes the sentence "the endpoint …". */
  readonly reason: string
  /** Whether the attempt counts against the event. */
  readonly charged: boolean
  /** Whether the endpoint should get fewer requests for a while. */
  readonly throttle: boolean
  /** What the endpoint asked for. */
  readonly retryAfterMs: number | null
}

export interface Answer {
  readonly status: number
  /** The Retry-After header. */
  readonly retryAfter: string | null
  /** Its body, where that was asked for. */
  readonly text?: string
}

/** An endpoint cannot ask for a longer pause than this. */
export const retryAfterMsMax = 3_600_000

const moved: ReadonlySet<number> = new Set([301, 308])
const throttling: ReadonlySet<number> = new Set([429, 502, 503, 504])
const uncharged: ReadonlySet<number> = new Set([429, 503])

export function outcomeOfAnswer(
  { status, retryAfter, text }: Answer,
  reject: ReadonlySet<number>,
  nowMs: number,
): Outcome {
  const refused = text === undefined ? null : parseRefused(text)
  const named = refused === null ? {} : { refused }
  if (status >= 200 && status < 300) return { kind: 'delivered', ...named }
  const reason = `answered ${status}`
  if (moved.has(status)) {
    return stop('sink.webhook.moved', `the endpoint ${reason}: it has moved for good`)
  }
  if (status === 410) return stop('sink.webhook.gone', `the endpoint ${reason} Gone`)
  if (reject.has(status)) return { kind: 'rejected', reason, ...named }
  const retryAfterMs = parseRetryAfter(retryAfter, nowMs)
  return {
    kind: 'retry',
    code: throttling.has(status) ? 'sink.webhook.throttled' : 'sink.webhook.attempt_failed',
    reason,
    charged: !uncharged.has(status),
    throttle: throttling.has(status) || retryAfterMs !== null,
    retryAfterMs,
  }
}

function stop(code: Code, message: string): Outcome {
  return { kind: 'stop', error: new SluiceError(code, { message }) }
}

/** `{"rejected": [id, …]}`: of a request with several events, those that are not taken; null when it is none. */
export function parseRefused(text: string): ReadonlySet<string> | null {
  if (!text.includes('"rejected"')) return null
  try {
    const answer: unknown = JSON.parse(text)
    if (typeof answer !== 'object' || answer === null || !('rejected' in answer)) return null
    const { rejected } = answer
    if (!Array.isArray(rejected)) return null
    const ids = rejected.filter((id): id is string => typeof id === 'string')
    return ids.length === 0 ? null : new Set(ids)
  } catch {
    return null
  }
}

/**
 * RFC 9110 §10.2.3: Retry-After = HTTP-date / delay-seconds. Milliseconds from now, bounded; null when
 * there is none or it cannot be read.
 */
export function parseRetryAfter(text: string | null, nowMs: number): number | null {
  if (text === null) return null
  const trimmed = text.trim()
  if (/^\d+$/.test(trimmed)) return Math.min(Number(trimmed) * 1000, retryAfterMsMax)
  // All three forms of HTTP-date begin with the name of a day (RFC 9110 §5.6.7).
  const atMs = /^[A-Z][a-z]{2}/.test(trimmed) ? Date.parse(trimmed) : Number.NaN
  return Number.isNaN(atMs) ? null : Math.min(Math.max(atMs - nowMs, 0), retryAfterMsMax)
}

/** `before` = before anything was sent: the event had no part in it. */
export interface TransportFailure {
  readonly error: unknown
  readonly before: boolean
}

export function outcomeOfFailure({ error, before }: TransportFailure): Outcome {
  if (error instanceof SluiceError) return { kind: 'stop', error }
  const name = errorCode(error)
  const tls =
    name.startsWith('ERR_TLS') || name.startsWith('ERR_SSL') || certificateErrors.has(name)
  return {
    kind: 'retry',
    code: tls
      ? 'sink.webhook.tls_failed'
      : before
        ? 'sink.webhook.unreachable'
        : 'sink.webhook.attempt_failed',
    reason: tls ? `could not be verified (${name})` : failureText(name, before),
    charged: !before,
    throttle: false,
    retryAfterMs: null,
  }
}

function failureText(name: string, before: boolean): string {
  if (name === deadlineCode)
    return before ? 'could not be reached in time' : 'did not answer in time'
  return before ? `could not be reached (${name})` : `closed or broke the connection (${name})`
}

/** Code of the error with which http.ts ends a request that took too long. */
export const deadlineCode = 'DEADLINE'

/** X.509 verification results as Node names them (doc/api/tls.md, "X509 certificate error codes"). */
const certificateErrors: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'INVALID_CA',
  'PATH_LENGTH_EXCEEDED',
  'INVALID_PURPOSE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'HOSTNAME_MISMATCH',
])

function errorCode(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error) {
    if (typeof error.code === 'string') return error.code
  }
  return error instanceof Error ? error.name : 'unknown error'
}
