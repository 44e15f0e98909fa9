/**
 * A target with columns, as strict as a database: it takes rows of its own shape alone, adds and widens
 * by itself, and renames, drops and narrows only what stands in `agreed`. It outlives the sinks that
 * are opened on it, as a table outlives a process.
 */
import { z } from 'zod'
import type {
  SchemaAbilities,
  SchemaStep,
  Sink,
  SinkBatch,
  SinkConnector,
  SinkResult,
} from '../../core/connector/sink.ts'
import { rowKey } from '../../core/record/key.ts'
import type { Field, Schema } from '../../core/record/schema.ts'
import { holdsType } from '../../core/record/type-order.ts'
import { typeName } from '../../core/record/types.ts'
import { textAt } from '../../core/record/value.ts'

export type TableRow = Record<string, string | null>

export interface Table {
  columns: Field[]
  key: readonly string[]
  readonly rows: Map<string, TableRow>
  /** Every row with its offset, in the order they came. */
  readonly written: { readonly offset: number; readonly id: string; readonly row: TableRow }[]
  readonly steps: SchemaStep[]
  truncates: number
}

export const appliesAll: SchemaAbilities = {
  add: 'applies',
  widen: 'applies',
  narrow: 'applies',
  rename: 'applies',
  drop: 'applies',
  key: 'applies',
  truncate: 'applies',
}

export class TableTarget {
  readonly tables = new Map<string, Table>()
  readonly #abilities: SchemaAbilities
  /** Throws, or waits, before the rows of a batch are taken. */
  beforeWrite: (batch: SinkBatch, signal: AbortSignal) => Promise<void> = async () => {}

  constructor(abilities: SchemaAbilities = appliesAll) {
    this.#abilities = abilities
  }

  table(topic: string): Table {
    const found = this.tables.get(topic)
    if (found !== undefined) return found
    const table = { columns: [], key: [], rows: new Map(), written: [], steps: [], truncates: 0 }
    this.tables.set(topic, table)
    return table
  }

  get connector(): SinkConnector<unknown> {
    return {
      kind: 'table',
      config: z.unknown(),
      delivery: 'idempotent',
      schemaChanges: this.#abilities,
      batching: () => ({ rowsMax: 100, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }),
      check: async () => [],
      open: async () => new TableSink(this),
    }
  }
}

class TableSink implements Sink {
  readonly #target: TableTarget
  readonly #told = new Map<string, Schema>()

  constructor(target: TableTarget) {
    this.#target = target
  }

  async evolve(topic: string, step: SchemaStep, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const table = this.#target.table(topic)
    table.steps.push(step)
    for (const change of step.agreed) {
      if (change.kind === 'rename') renameColumn(table, change.from.name, change.to.name)
      if (change.kind === 'drop') dropColumn(table, change.from.name)
      if (change.kind === 'narrow') replaceColumn(table, change.to)
      if (change.kind === 'key') table.key = change.to
    }
    for (const field of step.to.fields) {
      const column = table.columns.find(({ name }) => name === field.name)
      if (column === undefined) table.columns.push(field)
      else if (!holdsType(field.type, column.type) || (column.nullable && !field.nullable)) {
        throw new TypeError(`${field.name}: ${typeName(column.type)} is no ${typeName(field.type)}`)
      } else replaceColumn(table, field)
    }
    this.#told.set(topic, step.to)
  }

  async write({ id, topic, batch, offset }: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const table = this.#target.table(topic)
    if (this.#told.get(topic)?.id !== batch.schema.id) throw new TypeError('rows of another shape')
    await this.#target.beforeWrite({ id, topic, batch, offset, attempt: 1 }, signal)
    const { fields } = batch.schema
    for (let i = 0; i < batch.rows; i++) {
      const row: TableRow = {}
      fields.forEach(({ name, type, nullable }, field) => {
        row[name] = textAt(type, batch.columns[field]!, i)
        if (row[name] === null && !nullable && batch.weights[i]! > 0) throw new TypeError(name)
      })
      table.written.push({ offset: offset + i, id, row })
      if (batch.weights[i]! > 0) table.rows.set(rowKey(batch, i), row)
      else table.rows.delete(rowKey(batch, i))
    }
    return { rejected: [] }
  }

  async truncate(topic: string): Promise<void> {
    const table = this.#target.table(topic)
    table.truncates++
    table.rows.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function renameColumn(table: Table, from: string, to: string): void {
  const at = table.columns.findIndex(({ name }) => name === from)
  // Told again after a crash.
  if (at < 0) return
  table.columns[at] = { ...table.columns[at]!, name: to }
  for (const row of table.rows.values()) {
    row[to] = row[from] ?? null
    delete row[from]
  }
}

function dropColumn(table: Table, name: string): void {
  table.columns = table.columns.filter((column) => column.name !== name)
  for (const row of table.rows.values()) delete row[name]
}

function replaceColumn(table: Table, field: Field): void {
  table.columns = table.columns.map((column) => (column.name === field.name ? field : column))
}
