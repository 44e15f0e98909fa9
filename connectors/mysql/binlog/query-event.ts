/**
 * QUERY events: statements, among them those that begin and end transactions.
 *
 *   query      = Int32 thread, Int32 seconds, Int8 bytes of the database, Int16 error,
 *                Int16 bytes of variables, { variable }, database, 0, sql
 *   variable   = Int8 code, content by code; 0 flags (Int32) · 1 sql_mode (Int64) · …
 *   loadQuery  = as query, with Int32 file, Int32 start, Int32 end, Int8 duplicates before the variables
 *
 * The variables come in the order of their codes, so that sql_mode is the first or second.
 * mysql-server 9.7, libs/mysql/binlog/event/statement_events.h.
 */
import { EventType, protocolError, uint16At, uint64At } from './events.ts'
import { unpackMariadb } from './mariadb-events.ts'
import type { Statement } from '../schema/table-directory.ts'

const fixedBytes = 13
const loadBytes = 13
const utf8 = new TextDecoder('utf-8', { fatal: true })
const latin1 = new TextDecoder('latin1')

/** Bytes of the database's name and of the variables; where the text begins. */
function sqlStart(source: Uint8Array, at: number, end: number, type: number): number {
  const fixed = type === EventType.executeLoadQuery ? fixedBytes + loadBytes : fixedBytes
  if (end - at < fixed) throw protocolError('is cut short', type)
  const start = at + fixed + uint16At(source, at + 11) + source[at + 8]! + 1
  if (start > end) throw protocolError('is cut short', type)
  return start
}

const begin = Buffer.from('BEGIN')
const commit = Buffer.from('COMMIT')

/** The two that come with nearly every transaction, told by their bytes. */
export function plainWord(source: Uint8Array, at: number, end: number): 'begin' | 'commit' | null {
  const start = sqlStart(source, at, end, EventType.query)
  if (isText(source, start, end, begin)) return 'begin'
  return isText(source, start, end, commit) ? 'commit' : null
}

function isText(source: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start !== text.length) return false
  for (let i = 0; i < text.length; i++) if (source[start + i] !== text[i]) return false
  return true
}

/** source[at, end) from the post-header on, of QUERY, QUERY_COMPRESSED or EXECUTE_LOAD_QUERY. */
export function parseStatement(
  source: Uint8Array,
  at: number,
  end: number,
  type: number,
): Statement {
  const start = sqlStart(source, at, end, type)
  const databaseEnd = start - 1
  const database = databaseEnd - source[at + 8]!
  const variables = database - uint16At(source, at + 11)
  const sql =
    type === EventType.queryCompressed
      ? unpackMariadb(source, start, end, type)
      : source.subarray(start, end)
  return {
    database: textOf(source.subarray(database, databaseEnd)),
    sql: textOf(sql),
    sqlMode: sqlModeOf(source, variables, database),
  }
}

function sqlModeOf(source: Uint8Array, start: number, end: number): bigint | null {
  const at = source[start] === 0 && start < end ? start + 5 : start
  return at + 9 <= end && source[at] === 1 ? uint64At(source, at + 1) : null
}

/**
 * A statement comes in its client's character set. Every client of today speaks UTF-8; bytes that are
 * none are read one by one, which keeps the words and the punctuation of any ASCII superset.
 */
function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return latin1.decode(bytes)
  }
}
