/**
 * What a statement of the binlog does to transactions, and whether it changes rows by its text
 * (binlog_format=STATEMENT or MIXED), which a reader of rows cannot follow.
 *
 *   INSERT | REPLACE [ words ] [ INTO ] table …           LOAD … INTO TABLE table …
 *   UPDATE [ words ] tables SET …                          DELETE [ words ] FROM … | DELETE … USING …
 *   WITH … ( UPDATE | DELETE | INSERT | REPLACE ) …        CREATE TABLE table … SELECT …
 *   SELECT, DO, CALL: a function that changes rows; which, the statement does not say
 *
 * MySQL Reference Manual 9.7, 7.4.4 (binary logging formats); XA names as sql/xa.cc writes them:
 * X'gtrid',X'bqual',format.
 */
import { WordReader } from '../schema/ddl-word-reader.ts'
import { readWords, type Word } from '../schema/ddl-words.ts'
import { formatXid } from './gtid-event.ts'
import type { Statement } from '../schema/table-directory.ts'
import type { TableName } from '../schema/table-pattern.ts'

export type StatementKind =
  | { readonly kind: 'nothing' | 'begin' | 'commit' | 'rollback' | 'xaEnd' | 'other' }
  | { readonly kind: 'savepoint' | 'rollbackTo'; readonly name: string }
  | { readonly kind: 'xaStart' | 'xaCommit' | 'xaRollback'; readonly xid: string }
  /** `tables`: what it may change; null = that cannot be told. */
  | { readonly kind: 'rows'; readonly tables: readonly TableName[] | null }

const other: StatementKind = { kind: 'other' }

export function statementKind({ sql, database, sqlMode }: Statement): StatementKind {
  const words = readWords(sql, sqlMode)
  if (words === null) return other
  const reader = new WordReader(words)
  const first = words[0]?.upper
  switch (first) {
    case undefined:
      return { kind: 'nothing' }
    case 'BEGIN':
      return { kind: 'begin' }
    case 'START':
      return words[1]?.upper === 'TRANSACTION' ? { kind: 'begin' } : other
    case 'COMMIT':
      return { kind: 'commit' }
    case 'ROLLBACK':
      return rollback(reader)
    case 'SAVEPOINT':
      return { kind: 'savepoint', name: (words[1]?.text ?? '').toLowerCase() }
    case 'RELEASE':
      return { kind: 'nothing' }
    case 'XA':
      return xa(words)
    default:
      return rowsOf(reader, database)
  }
}

function rollback(reader: WordReader): StatementKind {
  reader.at = 1
  reader.take('WORK')
  if (!reader.take('TO')) return { kind: 'rollback' }
  reader.take('SAVEPOINT')
  return { kind: 'rollbackTo', name: (reader.name() ?? '').toLowerCase() }
}

function xa(words: readonly Word[]): StatementKind {
  const verb = words[1]?.upper
  const xid = xidOf(words)
  if (verb === 'END' || verb === 'PREPARE') return { kind: 'xaEnd' }
  if (verb === 'START' || verb === 'BEGIN') return { kind: 'xaStart', xid }
  return verb === 'COMMIT' ? { kind: 'xaCommit', xid } : { kind: 'xaRollback', xid }
}

/** XA verb X 'gtrid' , X 'bqual' , format */
function xidOf(words: readonly Word[]): string {
  return formatXid(words[3]?.text ?? '', words[6]?.text ?? '', Number(words[8]?.text ?? 1))
}

const changes: ReadonlySet<string> = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE'])

function rowsOf(reader: WordReader, database: string): StatementKind {
  const first = reader.words[0]!.upper
  if (first === 'CREATE') return createSelect(reader, database)
  if (first === 'LOAD') return loaded(reader, database)
  if (first === 'SELECT' || first === 'DO' || first === 'CALL')
    return { kind: 'rows', tables: null }
  if (first === 'WITH') {
    const at = reader.words.findIndex((word) => changes.has(word.upper))
    return {
      kind: 'rows',
      tables: at < 0 ? null : changed(new WordReader(reader.words, at), database),
    }
  }
  return changes.has(first) ? { kind: 'rows', tables: changed(reader, database) } : other
}

/** In row format a table made from a query is made by its columns, and its rows come as rows. */
function createSelect(reader: WordReader, database: string): StatementKind {
  reader.take('CREATE')
  reader.take('OR', 'REPLACE')
  if (!reader.take('TABLE') || !reader.words.some(({ upper }) => upper === 'SELECT')) return other
  reader.take('IF', 'NOT', 'EXISTS')
  const table = reader.table(database)
  return { kind: 'rows', tables: table === null ? null : [table] }
}

/** LOAD INDEX changes no rows. */
function loaded(reader: WordReader, database: string): StatementKind {
  reader.take('LOAD')
  if (!reader.takeOne('DATA', 'XML')) return other
  reader.at = reader.words.findIndex(({ upper }) => upper === 'TABLE') + 1
  const table = reader.at === 0 ? null : reader.table(database)
  return { kind: 'rows', tables: table === null ? null : [table] }
}

const manners = ['LOW_PRIORITY', 'DELAYED', 'HIGH_PRIORITY', 'QUICK', 'IGNORE'] as const

function changed(reader: WordReader, database: string): readonly TableName[] | null {
  const verb = reader.words[reader.at]!.upper
  reader.at++
  while (reader.takeOne(...manners));
  if (verb === 'INSERT' || verb === 'REPLACE') {
    reader.take('INTO')
    const table = reader.table(database)
    return table === null ? null : [table]
  }
  const end = verb === 'UPDATE' ? 'SET' : 'WHERE'
  const rest = reader.rest()
  const to = rest.findIndex(({ upper }) => upper === end)
  return namesIn(to < 0 ? rest : rest.slice(0, to), database)
}

/** After these, and after a comma or a parenthesis, a table may be named. */
const beforeTables: ReadonlySet<string> = new Set(
  '( , FROM USING JOIN STRAIGHT_JOIN LOW_PRIORITY IGNORE QUICK LATERAL'.split(' '),
)
const notTables: ReadonlySet<string> = new Set(
  'FROM USING JOIN STRAIGHT_JOIN INNER CROSS LEFT RIGHT NATURAL SELECT LATERAL ( ) ,'.split(' '),
)

/**
 * The tables named among the words: more than the statement changes, where it joins tables. One too
 * many stops the stream at a statement that could have been passed over, one too few would lose rows.
 */
function namesIn(words: readonly Word[], database: string): readonly TableName[] {
  const reader = new WordReader(words)
  const tables: TableName[] = []
  let expected = true
  while (reader.at < words.length) {
    const { upper } = words[reader.at]!
    if (expected && !notTables.has(upper)) {
      const table = reader.table(database)
      if (table !== null) tables.push(table)
      expected = false
      if (table !== null) continue
    }
    expected = beforeTables.has(upper)
    reader.at++
  }
  return tables
}
