/**
 * The clauses of ALTER TABLE: what each does to the columns and the key, in the order in which they
 * stand. What does nothing to either is passed over by its first words; definitions of columns are
 * read by ddl-column.ts; whatever is left is 'unread', after which the schema is read anew.
 *
 *   clauses = clause ( ',' clause )*       commas within parentheses belong to their clause
 */
import { readColumn, type ColumnDefinition } from './ddl-column.ts'
import { WordReader } from './ddl-word-reader.ts'
import type { Word } from './ddl-words.ts'
import type { TableName } from './table-pattern.ts'

/** Where a column goes: null = at the end, or where it is; else after that column or as the first one. */
export type ColumnPlace = { readonly after: string | null } | null

export type TableChange =
  | {
      readonly kind: 'add'
      readonly column: ColumnDefinition
      readonly place: ColumnPlace
      readonly ifNotExists: boolean
    }
  | {
      readonly kind: 'change'
      readonly from: string
      readonly column: ColumnDefinition
      readonly place: ColumnPlace
    }
  | { readonly kind: 'drop'; readonly name: string; readonly ifExists: boolean }
  | { readonly kind: 'renameColumn'; readonly from: string; readonly to: string }
  | { readonly kind: 'primaryKey'; readonly columns: readonly string[] }
  /** Of columns that are added later without a character set of their own. */
  | { readonly kind: 'defaultCharset'; readonly charset: string }
  /** What it does to the key depends on indexes that are not remembered. */
  | { readonly kind: 'dropPrimaryKey' | 'unique' | 'dropIndex' }
  /** Rows came or went without being in the binlog. */
  | { readonly kind: 'otherRows' }
  | { readonly kind: 'unread' }

export interface Alter {
  readonly changes: readonly TableChange[]
  /** RENAME TO. */
  readonly renamed: TableName | null
  /** EXCHANGE PARTITION … WITH TABLE: the other table. */
  readonly exchanged: TableName | null
}

const unread: TableChange = { kind: 'unread' }

export function readAlter(words: readonly Word[], database: string): Alter {
  const changes: TableChange[] = []
  let renamed: TableName | null = null
  let exchanged: TableName | null = null
  for (const clause of splitAtCommas(words)) {
    const reader = new WordReader(clause)
    if (isTableRename(clause)) {
      reader.at++
      if (!reader.takeOne('TO', 'AS')) reader.take('=')
      renamed = reader.table(database)
      if (renamed === null) changes.push(unread)
    } else if (reader.take('EXCHANGE', 'PARTITION')) {
      while (reader.at < clause.length && !reader.take('WITH', 'TABLE')) reader.at++
      exchanged = reader.table(database)
      changes.push({ kind: 'otherRows' })
    } else changes.push(...readClause(clause))
  }
  return { changes, renamed, exchanged }
}

/** RENAME to another name, and neither a column nor an index. */
function isTableRename([first, second]: readonly Word[]): boolean {
  return first?.upper === 'RENAME' && !['COLUMN', 'INDEX', 'KEY'].includes(second?.upper ?? '')
}

/** The words between the commas that stand outside of parentheses. */
export function splitAtCommas(words: readonly Word[]): readonly (readonly Word[])[] {
  const parts: Word[][] = [[]]
  let depth = 0
  for (const word of words) {
    if (word.upper === '(') depth++
    else if (word.upper === ')') depth--
    if (word.upper === ',' && depth === 0) parts.push([])
    else parts.at(-1)!.push(word)
  }
  return parts.filter((part) => part.length > 0)
}

/** First words of clauses and table options that change neither columns nor key nor rows. */
const harmless: ReadonlySet<string> = new Set(
  `ALGORITHM ALTER ANALYZE AUTOEXTEND_SIZE AUTO_INCREMENT AVG_ROW_LENGTH CHECK CHECKSUM COMMENT
   COMPRESSION CONNECTION DELAY_KEY_WRITE DISABLE ENABLE ENCRYPTION ENCRYPTED ENGINE ENGINE_ATTRIBUTE
   FORCE INSERT_METHOD KEY_BLOCK_SIZE LOCK MAX_ROWS MIN_ROWS OPTIMIZE PACK_KEYS PAGE_COMPRESSED
   PAGE_COMPRESSION_LEVEL PARTITION REBUILD REMOVE REORGANIZE COALESCE REPAIR ROW_FORMAT
   SECONDARY_ENGINE SECONDARY_LOAD SECONDARY_UNLOAD SECONDARY_ENGINE_ATTRIBUTE STATS_AUTO_RECALC
   STATS_PERSISTENT STATS_SAMPLE_PAGES TABLESPACE TRANSACTIONAL WITH WITHOUT WAIT NOWAIT ;`.split(
    /\s+/,
  ),
)

function readClause(clause: readonly Word[]): readonly TableChange[] {
  const reader = new WordReader(clause)
  if (reader.take('ADD')) return readAdd(reader)
  if (reader.take('DROP')) return [readDrop(reader)]
  if (reader.take('CHANGE')) {
    reader.take('COLUMN')
    reader.take('IF', 'EXISTS')
    const from = reader.name()
    return from === null ? [unread] : readDefinition(reader.rest(), { from })
  }
  if (reader.take('MODIFY')) {
    reader.take('COLUMN')
    reader.take('IF', 'EXISTS')
    const definition = reader.rest()
    const from = reader.name()
    return from === null ? [unread] : readDefinition(definition, { from })
  }
  if (reader.take('RENAME', 'COLUMN')) {
    reader.take('IF', 'EXISTS')
    const from = reader.name()
    const to = reader.take('TO') ? reader.name() : null
    return from === null || to === null ? [unread] : [{ kind: 'renameColumn', from, to }]
  }
  if (reader.take('RENAME')) return []
  const first = clause[0]!.upper
  // Partitions that go, come from elsewhere, or become tables; tablespaces put in from elsewhere.
  if (['TRUNCATE', 'DISCARD', 'IMPORT'].includes(first)) return [{ kind: 'otherRows' }]
  if (first === 'CONVERT' && ['PARTITION', 'TABLE'].includes(clause[1]?.upper ?? '')) {
    return [{ kind: 'otherRows' }]
  }
  return readOptions(clause)
}

/** Table options need no commas between them: the character set may come after others. */
function readOptions(clause: readonly Word[]): readonly TableChange[] {
  const first = clause[0]!.upper
  const charsetAt = clause.findIndex(
    ({ upper }, i) =>
      upper === 'CHARSET' || (upper === 'CHARACTER' && clause[i + 1]?.upper === 'SET'),
  )
  const isOption = harmless.has(first) || ['DEFAULT', 'CHARSET', 'CHARACTER'].includes(first)
  if (!isOption) return [unread]
  if (first === 'PARTITION' || charsetAt === -1) return harmless.has(first) ? [] : [unread]
  const reader = new WordReader(clause, charsetAt)
  if (!reader.take('CHARSET')) reader.take('CHARACTER', 'SET')
  reader.take('=')
  const charset = reader.words[reader.at]?.text
  return charset === undefined ? [unread] : [{ kind: 'defaultCharset', charset }]
}

function readAdd(reader: WordReader): readonly TableChange[] {
  const column = reader.take('COLUMN')
  if (!column) {
    const key = readKey(reader.rest())
    if (key !== null) return key
    if (reader.take('PARTITION')) return []
    if (reader.take('SYSTEM', 'VERSIONING') || reader.take('PERIOD', 'FOR')) return [unread]
  }
  const ifNotExists = reader.take('IF', 'NOT', 'EXISTS')
  const words = reader.rest()
  if (words[0]?.upper !== '(') return readDefinition(words, { ifNotExists })
  if (words.at(-1)?.upper !== ')') return [unread]
  return splitAtCommas(words.slice(1, -1)).flatMap(
    (part) => readKey(part) ?? readDefinition(part, { ifNotExists }),
  )
}

/** An index, key or constraint; null when it is none. Only the primary key can be told from its text. */
function readKey(words: readonly Word[]): readonly TableChange[] | null {
  const reader = new WordReader(words)
  if (reader.take('CONSTRAINT')) {
    reader.take('IF', 'NOT', 'EXISTS')
    if (!['PRIMARY', 'UNIQUE', 'FOREIGN', 'CHECK'].includes(words[reader.at]?.upper ?? '')) {
      reader.at++
    }
  }
  if (reader.take('PRIMARY', 'KEY')) return [readPrimaryKey(reader)]
  if (reader.take('UNIQUE')) return [{ kind: 'unique' }]
  const harmlessKey =
    reader.take('FOREIGN', 'KEY') ||
    reader.takeOne('CHECK', 'INDEX', 'KEY', 'FULLTEXT', 'SPATIAL') ||
    reader.take('VECTOR', 'INDEX') ||
    reader.take('VECTOR', 'KEY')
  return harmlessKey ? [] : null
}

function readPrimaryKey(reader: WordReader): TableChange {
  while (reader.at < reader.words.length && !reader.take('(')) reader.at++
  const columns: string[] = []
  do {
    const name = reader.name()
    if (name === null) return unread
    columns.push(name)
    if (!reader.take('ASC')) reader.take('DESC')
  } while (reader.take(','))
  // The catalog is asked about a prefix of a column, such as (name(10)).
  return reader.take(')') ? { kind: 'primaryKey', columns } : unread
}

function readDrop(reader: WordReader): TableChange {
  if (reader.take('PRIMARY', 'KEY')) return { kind: 'dropPrimaryKey' }
  if (reader.take('PARTITION')) return { kind: 'otherRows' }
  if (reader.take('SYSTEM', 'VERSIONING') || reader.take('PERIOD', 'FOR')) return unread
  if (reader.take('FOREIGN', 'KEY') || reader.take('CHECK')) return { kind: 'dropIndex' }
  if (reader.takeOne('INDEX', 'KEY', 'CONSTRAINT')) {
    reader.take('IF', 'EXISTS')
    const name = reader.name()
    return { kind: name?.toUpperCase() === 'PRIMARY' ? 'dropPrimaryKey' : 'dropIndex' }
  }
  reader.take('COLUMN')
  const ifExists = reader.take('IF', 'EXISTS')
  const name = reader.name()
  return name === null ? unread : { kind: 'drop', name, ifExists }
}

/** A column's definition with its place; `from` = the column that it replaces. */
function readDefinition(
  words: readonly Word[],
  how: { readonly from: string } | { readonly ifNotExists: boolean },
): readonly TableChange[] {
  let definition = words
  let place: ColumnPlace = null
  if (words.at(-1)?.upper === 'FIRST') {
    place = { after: null }
    definition = words.slice(0, -1)
  } else if (words.at(-2)?.upper === 'AFTER') {
    place = { after: words.at(-1)!.text }
    definition = words.slice(0, -2)
  }
  const column = readColumn(definition)
  if (column === null) return [unread]
  const changes: TableChange[] = [
    'from' in how
      ? { kind: 'change', from: how.from, column, place }
      : { kind: 'add', column, place, ifNotExists: how.ifNotExists },
  ]
  if (column.key === 'primary') changes.push({ kind: 'primaryKey', columns: [column.name] })
  else if (column.key === 'unique') changes.push({ kind: 'unique' })
  return changes
}
