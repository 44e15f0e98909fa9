/**
 * The errors of the driver and the server of a Postgres → codes, by the table of whoever talks to one.
 * SQLSTATEs first, because servers translate their messages; a text decides only where one SQLSTATE has
 * several meanings. The server's message is kept, its detail is not: that may hold a row's values.
 */
import type { Code } from '../errors/codes.ts'
import { SluiceError } from '../errors/error.ts'
import { socketFault } from './socket-error.ts'

export interface PostgresErrors {
  /**
   * A SQLSTATE (PostgreSQL documentation, Appendix A) or its first two characters, and what its message has
   * to fit, if it matters. The first that fits wins.
   */
  readonly rules: readonly (readonly [sqlState: string, gives: Code, text?: RegExp])[]
  readonly connection: Code
  readonly tls: Code
  /** What no rule fits. */
  readonly server: Code
}

const tlsText = /does not support SSL|establishing an SSL connection/
/** The driver's own errors have no code. */
const connectionText =
  /^(Connection terminated|timeout expired|timeout exceeded|Query read timeout|Client has encountered a connection error|Client was closed)/
const sqlState = /^[0-9A-Z]{5}$/

/** Anything thrown while doing `what` ("read slot orders"), as a SluiceError. */
export function postgresError(errors: PostgresErrors, thrown: unknown, what: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const code = codeOf(thrown)
  return new SluiceError(classify(errors, code, message), {
    message: `Could not ${what}: ${message}${code === '' ? '' : ` (${code})`}.`,
    cause: thrown,
  })
}

function codeOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return ''
  return typeof thrown.code === 'string' ? thrown.code : ''
}

function classify(errors: PostgresErrors, code: string, message: string): Code {
  const fault = socketFault(code)
  if (fault === 'connection') return errors.connection
  if (fault === 'tls' || tlsText.test(message)) return errors.tls
  if (sqlState.test(code)) {
    const rule = errors.rules.find(
      ([prefix, , text]) => code.startsWith(prefix) && (text?.test(message) ?? true),
    )
    return rule?.[1] ?? errors.server
  }
  return connectionText.test(message) ? errors.connection : 'internal.bug'
}
