/**
 * The driver's and the server's errors → codes: one table. SQLSTATEs first, because messages are
 * translated on servers with another lc_messages; a text decides only where one SQLSTATE has several
 * meanings. The server's message is kept, its detail is not: that may hold a row's values.
 */
import { socketFault } from '../../core/connector/socket-error.ts'
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'

interface Rule {
  /** SQLSTATE, its first two characters, or a code of Node's. */
  readonly code: string
  readonly text?: RegExp
  readonly gives: Code
}

/** PostgreSQL documentation, Appendix A. The first rule that fits wins. */
const rules: readonly Rule[] = [
  { code: '55006', gives: 'source.postgres.slot_active' },
  { code: '42704', text: /publication/, gives: 'source.postgres.publication_missing' },
  { code: '42704', gives: 'source.postgres.slot_missing' },
  { code: '55000', text: /wal_level/, gives: 'source.postgres.wal_level' },
  // "can no longer get changes from" (14–17), "can no longer access" (18), "cannot read from".
  { code: '55000', text: /slot/, gives: 'source.postgres.slot_lost' },
  { code: '58P01', text: /WAL segment/, gives: 'source.postgres.slot_lost' },
  { code: '57P01', gives: 'source.postgres.server_restarting' },
  { code: '57P02', gives: 'source.postgres.server_restarting' },
  { code: '57P03', gives: 'source.postgres.server_restarting' },
  { code: '57P05', gives: 'source.postgres.connection' },
  { code: '57', gives: 'source.postgres.busy' },
  { code: '53', gives: 'source.postgres.busy' },
  { code: '40', gives: 'source.postgres.busy' },
  { code: '55P03', gives: 'source.postgres.busy' },
  { code: '42501', gives: 'source.postgres.permission' },
  { code: '28', gives: 'source.postgres.auth' },
  { code: '3D000', gives: 'source.postgres.auth' },
  { code: '08', gives: 'source.postgres.connection' },
]

const tlsText = /does not support SSL|establishing an SSL connection/
/** The driver's own errors have no code. */
const connectionText =
  /^(Connection terminated|timeout expired|Client has encountered a connection error|Client was closed)/
const sqlState = /^[0-9A-Z]{5}$/

/** Anything thrown while doing `what` ("read slot orders"), as a SluiceError. */
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
  if (fault === 'connection') return 'source.postgres.connection'
  if (fault === 'tls' || tlsText.test(message)) return 'source.postgres.tls'
  if (sqlState.test(code)) {
    const rule = rules.find(
      (rule) => code.startsWith(rule.code) && (rule.text?.test(message) ?? true),
    )
    return rule?.gives ?? 'source.postgres.server'
  }
  return connectionText.test(message) ? 'source.postgres.connection' : 'internal.bug'
}
