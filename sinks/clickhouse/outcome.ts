/**
 * What an error of one attempt means: pure, so that every branch is tested without a server.
 * Server codes are those of src/Common/ErrorCodes.cpp (ClickHouse 26.7); the numbers never change.
 *
 * A code in no list is retried: an unknown fault must not throw rows away, and the reason is on show.
 */
import { ClickHouseError } from '@clickhouse/client'
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'

/** The server is there and asks for less: TOO_MANY_PARTS and its like, with the pause that helps. */
const busyMs: Readonly<Record<number, number>> = {
  201: 30_000, // QUOTA_EXCEEDED
  202: 1000, // TOO_MANY_SIMULTANEOUS_QUERIES
  241: 5000, // MEMORY_LIMIT_EXCEEDED
  243: 30_000, // NOT_ENOUGH_SPACE, also of a reservation for a merge
  252: 5000, // TOO_MANY_PARTS
  745: 5000, // SERVER_OVERLOADED
}

/** Those of them that have a cure of their own. */
const busyCodes: Readonly<Record<number, readonly [Code, string]>> = {
  241: ['sink.clickhouse.memory', 'the server is busy'],
  243: ['sink.clickhouse.disk_full', 'the server has no disk space left'],
}

/** Somebody has to change a grant, a password, a table or the pipeline. */
const configCodes: Readonly<Record<number, Code>> = {
  16: 'sink.clickhouse.table_shape', // NO_SUCH_COLUMN_IN_TABLE
  20: 'sink.clickhouse.table_shape', // NUMBER_OF_COLUMNS_DOESNT_MATCH
  44: 'sink.clickhouse.table_shape', // ILLEGAL_COLUMN
  53: 'sink.clickhouse.table_shape', // TYPE_MISMATCH
  60: 'sink.clickhouse.table_missing', // UNKNOWN_TABLE
  81: 'sink.clickhouse.database_missing', // UNKNOWN_DATABASE
  164: 'sink.clickhouse.denied', // READONLY
  192: 'sink.clickhouse.auth', // UNKNOWN_USER
  193: 'sink.clickhouse.auth', // WRONG_PASSWORD
  194: 'sink.clickhouse.auth', // REQUIRED_PASSWORD
  195: 'sink.clickhouse.auth', // IP_ADDRESS_NOT_ALLOWED
  452: 'sink.clickhouse.denied', // SETTING_CONSTRAINT_VIOLATION
  497: 'sink.clickhouse.denied', // ACCESS_DENIED
  516: 'sink.clickhouse.auth', // AUTHENTICATION_FAILED
}

/** The statement itself is refused, whatever the rows are. */
const refusedCodes: ReadonlySet<number> = new Set([
  36, // BAD_ARGUMENTS
  46, // UNKNOWN_FUNCTION
  47, // UNKNOWN_IDENTIFIER
  48, // NOT_IMPLEMENTED
  50, // UNKNOWN_TYPE
  57, // TABLE_ALREADY_EXISTS
  62, // SYNTAX_ERROR
  80, // INCORRECT_QUERY
  115, // UNKNOWN_SETTING
  344, // SUPPORT_IS_DISABLED
  524, // ALTER_OF_COLUMN_IS_FORBIDDEN
])

/** Some row of the batch is refused: a constraint, or a materialized view that cannot read it. */
const rowCodes: ReadonlySet<number> = new Set([
  6, // CANNOT_PARSE_TEXT
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  69, // ARGUMENT_OUT_OF_BOUND
  70, // CANNOT_CONVERT_TYPE
  72, // CANNOT_PARSE_NUMBER
  117, // INCORRECT_DATA
  131, // TOO_LARGE_STRING_SIZE
  153, // ILLEGAL_DIVISION
  321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  376, // CANNOT_PARSE_UUID
  395, // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
  407, // DECIMAL_OVERFLOW
  469, // VIOLATED_CONSTRAINT
  691, // UNKNOWN_ELEMENT_OF_ENUM
])

/** A certificate does not become valid by waiting. */
const certificateCodes =
  /^(CERT_|ERR_TLS_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_)/

/** Whatever an attempt threw, as what is to be done about it. `what` names the statement and its object. */
export function outcomeOf(error: unknown, what: string): SluiceError {
  if (error instanceof SluiceError) return error
  if (error instanceof ClickHouseError) return serverOutcome(error, what)
  // A mistake of ours would otherwise be retried for ever as a network that is down.
  if (error instanceof TypeError) {
    return new SluiceError('internal.bug', { message: `${what}: ${error.message}`, cause: error })
  }
  const code = connectionCode(error)
  if (certificateCodes.test(code)) {
    return new SluiceError('sink.clickhouse.certificate', {
      message: `${what}: the server's certificate is not trusted (${code}).`,
      cause: error,
    })
  }
  return new SluiceError('sink.clickhouse.unreachable', {
    message: `${what}: no answer from ClickHouse (${code}).`,
    cause: error,
  })
}

function serverOutcome(error: ClickHouseError, what: string): SluiceError {
  const code = Number(error.code)
  const name = `${code}${error.type === undefined ? '' : ` ${error.type}`}`
  const retryAfterMs = busyMs[code]
  if (retryAfterMs !== undefined) {
    const [ours, why] = busyCodes[code] ?? (['sink.clickhouse.busy', 'the server is busy'] as const)
    const message = `${what}: ${why} (${name}).`
    return new SluiceError(ours, { message, retryAfterMs, cause: hidden(error) })
  }
  if (rowCodes.has(code)) {
    // The server's own words quote the row's values, so they are left out.
    return new SluiceError('sink.clickhouse.row_refused', {
      message: `${what}: ClickHouse refused a row (${name}).`,
    })
  }
  const known = configCodes[code] ?? (refusedCodes.has(code) ? 'sink.clickhouse.refused' : null)
  return new SluiceError(known ?? 'sink.clickhouse.server', {
    message: `${what}: ClickHouse answered ${name}.`,
    cause: hidden(error),
  })
}

/** The server's text without what may be a value: its quoted parts. */
function hidden(error: ClickHouseError): Error {
  const text = error.message.replace(/'(?:[^'\\]|\\.)*'/g, "'…'").slice(0, 500)
  return new Error(`Code: ${error.code}. ${text}`)
}

function connectionCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as { readonly code?: unknown }
  if (typeof code === 'string') return code
  // The client's own timeout has a message and no code; other texts are a proxy's page, say.
  return error.message.startsWith('Timeout') ? 'timeout' : 'an answer that is not its own'
}
