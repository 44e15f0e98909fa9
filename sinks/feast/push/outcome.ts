/**
 * What an answer of `feast serve`, or none, means (feast 0.67, feature_server.py). A FeastError has a
 * status of its own and says its class; anything else is 500 with the exception's text, which may hold
 * values and is not repeated.
 */
import { socketFault } from '../../../core/connector/socket-error.ts'
import { SluiceError } from '../../../core/errors/error.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

export function answerError(
  what: string,
  status: number,
  body: string,
  headers: Headers,
): SluiceError {
  const feast = feastClass(body)
  const message = `${what} was answered ${status}${feast === null ? '' : ` (${feast})`}.`
  if (status === 401 || status === 403)
    return new SluiceError('sink.feast.push_access', { message })
  if (status === 429 || status >= 500) {
    const seconds = Number(headers['retry-after'])
    const pause = Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}
    return new SluiceError('sink.feast.push_failed', { message, ...pause })
  }
  return new SluiceError('sink.feast.push_refused', { message })
}

export function noAnswerError(what: string, thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const code =
    thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
      ? thrown.code
      : ''
  const fault = socketFault(code)
  const message = `${what} got no answer${code === '' ? '' : `: ${code}`}.`
  if (fault === 'tls') return new SluiceError('sink.feast.push_tls', { message, cause: thrown })
  if (fault === 'connection' || code.startsWith('UND_ERR_')) {
    return new SluiceError('sink.feast.push_connection', { message, cause: thrown })
  }
  return new SluiceError('internal.bug', { message, cause: thrown })
}

/** `FeatureViewNotFoundException`; the detail is JSON inside a JSON string. */
function feastClass(body: string): string | null {
  return /\\?"class\\?": ?\\?"([A-Za-z]+)/.exec(body)?.[1] ?? null
}
