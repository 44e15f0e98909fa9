/**
 * When the next request may go out: by our own rate, and by what the server says of its limits.
 *
 *   Retry-After            seconds, or an HTTP-date                           RFC 9110 §10.2.3
 *   RateLimit              "name";r=<left>;t=<seconds>, or limit=, remaining=<left>, reset=<seconds>
 *   RateLimit-Remaining, RateLimit-Reset            seconds from now          IETF draft, before 07
 *   X-RateLimit-Remaining, X-RateLimit-Reset        seconds from now, or since 1970 (GitHub and others)
 */
type Headers = Readonly<Record<string, string>>

/** What servers may ask us to wait at most. */
const waitMsMax = 86_400_000
/** A reset beyond it is a time, and none from now: ten years in seconds. */
const epochFromS = 315_360_000

export class Pace {
  readonly #spaceMs: number
  #nextMs = 0

  /** Requests a second; null = as many as there are. */
  constructor(perSecond: number | null) {
    this.#spaceMs = perSecond === null ? 0 : 1000 / perSecond
  }

  /** Takes a place: ms to wait before the request goes out. */
  takeMs(nowMs: number): number {
    const atMs = Math.max(nowMs, this.#nextMs)
    this.#nextMs = atMs + this.#spaceMs
    return Math.ceil(atMs - nowMs)
  }

  /** What an answer says of its limits. */
  note(headers: Headers, nowMs: number): void {
    const waitMs = limitWaitMs(headers, nowMs)
    if (waitMs !== null) this.#nextMs = Math.max(this.#nextMs, nowMs + waitMs)
  }
}

/** ms until the limit starts anew; null = there is room, or nothing is said. */
export function limitWaitMs(headers: Headers, nowMs: number): number | null {
  const field = headers['ratelimit']
  const left =
    parameterOf(field, 'r') ??
    parameterOf(field, 'remaining') ??
    numberOf(headers['ratelimit-remaining']) ??
    numberOf(headers['x-ratelimit-remaining'])
  if (left === null || left > 0) return null
  const reset =
    parameterOf(field, 't') ??
    parameterOf(field, 'reset') ??
    numberOf(headers['ratelimit-reset']) ??
    numberOf(headers['x-ratelimit-reset'])
  if (reset === null) return null
  const waitMs = reset > epochFromS ? reset * 1000 - nowMs : reset * 1000
  return Math.min(Math.max(waitMs, 0), waitMsMax)
}

/** Milliseconds from now, bounded; null when there is none or it cannot be read. */
export function retryAfterMs(text: string | null, nowMs: number): number | null {
  if (text === null) return null
  const trimmed = text.trim()
  if (/^\d+$/.test(trimmed)) return Math.min(Number(trimmed) * 1000, waitMsMax)
  // All three forms of HTTP-date begin with the name of a day (RFC 9110 §5.6.7).
  const atMs = /^[A-Z][a-z]{2}/.test(trimmed) ? Date.parse(trimmed) : Number.NaN
  return Number.isNaN(atMs) ? null : Math.min(Math.max(atMs - nowMs, 0), waitMsMax)
}

function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^\s*\d{1,12}(?:\.\d+)?\s*(?:[,;]|$)/.test(text)
    ? Number.parseFloat(text)
    : null
}

/** The first `name=number` of a structured field. */
function parameterOf(field: string | undefined, name: string): number | null {
  const [, value] = new RegExp(`(?:^|[;,\\s])${name}=(\\d{1,12})`).exec(field ?? '') ?? []
  return value === undefined ? null : Number(value)
}
