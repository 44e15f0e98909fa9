/**
 * GROUP BY: one slot of columnar state per group, touched groups remembered, and at the end of the
 * step one change per touched group: −1 the old result, +1 the new one, nothing when they are equal.
 * The loop over a delta's rows (filter, keys, arguments, state) is generated, see aggregate-code.ts.
 */
import { Op } from '../../record/batch.ts'
import type { AggregatePlan } from '../plan/plan.ts'
import { Decimal } from '../scalar/decimal.ts'
import type { Scalar } from '../scalar/functions.ts'
import { Interval } from '../scalar/interval.ts'
import type { StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'
import { Accumulators } from './accumulators.ts'
import { aggregateLoop, type AggregateLoop } from './aggregate-code.ts'
import { BatchWriter } from './batch-writer.ts'
import { CountCell } from './cells.ts'
import { shapeOf } from './columns.ts'
import type { RowErrors } from './errors.ts'
import { rowFailure } from './errors.ts'
import { KeyCodec } from './key-codec.ts'
import type { Delta, Operator, Port } from './operator.ts'
import { grownDoubles, SlotTable } from './slot-table.ts'

export class Aggregate implements Operator {
  readonly plan: AggregatePlan
  readonly codecs: readonly KeyCodec[]
  readonly table: SlotTable
  /** Rows in each group, a sum of weights. */
  readonly rows = new CountCell()
  readonly accumulators: Accumulators
  readonly errors: RowErrors
  /** Per slot the step in which it was touched last, and the newest time of that step's rows. */
  touchedAt = new Int32Array(64)
  timesUs = new Float64Array(64)
  step = 1
  readonly #out: Port
  readonly #writer: BatchWriter
  readonly #loops = new Map<string, AggregateLoop>()
  #touched: number[] = []
  /** Results before this step, per touched group: null where the group had none. */
  #before: (readonly Scalar[] | null)[] = []
  #changedAt = new Int32Array(64)
  #changed: number[] = []
  #saves = 1
  /** The newest time ever seen: the time of results that no row of this step brought. */
  newestUs = 0
  /** Whether the row of a global aggregate was given out. */
  #announced = false

  constructor(plan: AggregatePlan, out: Port, errors: RowErrors) {
    this.plan = plan
    this.errors = errors
    this.#out = out
    this.#writer = new BatchWriter(plan.fields)
    this.codecs = plan.keys.map((key) => new KeyCodec(key.type))
    // Rows of several inputs can only be taken back one by one (a truncate of one of them).
    const appendOnly = plan.input.op === 'scan' && plan.input.schema.changelog === 'append'
    this.accumulators = new Accumulators(plan.aggregates, this.rows, appendOnly)
    this.table = new SlotTable(plan.keys.length, (capacity) => this.#grow(capacity))
    if (plan.global) this.table.locate()
  }

  get stateBytes(): number {
    const { cells, bags } = this.accumulators
    const own = this.table.bytes + this.rows.bytes + this.table.capacity * 16
    const sum = cells.reduce((total, cell) => total + cell.bytes, own)
    const interned = this.codecs.reduce((total, codec) => total + codec.size * 80, 0)
    return bags.reduce((total, bag) => total + bag.bytes, sum) + interned
  }

  push(_input: number, delta: Delta): void {
    if (delta.rows === 0) return
    const shape = delta.columns.map(shapeOf).join()
    let loop = this.#loops.get(shape)
    if (loop === undefined) {
      loop = aggregateLoop(this, delta.columns)
      this.#loops.set(shape, loop)
    }
    let from = 0
    while (from < delta.rows) from = loop(delta, from)
  }

  /** First row of the step for this group: its result so far is remembered. */
  touch(slot: number): void {
    this.touchedAt[slot] = this.step
    this.timesUs[slot] = Number.NEGATIVE_INFINITY
    this.#touched.push(slot)
    this.#before.push(this.#exists(slot) ? this.#result(slot, false) : null)
    if (this.#changedAt[slot] === this.#saves) return
    this.#changedAt[slot] = this.#saves
    this.#changed.push(slot)
  }

  #exists(slot: number): boolean {
    return this.plan.global ? this.#announced : this.rows.values[slot]! > 0
  }

  /** The aggregates' values; null when one of them cannot be computed, reported when asked for. */
  #result(slot: number, report: boolean): readonly Scalar[] | null {
    try {
      return this.accumulators.finals.map((final) => final(slot))
    } catch (error) {
      if (report) this.errors.result(error)
      else rowFailure(error)
      return null
    }
  }

  flush(): void {
    if (this.plan.global && this.touchedAt[0] !== this.step && !this.#announced) this.touch(0)
    if (this.#touched.length === 0) return
    for (let i = 0; i < this.#touched.length; i++) this.#emit(this.#touched[i]!, this.#before[i]!)
    this.#announced = true
    for (const slot of this.#touched) this.#release(slot)
    this.#touched = []
    this.#before = []
    this.step++
    this.#sweep()
    if (this.#writer.rows > 0) this.#out.operator.push(this.#out.input, this.#writer.finish(null))
  }

  #emit(slot: number, before: readonly Scalar[] | null): void {
    for (const settle of this.accumulators.settle) settle(slot)
    const rows = this.rows.values[slot]!
    if (rows < 0) this.errors.impossible('A group has fewer than no rows')
    const after = this.plan.global || rows > 0 ? this.#result(slot, true) : null
    const time = this.timesUs[slot]!
    const timeUs = time === Number.NEGATIVE_INFINITY ? this.newestUs : time
    if (timeUs > this.newestUs) this.newestUs = timeUs
    if (before !== null && after !== null) {
      if (before.every((value, i) => sameScalar(value, after[i]!))) return
      this.#row(slot, before, -1, Op.update, timeUs)
      this.#row(slot, after, 1, Op.update, timeUs)
    } else if (before !== null) this.#row(slot, before, -1, Op.delete, timeUs)
    else if (after !== null) this.#row(slot, after, 1, Op.insert, timeUs)
  }

  #row(slot: number, values: readonly Scalar[], weight: number, op: number, timeUs: number): void {
    const keys = this.codecs.length
    for (let k = 0; k < keys; k++)
      this.#writer.put(k, this.codecs[k]!.decode(this.table.keys[k]![slot]!))
    for (let i = 0; i < values.length; i++) this.#writer.put(keys + i, values[i]!)
    this.#writer.end(weight, op, timeUs)
  }

  /** Lets an empty group go. What a group without rows still holds was never given to it. */
  #release(slot: number): void {
    if (this.rows.values[slot] !== 0 || this.plan.global) return
    const { cells, bags } = this.accumulators
    if (!cells.every((cell) => cell.isEmpty(slot)) || !bags.every((bag) => bag.isEmpty(slot)))
      this.errors.impossible('A group without rows still has values')
    this.#reset(slot)
    this.table.remove(slot)
  }

  /** Interned keys of groups that are gone must not pile up. */
  #sweep(): void {
    for (const bag of this.accumulators.bags) bag.sweep()
    const limit = Math.max(4096, this.table.live * 2)
    this.codecs.forEach((codec, i) => {
      if (codec.size <= limit) return
      codec.sweep(this.table.keys[i]!, this.table.used)
      this.table.rehash()
    })
  }

  #reset(slot: number): void {
    this.rows.reset(slot)
    for (const bag of this.accumulators.bags) bag.drop(slot)
    for (const cell of this.accumulators.cells) cell.reset(slot)
  }

  clear(): void {
    for (let slot = 0; slot < this.table.high; slot++) {
      if (this.table.used[slot] === 0) continue
      if (this.touchedAt[slot] !== this.step) this.touch(slot)
      this.#reset(slot)
    }
  }

  saveDelta(writer: StateWriter): void {
    this.#save(writer, this.#changed)
    for (const bag of this.accumulators.bags) bag.saveDelta(writer)
    this.#changed = []
    this.#saves++
  }

  saveFull(writer: StateWriter): void {
    const slots: number[] = []
    for (let slot = 0; slot < this.table.high; slot++)
      if (this.table.used[slot] === 1) slots.push(slot)
    this.#save(writer, slots)
    for (const bag of this.accumulators.bags) bag.saveFull(writer)
  }

  #save(writer: StateWriter, slots: readonly number[]): void {
    writer.double(this.newestUs)
    writer.byte(this.#announced ? 1 : 0)
    writer.varint(slots.length)
    for (const slot of slots) {
      writer.varint(slot)
      writer.byte(this.table.used[slot]!)
      if (this.table.used[slot] === 0) continue
      this.codecs.forEach((codec, k) => writer.value(codec.decode(this.table.keys[k]![slot]!)))
      this.rows.save(slot, writer)
      for (const cell of this.accumulators.cells) cell.save(slot, writer)
    }
  }

  load(reader: StateReader): void {
    this.newestUs = reader.double()
    this.#announced = reader.byte() === 1
    const count = reader.count()
    for (let i = 0; i < count; i++) {
      const slot = reader.varint()
      if (slot < this.table.high && this.table.used[slot] === 1) this.table.remove(slot)
      if (reader.byte() === 0) {
        this.#clearSlot(slot)
        continue
      }
      this.table.occupy(
        slot,
        this.codecs.map((codec) => codec.encode(reader.value())),
      )
      this.rows.load(slot, reader)
      for (const cell of this.accumulators.cells) cell.load(slot, reader)
    }
    for (const bag of this.accumulators.bags) bag.load(reader)
  }

  #clearSlot(slot: number): void {
    if (slot >= this.table.capacity) return
    this.rows.reset(slot)
    for (const cell of this.accumulators.cells) cell.reset(slot)
  }

  #grow(capacity: number): void {
    const ints = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(capacity)
      grown.set(column)
      return grown
    }
    this.touchedAt = ints(this.touchedAt)
    this.#changedAt = ints(this.#changedAt)
    this.timesUs = grownDoubles(this.timesUs, capacity)
    this.rows.grow(capacity)
    for (const cell of this.accumulators.cells) cell.grow(capacity)
    for (const bag of this.accumulators.bags) bag.growGroups(capacity)
  }
}

export function sameScalar(a: Scalar, b: Scalar): boolean {
  if (a instanceof Decimal)
    return b instanceof Decimal && a.digits === b.digits && a.scale === b.scale
  if (a instanceof Interval)
    return b instanceof Interval && a.months === b.months && a.days === b.days && a.us === b.us
  return Object.is(a, b)
}
