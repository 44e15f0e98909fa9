/**
 * A running query: rows in by topic, batches out by step, state as bytes. Synchronous; all decisions
 * follow from the order of the calls, so that the same calls give the same bytes again.
 */
import { SluiceError } from '../errors/error.ts'
import type { Batch } from '../record/batch.ts'
import { selectRows } from '../record/batch-ops.ts'
import type { Column } from '../record/column.ts'
import { sameType } from '../record/types.ts'
import type { Schema } from '../record/schema.ts'
import { build, type Graph, type Source } from './operators/build.ts'
import { RowErrors } from './operators/errors.ts'
import type { RowError } from './operators/operator.ts'
import type { Plan } from './plan/plan.ts'
import { sqlName } from './plan/types.ts'
import { corrupt, StateReader } from './state/reader.ts'
import { StateWriter } from './state/writer.ts'

export type { RowError } from './operators/operator.ts'

const stateVersion = 1

export class Execution {
  readonly output: Schema
  /**
   * Topics of which nothing tells what rows they had: on a truncate the caller pushes the surviving
   * rows back with weight −1, and `truncate` does nothing for them.
   */
  readonly truncateNeedsRows: readonly string[]
  readonly #fingerprint: string
  readonly #graph: Graph
  readonly #errors = new RowErrors()
  /** Per topic, names of the fields that are read. */
  readonly #fields = new Map<string, Set<string>>()
  /** Per source and schema id, where each of its fields is in the batch. */
  readonly #bindings = new Map<string, readonly number[]>()
  #pushes = 0
  #fresh = true

  constructor(plan: Plan, output: Schema, fingerprint: string) {
    this.output = output
    this.#fingerprint = fingerprint
    this.#graph = build(plan, output, this.#errors)
    for (const { scan, used } of this.#graph.sources) {
      const names = this.#fields.get(scan.topic) ?? new Set<string>()
      for (const index of used) names.add(scan.fields[index]!.name)
      this.#fields.set(scan.topic, names)
    }
    const stuck = this.#graph.sources.filter((source) => !source.clears)
    this.truncateNeedsRows = [...new Set(stuck.map((source) => source.scan.topic))]
  }

  /**
   * Names of the fields of a topic that the query reads: `push` needs no others. The same set at
   * each call.
   */
  fieldsOf(topic: string): ReadonlySet<string> {
    return this.#fields.get(topic) ?? noFields
  }

  /**
   * Rows of an input topic, of any schema that has the used columns. Rows that fail are in
   * `rowErrors`. Throws `sql.input_changed`.
   */
  push(topic: string, batch: Batch): void {
    this.#fresh = false
    const push = this.#pushes++
    for (const source of this.#graph.sources) {
      if (source.scan.topic !== topic) continue
      const accepted = this.#accepted(source, batch)
      const { weights, ops, timesUs, rows } = accepted.batch
      if (rows === 0) continue
      const columns = this.#bind(source, batch.schema).map(
        (index) => accepted.batch.columns[index] ?? missingColumn,
      )
      const origin = { topic, push, rows: accepted.rows }
      source.port.operator.push(source.port.input, { rows, columns, weights, ops, timesUs, origin })
    }
  }

  /** An append topic takes nothing back, unless the caller does so because of a truncate. */
  #accepted({ scan }: Source, batch: Batch): { batch: Batch; rows: Int32Array | null } {
    const { weights } = batch
    if (scan.schema.changelog !== 'append' || this.truncateNeedsRows.includes(scan.topic))
      return { batch, rows: null }
    let negative = false
    for (let row = 0; row < weights.length; row++) if (weights[row]! < 0) negative = true
    if (!negative) return { batch, rows: null }
    this.#errors.impossible(`The append topic ${scan.topic} took rows back`)
    const rows = Int32Array.from(weights.keys()).filter((row) => weights[row]! > 0)
    return { batch: selectRows(batch, rows), rows }
  }

  /** All rows of the topic before this are gone. */
  truncate(topic: string): void {
    this.#fresh = false
    if (this.truncateNeedsRows.includes(topic)) return
    for (const { scan, port } of this.#graph.sources)
      if (scan.topic === topic) port.operator.clear()
  }

  /**
   * The topic's rows have another schema from here on. Columns are found by name; a used column that
   * is gone or has another type throws `sql.input_changed`.
   */
  evolve(topic: string, schema: Schema): void {
    for (const source of this.#graph.sources) {
      if (source.scan.topic === topic) this.#bind(source, schema)
    }
  }

  #bind({ scan, used }: Source, schema: Schema): readonly number[] {
    const id = `${this.#graph.sources.findIndex((source) => source.scan === scan)} ${schema.id}`
    const known = this.#bindings.get(id)
    if (known !== undefined) return known
    if (schema.changelog !== scan.schema.changelog)
      throw changed(
        `The topic ${scan.topic} is now ${schema.changelog} and was ${scan.schema.changelog}`,
      )
    const binding = scan.fields.map((field, i) => {
      const index = schema.fields.findIndex((candidate) => candidate.name === field.name)
      if (!used.has(i)) return index
      const found = schema.fields[index]
      if (found === undefined)
        throw changed(
          `The column "${field.name}" of ${scan.topic} was dropped, and the query uses it`,
        )
      if (!sameType(found.type, field.type))
        throw changed(
          `The column "${field.name}" of ${scan.topic} is now ${sqlName(found.type)} and was ${sqlName(field.type)}`,
        )
      if (found.nullable && !field.nullable)
        throw changed(`The column "${field.name}" of ${scan.topic} may be null now`)
      return index
    })
    this.#bindings.set(id, binding)
    return binding
  }

  /** What the rows since the last step changed, one change per touched group; in a fixed order. */
  step(): readonly Batch[] {
    this.#fresh = false
    for (const operator of this.#graph.operators) operator.flush()
    this.#pushes = 0
    return this.#graph.output.take()
  }

  /** Rows that failed since the last call; they contributed nothing. `push` counts from the last step. */
  rowErrors(): readonly RowError[] {
    return this.#errors.take()
  }

  /** State that changed since the last call of this or of `restore`. */
  stateDelta(): Uint8Array {
    return this.#save((writer, index) => this.#graph.operators[index]!.saveDelta(writer))
  }

  /** The whole state; later deltas still follow the last `stateDelta`. */
  fullState(): Uint8Array {
    return this.#save((writer, index) => this.#graph.operators[index]!.saveFull(writer))
  }

  #save(write: (writer: StateWriter, index: number) => void): Uint8Array {
    const writer = new StateWriter()
    writer.byte(stateVersion)
    writer.text(this.#fingerprint)
    this.#graph.operators.forEach((_, index) => {
      const part = new StateWriter()
      write(part, index)
      writer.block(part.finish())
    })
    return writer.finish()
  }

  /** Brings a fresh execution to where `full` and the deltas after it leave off. */
  restore(full: Uint8Array | null, deltas: readonly Uint8Array[]): void {
    if (!this.#fresh)
      throw new SluiceError('internal.bug', { message: 'A query that already ran was restored' })
    for (const bytes of full === null ? deltas : [full, ...deltas]) this.#load(bytes)
    this.#fresh = false
  }

  #load(bytes: Uint8Array): void {
    const reader = new StateReader(bytes)
    const version = reader.byte()
    if (version !== stateVersion)
      throw new SluiceError('sql.state_mismatch', {
        message: `The state has version ${version}, and this is version ${stateVersion}`,
      })
    if (reader.text() !== this.#fingerprint)
      throw new SluiceError('sql.state_mismatch', { message: 'The state belongs to another query' })
    for (const operator of this.#graph.operators) {
      const part = new StateReader(reader.block())
      operator.load(part.atEnd ? emptyState : part)
      if (!part.atEnd) throw corrupt('an operator left bytes unread')
    }
    if (!reader.atEnd) throw corrupt('there are more operators than in the query')
  }

  /** About the bytes of all operators' state. */
  get stateBytes(): number {
    return this.#graph.operators.reduce((sum, operator) => sum + operator.stateBytes, 0)
  }
}

const noFields: ReadonlySet<string> = new Set()

/** For operators without state, which read nothing. */
const emptyState = new StateReader(new Uint8Array())

/** Stands for a column of the plan's schema that the batch has no more and no expression reads. */
const missingColumn: Column = {
  encoding: 'bool',
  length: 0,
  validity: null,
  values: new Uint8Array(),
}

function changed(message: string): SluiceError {
  return new SluiceError('sql.input_changed', { message })
}
