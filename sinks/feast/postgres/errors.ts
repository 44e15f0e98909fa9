/**
 * The driver's and the server's errors → codes. SQLSTATEs (PostgreSQL documentation, Appendix A) and not
 * messages, which servers translate. The server's message is kept, its detail is not: it may hold values.
 */
import { socketFault } from '../../../core/connector/socket-error.ts'
import type { Code } from '../../../core/errors/codes.ts'
import { SluiceError } from '../../../core/errors/error.ts'

/** The first that fits wins: a SQLSTATE or its first two characters. */
const rules: readonly (readonly [string, Code])[] = [
  ['53100', 'sink.feast.postgres_full'],
  // Of two processes that create a table at a time one is told that a name is taken.
  ['23505', 'sink.feast.postgres_busy'],
  ['42P07', 'sink.feast.postgres_busy'],
  ['53', 'sink.feast.postgres_busy'],
  ['55', 'sink.feast.postgres_busy'],
  ['40', 'sink.feast.postgres_busy'],
  ['57014', 'sink.feast.postgres_busy'],
  ['57', 'sink.feast.postgres_connection'],
  ['08', 'sink.feast.postgres_connection'],
  // A standby, until it takes over or the name leads elsewhere.
  ['25006', 'sink.feast.postgres_read_only'],
  ['28', 'sink.feast.postgres_access'],
  ['3D000', 'sink.feast.postgres_access'],
  ['42501', 'sink.feast.postgres_access'],
  ['42P01', 'sink.feast.postgres_table'],
  ['42703', 'sink.feast.postgres_table'],
  ['42P10', 'sink.feast.postgres_table'],
  ['42804', 'sink.feast.postgres_table'],
  ['3F000', 'sink.feast.postgres_table'],
]
/** The driver's own errors have no code. */
const connectionText =
  /^(Connection terminated|timeout expired|timeout exceeded|Query read timeout|Client has encountered a connection error|Client was closed)/
const tlsText = /does not support SSL|establishing an SSL connection/
const sqlState = /^[0-9A-Z]{5}$/

/** Anything thrown while doing `what` ("write view users"), as a SluiceError. */
export function postgresError(thrown: unknown, what: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const code = codeOf(thrown)
  return new SluiceError(classify(code, message), {
    message: `Could not ${what}: ${message}${code === '' ? '' : ` (${code})`}.`,
    cause: thrown,
  })
}

function codeOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return ''
  return typeof thrown.code === 'string' ? thrown.code : ''
}

function classify(code: string, message: string): Code {
  const fault = socketFault(code)
  if (fault === 'connection') return 'sink.feast.postgres_connection'
  if (fault === 'tls' || tlsText.test(message)) return 'sink.feast.postgres_tls'
  if (sqlState.test(code)) {
    return rules.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 'sink.feast.postgres_server'
  }
  return connectionText.test(message) ? 'sink.feast.postgres_connection' : 'internal.bug'
}
