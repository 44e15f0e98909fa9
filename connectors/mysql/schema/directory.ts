/**
 * The source's knowledge of schemas at the stream's place (table-directory.ts). A table is known by its
 * name: what an online schema change puts in its place goes on as the same topic (ghost-tables.ts).
 *
 * Where the binlog does not name columns, what is remembered moves with the DDL. A statement that
 * could not be read, or columns that are not those remembered, make the catalog be asked, which knows
 * today and not the stream's past: what it says is taken where it fits the table map, and a table whose
 * DDL since then is still to come in the stream is copied again, because rows between might have been
 * read into the wrong columns. Rows that nothing fits are left out until then: the copy shows them.
 */
import type { Logger } from '../../../core/connector/context.ts'
import type { TopicChange } from '../../../core/connector/source.ts'
import type { SluiceError } from '../../../core/errors/error.ts'
import type { Column } from '../../../core/record/column.ts'
import type { Schema } from '../../../core/record/schema.ts'
import { fileNumber } from '../binlog-place.ts'
import { topicName, type CatalogTable } from './catalog.ts'
import type { Collations } from './charsets-catalog.ts'
import { defaultColumns, noDefaults, tableWithOldRows, type Defaults } from './column-defaults.ts'
import { CopiesWanted } from './copies-wanted.ts'
import type { TableChange } from './ddl-alter.ts'
import { loadDdlParser } from './ddl-column.ts'
import { readDdl, type Ddl } from './ddl.ts'
import type { Followed } from './followed.ts'
import { isSwap, type Move } from './ghost-tables.ts'
import {
  alteredTable,
  rememberedTable,
  schemaUnknown,
  type FilePlace,
  type RememberedTable,
  type SchemaMemory,
} from './schema-memory.ts'
import type { FollowedTable, Statement, TableDirectory, TableMap } from './table-directory.ts'
import type { TableName } from './table-pattern.ts'
import {
  describedShape,
  followedTable,
  hasNewColumns,
  isSameBody,
  isTable,
  rememberedShape,
  type Shape,
} from './table-shape.ts'
import type { ValuePolicies } from '../types.ts'

/** What the catalog says of one table now. */
export interface CatalogAnswer {
  readonly table: CatalogTable | null
  readonly defaults: Defaults
  /** Of text columns added without one. */
  readonly charset: string | null
  /** The end of the binlog afterwards. */
  readonly asOf: FilePlace
}

export interface DirectoryOptions {
  readonly followed: Followed
  readonly policies: ValuePolicies
  readonly collations: Collations
  /** The followed tables at the start. */
  readonly tables: readonly CatalogTable[]
  /** By topic. */
  readonly defaults: ReadonlyMap<string, Defaults>
  readonly memory: SchemaMemory
  /** Topics that were copied or followed before; their tables may be gone by now. */
  readonly before: Iterable<string>
  /** Topics whose tables are not there at the place where the stream begins, be they there now. */
  readonly gone: Iterable<string>
  /** Whether a table that comes to have a followed name is copied; its changes from now on are followed in any case. */
  readonly copies: boolean
  /** Whether a topic of which changes are not in the binlog is copied again. */
  readonly copiesLost: (topic: string) => boolean
  /** Asks the server; used only while the stream stands still. */
  readonly ask: (table: TableName, signal: AbortSignal) => Promise<CatalogAnswer>
  readonly logger: Logger
}

/** Shapes of one table that are kept: tables of one name differ between partitions of time, not of space. */
const shapesMax = 8

interface KnownShape {
  readonly body: Uint8Array
  /** null = its rows are left out. */
  readonly followed: FollowedTable | null
}

export class Directory implements TableDirectory {
  /** Where the stream is, in the server's files; set by whoever reads the stream. */
  place: () => FilePlace = () => ({ server: '', file: '', offset: 0 })
  /** Topics to copy, taken before anything is handed out that came after. */
  readonly wanted: CopiesWanted
  readonly #options: DirectoryOptions
  readonly #memory: SchemaMemory
  readonly #catalog = new Map<string, CatalogTable>()
  readonly #defaults: Map<string, Defaults>
  readonly #shapes = new Map<string, KnownShape[]>()
  /** Topics that have a table at this place of the stream: one of another name is a new one. */
  readonly #known = new Set<string>()
  /** Topics that had one. */
  readonly #gone: Set<string>
  /** What is known of them is from before a change that was not understood. */
  readonly #unsure = new Set<string>()
  readonly #defaultColumns = new WeakMap<Schema, readonly (Column | null)[]>()
  /** Of which rows were left out, for the change that explains them is to come. */
  readonly #leftOut = new Set<string>()
  /** Maps for which the catalog was asked; asking again would say the same or later things. */
  readonly #asked = new WeakSet<TableMap>()

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.wanted = new CopiesWanted(options.copiesLost)
    this.#memory = options.memory
    this.#defaults = new Map(options.defaults)
    this.#gone = new Set(options.gone)
    for (const table of options.tables) {
      const topic = topicName(table)
      this.#catalog.set(topic, table)
      this.#known.add(topic)
    }
    for (const topic of options.before) this.#known.add(topic)
    for (const topic of this.#gone) this.#known.delete(topic)
  }

  /** Topics whose tables are not there at this place of the stream. */
  get gone(): readonly string[] {
    return [...this.#gone]
  }

  /** Whether changes of this table are followed. */
  follows(database: string, table: string): boolean {
    return this.#followedTopic({ database, table }) !== null
  }

  /** The topic's table as the catalog has it now. Rejects with the driver's error. */
  async tableNow(topic: string, signal: AbortSignal): Promise<CatalogTable | null> {
    const name = this.#options.followed.nameOf(topic)
    if (name === null) return null
    const { table, defaults } = await this.#options.ask(name, signal)
    return table === null ? null : tableWithOldRows(table, defaults, this.#options.policies)
  }

  /** The change with what rows have that were written before a column was added. */
  withDefaults(change: TopicChange): TopicChange {
    if ('truncate' in change || change.unchanged === undefined) return change
    const table = this.#catalog.get(change.topic)
    const known = this.#defaults.get(change.topic)
    if (table === undefined || known === undefined) return change
    const { schema } = change.batch
    let made = this.#defaultColumns.get(schema)
    if (made === undefined) {
      made = defaultColumns(schema, table, known, this.#options.policies)
      this.#defaultColumns.set(schema, made)
    }
    return { ...change, defaults: made }
  }

  /**
   * Rows were left out because a change of their table was still to come in the stream; where the stream
   * is past the place where the catalog was read, and it did not come, those rows are lost.
   */
  checkLeftOut(): void {
    for (const topic of this.#leftOut) {
      const table = this.#memory.get(topic)
      if (table === undefined || this.#isAhead(table)) continue
      this.#leftOut.delete(topic)
      this.wanted.lost(schemaUnknown(topic), [topic])
    }
  }

  lost(error: SluiceError, table: TableName | null): void {
    const topic = table === null ? null : this.#followedTopic(table)
    this.wanted.lost(error, topic === null ? [...this.#known] : [topic])
  }

  resolve(map: TableMap): FollowedTable | null | 'lookup' {
    const topic = this.#followedTopic(map)
    if (topic === null) return null
    const known = this.#shapes.get(topic)?.find(({ body }) => isSameBody(body, map.body))
    if (known !== undefined) return known.followed
    if (!this.#known.has(topic)) this.#appeared(topic, [])
    const asked = this.#asked.has(map)
    // Rows of a table that was empty when it was asked: now one may say what the catalog could not.
    if (!asked && this.#defaults.get(topic)?.incomplete === true) return 'lookup'
    const followed =
      map.names === null
        ? this.#remembered(topic, map, asked)
        : this.#described(topic, map, map.names, asked)
    if (followed !== 'lookup') this.#keep(topic, { body: map.body, followed })
    return followed
  }

  async load(map: TableMap, signal: AbortSignal): Promise<void> {
    const topic = this.#followedTopic(map)
    this.#asked.add(map)
    if (topic === null) return
    const answer = await this.#options.ask(map, signal)
    // Columns that are known need not be those of today, whose defaults are all that was asked for.
    const known = map.names === null && this.#shapeRemembered(topic, map) !== null
    this.#unsure.delete(topic)
    if (answer.table === null) this.#catalog.delete(topic)
    else this.#catalog.set(topic, answer.table)
    this.#defaults.set(topic, answer.defaults)
    if (map.names !== null || known) return
    await loadDdlParser()
    this.remember(topic, answer)
  }

  /** Takes what the catalog says for what the stream will bring. */
  remember(topic: string, { table, charset, asOf }: CatalogAnswer): void {
    if (table === null) this.#memory.forget(topic)
    else this.#memory.set(topic, rememberedTable(table, charset, asOf))
  }

  statement({ database, sql, sqlMode }: Statement): { readonly truncated: readonly string[] } {
    const truncated: string[] = []
    for (const ddl of readDdl(sql, database, sqlMode)) this.#apply(ddl, truncated)
    return { truncated }
  }

  #apply(ddl: Ddl, truncated: string[]): void {
    switch (ddl.kind) {
      case 'truncate': {
        const topic = this.#followedTopic(ddl.table)
        if (topic !== null) truncated.push(topic)
        return
      }
      case 'drop': {
        const topic = this.#followedTopic(ddl.table)
        if (topic !== null) this.#leave(topic, 'dropped')
        return
      }
      case 'dropDatabase': {
        const { followed } = this.#options
        for (const topic of this.#known) {
          const database = followed.nameOf(topic)?.database ?? ''
          if (followed.fold(database) === followed.fold(ddl.database)) this.#leave(topic, 'dropped')
        }
        return
      }
      case 'create': {
        const topic = this.#followedTopic(ddl.table)
        if (topic === null || (ddl.ifNotExists && this.#known.has(topic))) return
        this.#appeared(topic, truncated)
        return
      }
      case 'rename':
        return this.#rename(ddl.moves, truncated)
      case 'alter': {
        const topic = this.#followedTopic(ddl.table)
        if (topic !== null) this.#alter(topic, ddl.changes)
        return
      }
      case 'unread':
        for (const topic of this.#known) this.#doubt(topic)
    }
  }

  #alter(topic: string, changes: readonly TableChange[]): void {
    this.#leftOut.delete(topic)
    if (changes.some(({ kind }) => kind === 'otherRows')) {
      this.wanted.want(topic, 'rows came or went that are not in the binlog')
    }
    this.#shapes.delete(topic)
    const table = this.#memory.get(topic)
    if (table !== undefined && this.#isAhead(table)) {
      this.wanted.want(
        topic,
        'its schema was read from the catalog after a change that came only now',
      )
    } else if (table !== undefined) {
      const changed = alteredTable(table, changes)
      if (changed !== null) return this.#memory.set(topic, { ...changed, asOf: null })
    }
    // What the wire does not say (tinyint(1)) may have changed with it as well.
    this.#doubt(topic)
  }

  /** Left to right, as the server does it. */
  #rename(moves: readonly Move[], truncated: string[]): void {
    const swapped = moves.filter(isSwap).map(({ to }) => this.#followedTopic(to))
    for (const move of moves) {
      const left = this.#followedTopic(move.from)
      const entered = this.#followedTopic(move.to)
      // Where another table takes its place at once, the line about that one says it all.
      if (left !== null) this.#leave(left, swapped.includes(left) ? null : 'renamed')
      if (entered === null) continue
      if (!isSwap(move) || !this.#gone.has(entered)) {
        this.#appeared(entered, truncated)
        continue
      }
      this.#options.logger.info('an online schema change put a new table in place', {
        topic: entered,
      })
      this.#enter(entered)
      this.#doubt(entered)
    }
  }

  /** The topic's table is not there any more; what the topic holds stays until there is another one. */
  #leave(topic: string, how: 'dropped' | 'renamed' | null): void {
    if (!this.#known.delete(topic)) return
    this.#gone.add(topic)
    this.#leftOut.delete(topic)
    this.#shapes.delete(topic)
    this.#memory.forget(topic)
    if (how === null) return
    this.#options.logger.warn(`a followed table was ${how}; its topic keeps the rows`, { topic })
  }

  /** Another table has the topic's name from now on. */
  #appeared(topic: string, truncated: string[]): void {
    if (this.#gone.has(topic) || this.#known.has(topic)) truncated.push(topic)
    this.#enter(topic)
    this.#doubt(topic)
    this.#memory.forget(topic)
    if (this.#options.copies) this.wanted.want(topic, 'another table has its name')
  }

  #enter(topic: string): void {
    this.#leftOut.delete(topic)
    this.#known.add(topic)
    this.#gone.delete(topic)
  }

  /** What is known of the table is not relied on any more. */
  #doubt(topic: string): void {
    this.#shapes.delete(topic)
    this.#unsure.add(topic)
  }

  #described(
    topic: string,
    map: TableMap,
    names: readonly string[],
    asked: boolean,
  ): FollowedTable | 'lookup' {
    const { collations } = this.#options
    // From here on the binlog says itself what the columns are.
    this.#memory.forget(topic)
    const table = this.#catalog.get(topic)
    if (!asked && (table === undefined || this.#unsure.has(topic))) return 'lookup'
    const shape = describedShape(map, names, table, collations)
    if (!asked && !isTable(shape, table!)) return 'lookup'
    return this.#followed(topic, map, shape)
  }

  #remembered(topic: string, map: TableMap, asked: boolean): FollowedTable | null | 'lookup' {
    const shape = this.#shapeRemembered(topic, map)
    if (!asked && (shape === null || hasNewColumns(shape, this.#catalog.get(topic))))
      return 'lookup'
    if (shape !== null) return this.#followed(topic, map, shape)
    const table = this.#memory.get(topic)
    if (table !== undefined && !this.#isAhead(table)) {
      this.wanted.lost(schemaUnknown(topic), [topic])
      return null
    }
    // The table was changed, or dropped, after these rows; they are not in the log, the copy will be.
    this.#leftOut.add(topic)
    this.wanted.want(topic, 'its columns at this place of the binlog are not known any more')
    return null
  }

  /** null: what is remembered of the table is not that of the map, or not relied on. */
  #shapeRemembered(topic: string, map: TableMap): Shape | null {
    const table = this.#memory.get(topic)
    if (table === undefined || this.#unsure.has(topic)) return null
    return rememberedShape(map, table, this.#options.collations)
  }

  #followed(topic: string, map: TableMap, shape: Shape): FollowedTable {
    const known = { ...shape, defaults: this.#defaults.get(topic) ?? noDefaults }
    return followedTable(map, known, this.#options.policies, topic)
  }

  #keep(topic: string, shape: KnownShape): void {
    const shapes = this.#shapes.get(topic) ?? []
    // Rows are left out only as long as nothing better is known: asked again for the next statement.
    if (shape.followed !== null) shapes.push(shape)
    if (shapes.length > shapesMax) shapes.shift()
    this.#shapes.set(topic, shapes)
  }

  /** Whether statements that the stream has yet to bring may be in it already. */
  #isAhead({ asOf }: RememberedTable): boolean {
    const place = this.place()
    if (asOf === null || place.server !== asOf.server) return false
    if (place.file === asOf.file) return place.offset < asOf.offset
    return fileNumber(place.file) < fileNumber(asOf.file)
  }

  /** One that is known in another case is the same, where the server says so. */
  #followedTopic(name: TableName): string | null {
    const { followed } = this.#options
    if (!followed.has(name)) return null
    const topic = followed.topicOf(name)
    if (!followed.foldCase || this.#known.has(topic)) return topic
    return [...this.#known, ...this.#gone].find((known) => followed.isSame(name, known)) ?? topic
  }
}
