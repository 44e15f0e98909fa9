/**
 * Filter and projection of an upsert topic that keep its key, so that the output is an upsert stream
 * as well. Where the filter looks at more than the key, the keys that passed are remembered: a row
 * that no longer passes is taken away, and one that never passed is not mentioned.
 *
 * A row that fails takes its key away: the old image is gone, and the new one cannot be given.
 */
import { Op } from '../../record/batch.ts'
import type { Column } from '../../record/column.ts'
import { column } from '../plan/expr.ts'
import type { KeyedMapPlan } from '../plan/plan.ts'
import { scalars } from '../scalar/functions.ts'
import type { StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'
import { generate, keyOf } from './aggregate-code.ts'
import { BatchWriter } from './batch-writer.ts'
import { loaders, shapeOf } from './columns.ts'
import type { RowErrors } from './errors.ts'
import { KeyCodec } from './key-codec.ts'
import { KeyedState } from './keyed-state.ts'
import { MapRows } from './map-rows.ts'
import type { Delta, Operator, Port } from './operator.ts'
import { RowCode } from './row-code.ts'

type KeyedLoop = (delta: Delta, from: number) => number

export class KeyedMap implements Operator {
  readonly errors: RowErrors
  readonly output: MapRows
  readonly codecs: readonly KeyCodec[]
  readonly #state: KeyedState
  readonly #plan: KeyedMapPlan
  readonly #out: Port
  readonly #loops = new Map<string, KeyedLoop>()
  readonly #cleared: BatchWriter
  #newestUs = 0

  constructor(plan: KeyedMapPlan, out: Port, errors: RowErrors) {
    this.#plan = plan
    this.#out = out
    this.errors = errors
    this.output = new MapRows(plan.exprs, plan.fields, plan.input.fields)
    this.codecs = plan.key.map((index) => new KeyCodec(plan.input.fields[index]!.type))
    this.#state = new KeyedState(this.codecs, [])
    this.#cleared = new BatchWriter(plan.fields)
  }

  get stateBytes(): number {
    return this.#plan.remember ? this.#state.bytes : 0
  }

  push(_input: number, delta: Delta): void {
    const shape = delta.columns.map(shapeOf).join()
    let loop = this.#loops.get(shape)
    if (loop === undefined) {
      loop = this.#loop(delta.columns)
      this.#loops.set(shape, loop)
    }
    let from = 0
    while (from < delta.rows) from = loop(delta, from)
    for (const timeUs of delta.timesUs) if (timeUs > this.#newestUs) this.#newestUs = timeUs
    if (this.output.count === 0) return
    this.#out.operator.push(this.#out.input, this.output.finish(delta))
  }

  /** The row passed. `slot` is where its key was; −1 for a key that was not given out. */
  passed(row: number, op: number, slot: number): void {
    this.output.select(row, 1, slot < 0 && op === Op.update ? Op.insert : op)
  }

  /** A new key in the state, made by the generated code. */
  added(slot: number): void {
    this.#state.changed(slot)
  }

  /** The row did not pass, failed, or went away. */
  gone(row: number, op: number, slot: number): void {
    if (this.#plan.remember) {
      if (slot < 0) return
      this.#state.remove(slot)
    }
    this.output.selectKey(row, op === Op.update ? Op.update : Op.delete)
  }

  failed(thrown: unknown, delta: Delta, row: number, slot: number): void {
    this.errors.row(thrown, delta, row)
    this.gone(row, Op.delete, slot)
  }

  #loop(columns: readonly Column[]): KeyedLoop {
    const { filter, input, key, remember } = this.#plan
    const constants: unknown[] = []
    const code = new RowCode(input.fields, columns, constants)
    const keys = key.map((index, i) => {
      const { type, nullable } = input.fields[index]!
      return keyOf(code, columns, column(index, type, nullable), i, this.codecs[i]!)
    })
    const keyList = keys.join(', ')
    // Without memory every key counts as given out.
    code.line(`const w = W[i]; slot = ${remember ? `find(${keyList})` : '0'};`)
    const keyOnly = filter !== null && !remember
    // A key that does not pass never did: nothing to take away.
    if (keyOnly) code.filter(filter)
    code.line(`if (w < 0) { X.gone(i, O[i], slot); continue; }`)
    if (filter !== null && remember) code.filter(filter, `X.gone(i, ${Op.delete}, slot); continue;`)
    const appends = this.output.appendCode(code)
    const text = `
      const C = delta.columns, W = delta.weights, O = delta.ops, rows = delta.rows
      ${code.setup.join('\n')}
      let i = from, slot = -1
      try {
        for (; i < rows; i++) {
          slot = -1
          ${code.body()}
          ${remember ? `if (slot < 0) X.added(locate(${keyList}));` : ''}
          X.passed(i, O[i], slot)
          ${appends}
        }
        return rows
      } catch (error) {
        X.failed(error, delta, i, slot)
        return i + 1
      }`
    const names = {
      R: scalars,
      K: { constants, types: input.fields.map((field) => field.type) },
      X: this,
      find: this.#state.table.find,
      locate: this.#state.table.locate,
      ...loaders,
      ...Object.fromEntries(this.codecs.map((codec, n) => [`codec${n}`, codec])),
      ...Object.fromEntries(this.output.builders.map((builder, n) => [`b${n}`, builder])),
    }
    return generate(names, text, 'delta, from') as KeyedLoop
  }

  flush(): void {
    this.#state.settle()
  }

  clear(): void {
    const { table } = this.#state
    for (let slot = 0; slot < table.high; slot++) {
      if (table.used[slot] === 0) continue
      this.#plan.exprs.forEach((expr, i) => {
        const k = expr.op === 'column' ? this.#plan.key.indexOf(expr.index) : -1
        this.#cleared.put(i, k < 0 ? null : this.codecs[k]!.decode(table.keys[k]![slot]!))
      })
      this.#cleared.end(-1, Op.delete, this.#newestUs)
    }
    this.#state.removeAll()
    if (this.#cleared.rows > 0) this.#out.operator.push(this.#out.input, this.#cleared.finish(null))
  }

  saveDelta(writer: StateWriter): void {
    writer.double(this.#newestUs)
    this.#state.saveDelta(writer)
  }
  saveFull(writer: StateWriter): void {
    writer.double(this.#newestUs)
    this.#state.saveFull(writer)
  }
  load(reader: StateReader): void {
    this.#newestUs = reader.double()
    this.#state.load(reader)
  }
}
