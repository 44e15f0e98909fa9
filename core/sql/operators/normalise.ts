/**
 * An upsert topic as a retract stream: remembers the used columns of the last row of each key that
 * passed the filter, gives −1 the old and +1 the new, and drops updates that change nothing used.
 */
import { Op } from '../../record/batch.ts'
import type { Column } from '../../record/column.ts'
import { column } from '../plan/expr.ts'
import type { NormalisePlan } from '../plan/plan.ts'
import { scalars } from '../scalar/functions.ts'
import type { StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'
import { generate, keyOf } from './aggregate-code.ts'
import { BatchWriter } from './batch-writer.ts'
import { loaders, shapeOf } from './columns.ts'
import type { RowErrors } from './errors.ts'
import { KeyCodec } from './key-codec.ts'
import { KeyedState } from './keyed-state.ts'
import type { Delta, Operator, Origin, Port } from './operator.ts'
import { RowCode } from './row-code.ts'

type NormaliseLoop = (delta: Delta, from: number) => number

export class Normalise implements Operator {
  readonly errors: RowErrors
  readonly state: KeyedState
  readonly #plan: NormalisePlan
  readonly #out: Port
  readonly #keyCodecs: readonly KeyCodec[]
  readonly #valueCodecs: readonly KeyCodec[]
  readonly #loops = new Map<string, NormaliseLoop>()
  readonly #writer: BatchWriter
  #origins: number[] = []
  #newestUs = 0

  constructor(plan: NormalisePlan, out: Port, errors: RowErrors) {
    this.#plan = plan
    this.#out = out
    this.errors = errors
    this.#keyCodecs = plan.key.map((index) => new KeyCodec(plan.input.fields[index]!.type))
    this.#valueCodecs = plan.columns.map(
      (index) => new KeyCodec(plan.input.fields[index]!.type, true),
    )
    this.state = new KeyedState(this.#keyCodecs, this.#valueCodecs)
    this.#writer = new BatchWriter(plan.fields)
  }

  get stateBytes(): number {
    return this.state.bytes
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
    this.#send(delta.origin)
  }

  #send(origin: Origin | null): void {
    if (this.#writer.rows === 0) return
    const rows = Int32Array.from(this.#origins)
    this.#origins = []
    const from = origin === null ? null : { ...origin, rows }
    this.#out.operator.push(this.#out.input, this.#writer.finish(from))
  }

  /** Gives out what the slot holds now. */
  emit(slot: number, row: number, weight: number, op: number, timeUs: number): void {
    for (let i = 0; i < this.#valueCodecs.length; i++)
      this.#writer.put(i, this.#valueCodecs[i]!.decode(this.state.values[i]![slot]!))
    this.#writer.end(weight, op, timeUs)
    this.#origins.push(row)
    if (timeUs > this.#newestUs) this.#newestUs = timeUs
  }

  gone(slot: number, row: number, timeUs: number): void {
    if (slot < 0) return
    this.emit(slot, row, -1, Op.delete, timeUs)
    this.state.remove(slot)
  }

  /** A row that cannot be filtered is as if it did not pass. */
  failed(thrown: unknown, delta: Delta, row: number, slot: number): void {
    this.errors.row(thrown, delta, row)
    this.gone(slot, row, delta.timesUs[row]!)
  }

  #loop(columns: readonly Column[]): NormaliseLoop {
    const { filter, input, key, columns: kept } = this.#plan
    const constants: unknown[] = []
    const code = new RowCode(input.fields, columns, constants)
    const read = (index: number, codecs: readonly KeyCodec[], i: number, base: number): string => {
      const { type, nullable } = input.fields[index]!
      return keyOf(code, columns, column(index, type, nullable), base + i, codecs[i]!)
    }
    const keys = key.map((index, i) => read(index, this.#keyCodecs, i, 0)).join(', ')
    code.line(`const w = W[i]; slot = find(${keys});`)
    code.line(`if (w < 0) { X.gone(slot, i, T[i]); continue; }`)
    if (filter !== null) code.filter(filter, 'X.gone(slot, i, T[i]); continue;')
    const values = kept.map((index, i) => read(index, this.#valueCodecs, i, key.length))
    const store = values.map((value, i) => `X.state.values[${i}][g] = ${value};`).join(' ')
    const differs = values.map((value, i) => `X.state.values[${i}][slot] !== ${value}`).join(' || ')
    const text = `
      const C = delta.columns, W = delta.weights, T = delta.timesUs, O = delta.ops, rows = delta.rows
      ${code.setup.join('\n')}
      let i = from, slot = -1
      try {
        for (; i < rows; i++) {
          slot = -1
          ${code.body()}
          if (slot < 0) {
            const g = locate(${keys})
            ${store}
            X.state.changed(g)
            X.emit(g, i, 1, O[i] === ${Op.update} ? ${Op.insert} : O[i], T[i])
          } else if (${differs === '' ? 'false' : differs}) {
            const g = slot
            X.emit(g, i, -1, ${Op.update}, T[i])
            ${store}
            X.state.changed(g)
            X.emit(g, i, 1, ${Op.update}, T[i])
          }
        }
        return rows
      } catch (error) {
        X.failed(error, delta, i, slot)
        return i + 1
      }`
    const codecs = [...this.#keyCodecs, ...this.#valueCodecs]
    const names = {
      R: scalars,
      K: { constants, types: input.fields.map((field) => field.type) },
      X: this,
      find: this.state.table.find,
      locate: this.state.table.locate,
      ...loaders,
      ...Object.fromEntries(codecs.map((codec, n) => [`codec${n}`, codec])),
    }
    return generate(names, text, 'delta, from') as NormaliseLoop
  }

  flush(): void {
    this.state.settle()
  }

  clear(): void {
    const { table } = this.state
    for (let slot = 0; slot < table.high; slot++) {
      if (table.used[slot] === 1) this.emit(slot, -1, -1, Op.delete, this.#newestUs)
    }
    this.state.removeAll()
    this.#send(null)
  }

  saveDelta(writer: StateWriter): void {
    writer.double(this.#newestUs)
    this.state.saveDelta(writer)
  }
  saveFull(writer: StateWriter): void {
    writer.double(this.#newestUs)
    this.state.saveFull(writer)
  }
  load(reader: StateReader): void {
    this.#newestUs = reader.double()
    this.state.load(reader)
  }
}
