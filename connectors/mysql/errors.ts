/**
 * The driver's and the server's errors → codes: one table. By number, because messages are translated
 * on servers with another lc_messages; a text decides only for 1236, which the binlog's sender uses for
 * nearly everything and whose texts are never translated.
 *
 * Numbers: MySQL 9.7 share/messages_to_clients.txt; MariaDB 11.8 sql/share/errmsg-utf8.txt (from 1900).
 * Texts of 1236: MySQL sql/rpl_binlog_sender.cc; MariaDB sql/sql_repl.cc.
 */
import { socketFault } from '../../core/connector/socket-error.ts'
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'

const byNumber: Readonly<Partial<Record<Code, readonly number[]>>> = {
  'source.mysql.url': [
    1049, // ER_BAD_DB_ERROR: only while connecting; a database that is gone later is the snapshot reader's
  ],
  'source.mysql.tls': [
    3159, // ER_SECURE_TRANSPORT_REQUIRED
  ],
  'source.mysql.auth': [
    1045, // ER_ACCESS_DENIED_ERROR
    1129, // ER_HOST_IS_BLOCKED
    1130, // ER_HOST_NOT_PRIVILEGED
    1251, // ER_NOT_SUPPORTED_AUTH_MODE
    1524, // ER_PLUGIN_IS_NOT_LOADED
    1698, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    1820, // ER_MUST_CHANGE_PASSWORD
    1862, // ER_MUST_CHANGE_PASSWORD_LOGIN
    3118, // ER_ACCOUNT_HAS_BEEN_LOCKED
    3955, // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
    4151, // MariaDB ER_ACCOUNT_HAS_BEEN_LOCKED
  ],
  'source.mysql.permission': [
    1044, // ER_DBACCESS_DENIED_ERROR
    1142, // ER_TABLEACCESS_DENIED_ERROR
    1143, // ER_COLUMNACCESS_DENIED_ERROR
    1227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
    1370, // ER_PROCACCESS_DENIED_ERROR
  ],
  'source.mysql.server_restarting': [
    1053, // ER_SERVER_SHUTDOWN
    1077, // ER_NORMAL_SHUTDOWN
    1079, // ER_SHUTDOWN_COMPLETE
    1927, // MariaDB ER_CONNECTION_KILLED
    3032, // ER_SERVER_OFFLINE_MODE
    3169, // ER_SESSION_WAS_KILLED
    4031, // ER_CLIENT_INTERACTION_TIMEOUT
  ],
  'source.mysql.busy': [
    1021, // ER_DISK_FULL
    1037, // ER_OUTOFMEMORY
    1038, // ER_OUT_OF_SORTMEMORY
    1040, // ER_CON_COUNT_ERROR
    1041, // ER_OUT_OF_RESOURCES
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1205, // ER_LOCK_WAIT_TIMEOUT
    1213, // ER_LOCK_DEADLOCK
    1226, // ER_USER_LIMIT_REACHED
    1317, // ER_QUERY_INTERRUPTED
    1969, // MariaDB ER_STATEMENT_TIMEOUT
    3024, // ER_QUERY_TIMEOUT
    3572, // ER_LOCK_NOWAIT
  ],
  'source.mysql.connection': [
    1042, // ER_BAD_HOST_ERROR
    1043, // ER_HANDSHAKE_ERROR
    1152, // ER_ABORTING_CONNECTION
    1158, // ER_NET_READ_ERROR
    1159, // ER_NET_READ_INTERRUPTED
    1160, // ER_NET_ERROR_ON_WRITE
    1161, // ER_NET_WRITE_INTERRUPTED
    1184, // ER_NEW_ABORTING_CONNECTION
  ],
  'source.mysql.binlog_off': [
    1381, // ER_NO_BINARY_LOGGING
  ],
  'source.mysql.binlog_purged': [
    1373, // ER_UNKNOWN_TARGET_BINLOG
    1789, // ER_MASTER_HAS_PURGED_REQUIRED_GTIDS, ER_SOURCE_HAS_PURGED_REQUIRED_GTIDS
    1955, // MariaDB ER_GTID_POSITION_NOT_FOUND_IN_MASTER2: a GTID is missing though later ones exist
  ],
  'source.mysql.binlog_ahead': [
    1945, // MariaDB ER_GTID_POSITION_NOT_FOUND_IN_MASTER
  ],
  'source.mysql.server_id_clash': [
    4052, // MariaDB ER_SLAVE_SAME_ID
  ],
}

/** ER_MASTER_FATAL_ERROR_READING_BINLOG, the first that fits. */
const binlogSender = 1236
const senderTexts: readonly (readonly [RegExp, Code])[] = [
  [/same server_/, 'source.mysql.server_id_clash'],
  [/purged required|the GTID state requested|GTID state requested/, 'source.mysql.binlog_purged'],
  [/missing the GTID/, 'source.mysql.binlog_purged'],
  [/Could not find first log file name/, 'source.mysql.binlog_purged'],
  [/has more GTIDs|which is not in the master's binlog/, 'source.mysql.binlog_ahead'],
  [/GTID state not found in binlog/, 'source.mysql.binlog_ahead'],
  [/position > file size|impossible position/, 'source.mysql.binlog_ahead'],
  [/Binary log is not open|GTID_MODE|anonymous transaction/, 'source.mysql.binlog_off'],
  [/server_id is 0/, 'source.mysql.binlog_off'],
  [/./, 'source.mysql.binlog_unreadable'],
]

const codeOfNumber: ReadonlyMap<number, Code> = new Map(
  Object.entries(byNumber).flatMap(([code, numbers]) =>
    (numbers ?? []).map((number): [number, Code] => [number, code as Code]),
  ),
)

/** The driver's own. */
const connectionCodes: ReadonlySet<string> = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
])
/** HANDSHAKE_SSL_ERROR hides what TLS said: the driver overwrites its code; the text stays. */
const tlsCodes: ReadonlySet<string> = new Set(['HANDSHAKE_SSL_ERROR', 'HANDSHAKE_NO_SSL_SUPPORT'])
const brokenHandshake = /socket (disconnected|hang up)|ECONNRESET|EPIPE/
const authCodes = /^AUTH_SWITCH_/
const closedText = /closed state|Connection lost/

/** What a server's ERR packet says, as the driver gives it and as packets.ts reads it. */
export interface ServerError extends Error {
  readonly errno: number
}

/** Anything thrown while doing `what` ("read the binlog of db:3306"), as a SluiceError. */
export function mysqlError(thrown: unknown, what: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const number = fieldOf(thrown, 'errno')
  const suffix = typeof number === 'number' && number > 0 ? ` (${number})` : ''
  return new SluiceError(classify(thrown, message), {
    message: `Could not ${what}: ${message.replace(/[.\s]+$/, '')}${suffix}.`,
    cause: thrown,
  })
}

function classify(thrown: unknown, message: string): Code {
  const number = fieldOf(thrown, 'errno')
  const code = fieldOf(thrown, 'code')
  if (typeof code === 'string') {
    const fault = socketFault(code)
    if (fault === 'connection' || connectionCodes.has(code)) return 'source.mysql.connection'
    if (fault === 'tls' || tlsCodes.has(code)) {
      return brokenHandshake.test(message) ? 'source.mysql.connection' : 'source.mysql.tls'
    }
    if (authCodes.test(code)) return 'source.mysql.auth'
  }
  if (number === binlogSender) return senderTexts.find(([text]) => text.test(message))![1]
  // The system's own errors have negative numbers.
  if (typeof number === 'number' && number > 0) {
    return codeOfNumber.get(number) ?? 'source.mysql.server'
  }
  return closedText.test(message) ? 'source.mysql.connection' : 'internal.bug'
}

function fieldOf(thrown: unknown, name: 'errno' | 'code'): unknown {
  return typeof thrown === 'object' && thrown !== null && name in thrown
    ? (thrown as Readonly<Record<string, unknown>>)[name]
    : undefined
}
