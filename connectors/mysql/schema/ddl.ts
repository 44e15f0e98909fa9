/**
 * What a statement of the binlog does to tables, as far as it matters here. Its head is read by
 * ourselves, so that the tables a statement touches are known even where its details are not:
 *
 *   TRUNCATE [TABLE] t                                  → truncate
 *   DROP TABLE[S] [IF EXISTS] t, …                      → drop
 *   DROP DATABASE|SCHEMA [IF EXISTS] d                  → dropDatabase
 *   RENAME TABLE[S] [IF EXISTS] t TO u, …               → rename, all moves at once
 *   CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t …       → create
 *   ALTER [ONLINE] [IGNORE] TABLE [IF EXISTS] t …       → alter (ddl-alter.ts), and rename last
 *   CREATE UNIQUE INDEX … ON t …, DROP INDEX i ON t     → alter
 *   SET STATEMENT … FOR statement                       → as the statement (MariaDB)
 *
 * Temporary tables are in no topic; everything else does nothing to tables.
 */
import { readAlter, type TableChange } from './ddl-alter.ts'
import { WordReader } from './ddl-word-reader.ts'
import { readWords, type Word } from './ddl-words.ts'
import type { TableName } from './table-pattern.ts'

export type Ddl =
  | { readonly kind: 'truncate' | 'drop'; readonly table: TableName }
  | { readonly kind: 'dropDatabase'; readonly database: string }
  | {
      readonly kind: 'rename'
      readonly moves: readonly { readonly from: TableName; readonly to: TableName }[]
    }
  /** `ifNotExists`: it may have done nothing, for the statement is in the binlog either way. */
  | { readonly kind: 'create'; readonly table: TableName; readonly ifNotExists: boolean }
  | {
      readonly kind: 'alter'
      readonly table: TableName
      readonly changes: readonly TableChange[]
    }
  /** It changes some table, and which one could not be read. */
  | { readonly kind: 'unread' }

/** `database`: the one in use, for names that stand without theirs. */
export function readDdl(sql: string, database: string, sqlMode: bigint | null): readonly Ddl[] {
  const words = readWords(sql, sqlMode)
  if (words === null) return /^\W*(alter|create|drop|rename|truncate)\b/i.test(sql) ? unread : []
  return new Statement(words, database).read()
}

const unread: readonly Ddl[] = [{ kind: 'unread' }]

class Statement {
  readonly #words: WordReader
  readonly #database: string
  constructor(words: readonly Word[], database: string) {
    this.#words = new WordReader(words)
    this.#database = database
  }

  read(): readonly Ddl[] {
    const words = this.#words
    if (words.take('SET', 'STATEMENT')) {
      const start = words.words.findIndex((word) => word.upper === 'FOR')
      words.at = start === -1 ? words.words.length : start + 1
    }
    if (words.take('TRUNCATE')) return this.#truncate()
    if (words.take('RENAME')) return words.takeOne('TABLE', 'TABLES') ? this.#rename() : []
    if (words.take('ALTER')) return this.#alter()
    if (words.take('CREATE')) return this.#create()
    if (words.take('DROP')) return this.#drop()
    return []
  }

  #truncate(): readonly Ddl[] {
    this.#words.take('TABLE')
    const table = this.#table()
    return table === null ? unread : [{ kind: 'truncate', table }]
  }

  #rename(): readonly Ddl[] {
    const words = this.#words
    words.take('IF', 'EXISTS')
    const moves: { from: TableName; to: TableName }[] = []
    do {
      const from = this.#table()
      this.#passWait()
      const to = words.take('TO') ? this.#table() : null
      if (from === null || to === null) return unread
      moves.push({ from, to })
    } while (words.take(','))
    return [{ kind: 'rename', moves }]
  }

  #alter(): readonly Ddl[] {
    const words = this.#words
    words.take('ONLINE')
    words.take('IGNORE')
    if (!words.take('TABLE')) return []
    words.take('IF', 'EXISTS')
    const table = this.#table()
    if (table === null) return unread
    this.#passWait()
    const { changes, renamed, exchanged } = readAlter(words.rest(), this.#database)
    const ddl: Ddl[] = [{ kind: 'alter', table, changes }]
    if (exchanged !== null) {
      ddl.push({ kind: 'alter', table: exchanged, changes: [{ kind: 'otherRows' }] })
    }
    if (renamed !== null) ddl.push({ kind: 'rename', moves: [{ from: table, to: renamed }] })
    return ddl
  }

  #create(): readonly Ddl[] {
    const words = this.#words
    words.take('OR', 'REPLACE')
    if (words.take('TEMPORARY')) return []
    const unique = words.take('UNIQUE')
    if (words.take('INDEX')) return unique ? this.#index('unique') : []
    if (!words.take('TABLE')) return []
    const ifNotExists = words.take('IF', 'NOT', 'EXISTS')
    const table = this.#table()
    return table === null ? unread : [{ kind: 'create', table, ifNotExists }]
  }

  /** [IF [NOT] EXISTS] name [WAIT n] [USING type] ON t … */
  #index(kind: 'unique' | 'dropIndex'): readonly Ddl[] {
    const words = this.#words
    if (!words.take('IF', 'NOT', 'EXISTS')) words.take('IF', 'EXISTS')
    const name = words.name()
    while (words.at < words.words.length && !words.take('ON')) words.at++
    const table = this.#table()
    if (table === null || name === null) return unread
    const isPrimary = kind === 'dropIndex' && name.toUpperCase() === 'PRIMARY'
    return [{ kind: 'alter', table, changes: [{ kind: isPrimary ? 'dropPrimaryKey' : kind }] }]
  }

  #drop(): readonly Ddl[] {
    const words = this.#words
    if (words.take('TEMPORARY')) return []
    if (words.take('INDEX')) return this.#index('dropIndex')
    if (words.takeOne('DATABASE', 'SCHEMA')) {
      words.take('IF', 'EXISTS')
      const database = words.name()
      return database === null ? unread : [{ kind: 'dropDatabase', database }]
    }
    if (!words.takeOne('TABLE', 'TABLES')) return []
    words.take('IF', 'EXISTS')
    const ddl: Ddl[] = []
    do {
      const table = this.#table()
      if (table === null) return unread
      ddl.push({ kind: 'drop', table })
    } while (words.take(','))
    return ddl
  }

  #table(): TableName | null {
    return this.#words.table(this.#database)
  }

  /** MariaDB: how long to wait for the table's lock. */
  #passWait(): void {
    if (this.#words.take('WAIT')) this.#words.at++
    else this.#words.take('NOWAIT')
  }
}
