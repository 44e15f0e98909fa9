import { codes, type Code } from './codes.ts'

/**
 * The fault alone decides what happens next:
 * - `transient`: back off and retry for ever, the reason on show;
 * - `row`: set the row aside as a dead letter;
 * - `config`: stop and ask the user;
 * - `fenced`: another process took over, step down;
 * - `bug`: crash.
 */
export type Fault = 'transient' | 'row' | 'config' | 'fenced' | 'bug'

export interface ErrorDetails {
  /** What happened to which object, in one sentence. Never a secret, never a row's values. */
  readonly message: string
  /** What to do about it here; the code's general remedy when absent. */
  readonly remedy?: string
  readonly cause?: unknown
  /** Only where one code can have several faults, as with a server's own errors. */
  readonly fault?: Fault
  /** Wait at least this long before the next attempt (a server's Retry-After). */
  readonly retryAfterMs?: number
}

/** The one error class. `code` is looked up in codes.ts, from which docs/errors.md is generated. */
export class SluiceError extends Error {
  readonly code: Code
  readonly remedy: string
  readonly fault: Fault
  readonly retryAfterMs: number | null

  constructor(code: Code, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'SluiceError'
    this.code = code
    this.remedy = details.remedy ?? codes[code].remedy
    this.fault = details.fault ?? codes[code].fault
    this.retryAfterMs = details.retryAfterMs ?? null
  }
}

/** Anything thrown, as a SluiceError; what is not one already is a bug of ours. */
export function toSluiceError(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new SluiceError('internal.bug', { message, cause: thrown })
}

/** Whether this is the abort of a signal that somebody else raised, not a failure. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'ABORT_ERR')
}
