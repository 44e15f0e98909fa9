/**
 * From Relation messages to topics. A Relation has no nullability and no order of key columns; both
 * come from the catalog, as far as its columns are the message's. What the catalog of today says of
 * a column that the message does not have is of no use, since the stream may be in the past.
 */
import type { Client } from 'pg'
import {
  loadTables,
  topicName,
  topicSchema,
  TypeCatalog,
  type ColumnInfo,
  type TableInfo,
} from './catalog.ts'
import type { RelationMessage } from './pgoutput.ts'
import { TopicSchema } from '../../core/connector/topic-rows.ts'

/** How the rows of a relation go into a topic. */
export interface RelationPlan {
  readonly oid: number
  /** Oid of the table whose topic it is: another one where this is a partition. */
  readonly tableOid: number
  readonly topic: TopicSchema
  /** Where this is a partition: all partitions of the table, itself among them; else none. */
  readonly siblings: readonly number[]
  /** Field of the schema for each column of the relation. */
  readonly fields: Int32Array
  /** Per column of the relation: whether an old key tuple (K) has it. */
  readonly inKey: readonly boolean[]
  readonly full: boolean
}

export class Relations {
  readonly #tables = new Map<string, TableInfo>()
  readonly #rootOfPartition = new Map<number, string>()
  readonly #types: TypeCatalog
  readonly #publication: string
  /** Messages for which the catalog was asked; asking again would say the same or later things. */
  readonly #asked = new WeakSet<RelationMessage>()
  readonly #topics = new Map<string, TopicSchema>()

  constructor(tables: readonly TableInfo[], types: TypeCatalog, publication: string) {
    this.#types = types
    this.#publication = publication
    for (const table of tables) this.#learn(table)
  }

  /** The plan; 'ignored' when the table is none of ours; null when `load` has to be called first. */
  plan(message: RelationMessage): RelationPlan | 'ignored' | null {
    const name = this.#topicOf(message)
    const asked = this.#asked.has(message)
    // Nobody's table may be a partition made since the partitions were asked for.
    if (name === null) return asked || this.#partitioned().length === 0 ? 'ignored' : null
    const table = this.#tables.get(name)!
    const sameColumns = isSameTable(message, table)
    if (!asked && !sameColumns) return null
    if (!message.columns.every((column) => this.#types.has(column.typeOid))) return null
    const shaped = sameColumns ? table : shapedBy(message, table)
    const topic = this.#topic(name, shaped)
    const places = new Map(shaped.columns.map((column, place) => [column.name, place]))
    return {
      oid: message.oid,
      tableOid: table.oid,
      topic,
      siblings: table.partitions.includes(message.oid) ? table.partitions : [],
      fields: Int32Array.from(message.columns, (column) => places.get(column.name)!),
      inKey: message.columns.map((column) => column.inKey),
      full: message.identity === 'full',
    }
  }

  /** Asks the server about the message's table and types. Throws what the driver throws. */
  async load(client: Client, message: RelationMessage): Promise<void> {
    this.#asked.add(message)
    const name = this.#topicOf(message)
    const wanted = name === null ? this.#partitioned() : [this.#tables.get(name)!]
    const fresh = await loadTables(client, wanted, this.#publication)
    for (const table of fresh) this.#learn(table)
    await this.#types.load(
      client,
      message.columns.map((column) => column.typeOid),
    )
  }

  #partitioned(): TableInfo[] {
    return [...this.#tables.values()].filter((table) => table.kind === 'partitioned')
  }

  #learn(table: TableInfo): void {
    const name = topicName(table)
    this.#tables.set(name, table)
    for (const oid of table.partitions) this.#rootOfPartition.set(oid, name)
  }

  /** A configured table under its own name comes before the partitioned table that it is part of. */
  #topicOf(message: RelationMessage): string | null {
    const name = topicName(message)
    return this.#tables.has(name) ? name : (this.#rootOfPartition.get(message.oid) ?? null)
  }

  /** One object for as long as the schema stays what the table says, so that partitions share it. */
  #topic(name: string, table: TableInfo): TopicSchema {
    const schema = topicSchema(table, this.#types)
    const key = `${name}\n${schema.id}`
    let topic = this.#topics.get(key)
    if (topic === undefined) {
      topic = new TopicSchema(name, schema)
      this.#topics.set(key, topic)
    }
    return topic
  }
}

/** Whether the catalog's picture is the message's: columns (in any order), key and identity. */
function isSameTable(message: RelationMessage, table: TableInfo): boolean {
  if (message.identity !== table.identity) return false
  if (message.columns.length !== table.columns.length) return false
  const key = keyOf(message, table)
  return (
    key.length === table.key.length &&
    key.every((name, i) => name === table.key[i]) &&
    message.columns.every((column) => infoOf(column, table) !== undefined)
  )
}

function infoOf(
  column: { readonly name: string; readonly typeOid: number; readonly typmod: number },
  table: TableInfo,
): ColumnInfo | undefined {
  return table.columns.find(
    (info) =>
      info.name === column.name && info.typeOid === column.typeOid && info.typmod === column.typmod,
  )
}

/** The catalog's table, as far as it still, or already, is the one of the message. */
function shapedBy(message: RelationMessage, table: TableInfo): TableInfo {
  const columns = message.columns.map(
    (column, place): ColumnInfo =>
      infoOf(column, table) ?? {
        attnum: place + 1,
        name: column.name,
        typeOid: column.typeOid,
        typmod: column.typmod,
        typeName: '',
        notNull: false,
        generated: '',
      },
  )
  return { ...table, identity: message.identity, columns, key: keyOf(message, table) }
}

/**
 * Key columns in key order. The message marks them without an order; the catalog's order is right
 * when it has the same ones. Under FULL every column is marked, under NOTHING none is, and
 * only the catalog knows a key.
 */
function keyOf(message: RelationMessage, table: TableInfo): readonly string[] {
  const names = new Set(message.columns.map((column) => column.name))
  if (message.identity === 'full' || message.identity === 'nothing')
    return table.key.every((name) => names.has(name)) ? table.key : []
  const marked = message.columns.filter((column) => column.inKey).map((column) => column.name)
  const same =
    marked.length === table.key.length && marked.every((name) => table.key.includes(name))
  return same ? table.key : marked
}
