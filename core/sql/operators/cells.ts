/**
 * Cells: one column of state each, a value per slot. A number lives in a Float64Array; what a double
 * cannot hold (a bigint, a text, NaN itself) lives in a side map, and NaN in the array says so.
 */
import type { StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'
import { corrupt } from '../state/reader.ts'
import type { Scalar } from '../scalar/functions.ts'
import { Decimal, decimalAdd, decimalNegate, decimalTrim, type Numeric } from '../scalar/decimal.ts'
import { narrow, type Int } from '../scalar/integer.ts'
import { Interval, intervalAdd, intervalNegate } from '../scalar/interval.ts'
import { grownDoubles } from './slot-table.ts'

export interface Cell {
  grow(capacity: number): void
  /** Back to the empty group. */
  reset(slot: number): void
  /** Whether the cell is what it is in an empty group. */
  isEmpty(slot: number): boolean
  save(slot: number, writer: StateWriter): void
  load(slot: number, reader: StateReader): void
  readonly bytes: number
}

/** Bytes of one entry of a side map, about. */
const sideBytes = 100

/** A whole number: counts of rows, exact below 2^53. */
export class CountCell implements Cell {
  values = new Float64Array(64)
  get bytes(): number {
    return this.values.byteLength
  }
  grow(capacity: number): void {
    this.values = grownDoubles(this.values, capacity)
  }
  reset(slot: number): void {
    this.values[slot] = 0
  }
  isEmpty(slot: number): boolean {
    return this.values[slot] === 0
  }
  save(slot: number, writer: StateWriter): void {
    writer.value(this.values[slot]!)
  }
  load(slot: number, reader: StateReader): void {
    this.values[slot] = reader.number()
  }
}

/** Any value, null when empty. */
export class ValueCell implements Cell {
  values = new Float64Array(64).fill(Number.NaN)
  readonly side = new Map<number, Scalar>()
  get bytes(): number {
    return this.values.byteLength + this.side.size * sideBytes
  }
  get(slot: number): Scalar {
    const value = this.values[slot]!
    return Number.isNaN(value) ? (this.side.get(slot) ?? null) : value
  }
  set(slot: number, value: Scalar): void {
    if (typeof value === 'number' && !Number.isNaN(value)) {
      if (this.side.size > 0) this.side.delete(slot)
      this.values[slot] = value
      return
    }
    this.values[slot] = Number.NaN
    if (value === null) this.side.delete(slot)
    else this.side.set(slot, value)
  }
  grow(capacity: number): void {
    const from = this.values.length
    this.values = grownDoubles(this.values, capacity)
    this.values.fill(Number.NaN, from)
  }
  reset(slot: number): void {
    this.set(slot, null)
  }
  isEmpty(slot: number): boolean {
    return this.get(slot) === null
  }
  save(slot: number, writer: StateWriter): void {
    writer.value(this.get(slot))
  }
  load(slot: number, reader: StateReader): void {
    this.set(slot, reader.value())
  }
}

/** How many NaN, +Infinity and −Infinity a sum has taken in: they cannot be subtracted again. */
class Specials {
  readonly #counts = new Map<number, [nan: number, up: number, down: number]>()
  get bytes(): number {
    return this.#counts.size * sideBytes
  }
  add(slot: number, value: number, weight: number): void {
    const counts = this.#counts.get(slot) ?? [0, 0, 0]
    counts[Number.isNaN(value) ? 0 : value > 0 ? 1 : 2]! += weight
    if (counts.some((count) => count !== 0)) this.#counts.set(slot, counts)
    else this.#counts.delete(slot)
  }
  /** What they make of the sum; null when there are none. */
  get(slot: number): number | null {
    const counts = this.#counts.get(slot)
    if (counts === undefined) return null
    const [nan, up, down] = counts
    if (nan !== 0 || (up !== 0 && down !== 0)) return Number.NaN
    return up !== 0 ? Infinity : -Infinity
  }
  has(slot: number): boolean {
    return this.#counts.has(slot)
  }
  reset(slot: number): void {
    if (this.#counts.size > 0) this.#counts.delete(slot)
  }
  save(slot: number, writer: StateWriter): void {
    for (const count of this.#counts.get(slot) ?? [0, 0, 0]) writer.value(count)
  }
  load(slot: number, reader: StateReader): void {
    const counts: [number, number, number] = [reader.number(), reader.number(), reader.number()]
    if (counts.some((count) => count !== 0)) this.#counts.set(slot, counts)
    else this.#counts.delete(slot)
  }
}

/** Exact sum of integers or of decimals of one scale. Generated code adds to `values` while it is safe. */
export class SumCell implements Cell {
  values = new Float64Array(64)
  readonly #big = new Map<number, bigint>()
  readonly #specials = new Specials()
  get bytes(): number {
    return this.values.byteLength + this.#big.size * sideBytes + this.#specials.bytes
  }
  /** What the fast path could not do: a bigint, a sum beyond 2^53, NaN. */
  addSlow(slot: number, value: Int, weight: number): void {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      this.#specials.add(slot, value, weight)
      return
    }
    const old = this.values[slot]!
    const before = Number.isNaN(old) ? (this.#big.get(slot) ?? 0n) : BigInt(old)
    this.#set(slot, narrow(before + BigInt(value) * BigInt(weight)))
  }
  get(slot: number): Int {
    const special = this.#specials.get(slot)
    if (special !== null) return special
    const value = this.values[slot]!
    return Number.isNaN(value) ? (this.#big.get(slot) ?? 0n) : value
  }
  #set(slot: number, value: Int): void {
    if (typeof value === 'number') {
      if (this.#big.size > 0) this.#big.delete(slot)
      this.values[slot] = value
    } else {
      this.values[slot] = Number.NaN
      this.#big.set(slot, value)
    }
  }
  grow(capacity: number): void {
    this.values = grownDoubles(this.values, capacity)
  }
  reset(slot: number): void {
    this.#set(slot, 0)
    this.#specials.reset(slot)
  }
  isEmpty(slot: number): boolean {
    return this.values[slot] === 0 && !this.#specials.has(slot)
  }
  save(slot: number, writer: StateWriter): void {
    const value = this.values[slot]!
    writer.value(Number.isNaN(value) ? (this.#big.get(slot) ?? 0n) : value)
    const special = this.#specials.has(slot)
    writer.byte(special ? 1 : 0)
    if (special) this.#specials.save(slot, writer)
  }
  load(slot: number, reader: StateReader): void {
    const value = reader.value()
    if (typeof value !== 'number' && typeof value !== 'bigint') throw corrupt('a sum is no number')
    this.#set(slot, value)
    this.#specials.reset(slot)
    if (reader.byte() === 1) this.#specials.load(slot, reader)
  }
}

/** Sum of doubles, compensated (Neumaier), so that what was added can be taken away again. */
export class FloatSumCell implements Cell {
  values = new Float64Array(64)
  #rest = new Float64Array(64)
  readonly #specials = new Specials()
  get bytes(): number {
    return this.values.byteLength * 2 + this.#specials.bytes
  }
  add(slot: number, value: number, weight: number): void {
    if (!Number.isFinite(value)) return this.#specials.add(slot, value, weight)
    const term = value * weight
    const old = this.values[slot]!
    const sum = old + term
    this.#rest[slot]! += Math.abs(old) >= Math.abs(term) ? old - sum + term : term - sum + old
    this.values[slot] = sum
  }
  get(slot: number): number {
    return this.#specials.get(slot) ?? this.values[slot]! + this.#rest[slot]!
  }
  /** Called when no value is left in the group: what rounding left behind goes with it. */
  settle(slot: number): void {
    this.values[slot] = 0
    this.#rest[slot] = 0
  }
  grow(capacity: number): void {
    this.values = grownDoubles(this.values, capacity)
    this.#rest = grownDoubles(this.#rest, capacity)
  }
  reset(slot: number): void {
    this.settle(slot)
    this.#specials.reset(slot)
  }
  isEmpty(): boolean {
    return true
  }
  save(slot: number, writer: StateWriter): void {
    writer.double(this.values[slot]!)
    writer.double(this.#rest[slot]!)
    const special = this.#specials.has(slot)
    writer.byte(special ? 1 : 0)
    if (special) this.#specials.save(slot, writer)
  }
  load(slot: number, reader: StateReader): void {
    this.values[slot] = reader.double()
    this.#rest[slot] = reader.double()
    this.#specials.reset(slot)
    if (reader.byte() === 1) this.#specials.load(slot, reader)
  }
}

const zeroDecimal = new Decimal(0n, 0)
const zeroInterval = new Interval(0, 0, 0n)

/** Sum of decimals without a common scale, or of intervals. */
export class ObjectSumCell implements Cell {
  readonly #values = new Map<number, Decimal | Interval>()
  readonly #specials = new Specials()
  readonly #zero: Decimal | Interval
  constructor(kind: 'decimal' | 'interval') {
    this.#zero = kind === 'decimal' ? zeroDecimal : zeroInterval
  }
  get bytes(): number {
    return this.#values.size * sideBytes + this.#specials.bytes
  }
  add(slot: number, value: Numeric | Interval, weight: number): void {
    if (typeof value === 'number') return this.#specials.add(slot, value, weight)
    const old = this.#values.get(slot) ?? this.#zero
    let sum: Numeric | Interval
    if (old instanceof Decimal && value instanceof Decimal) {
      // Trimmed, so that the digits shown do not depend on rows that are gone.
      sum = decimalTrim(decimalAdd(old, weight < 0 ? decimalNegate(value) : value))
    } else {
      const term = value as Interval
      sum = intervalAdd(old as Interval, weight < 0 ? intervalNegate(term) : term)
    }
    if (typeof sum !== 'number') this.#values.set(slot, sum)
  }
  get(slot: number): Numeric | Interval {
    return this.#specials.get(slot) ?? this.#values.get(slot) ?? this.#zero
  }
  grow(): void {
    // A map grows by itself.
  }
  reset(slot: number): void {
    this.#values.delete(slot)
    this.#specials.reset(slot)
  }
  isEmpty(slot: number): boolean {
    const value = this.#values.get(slot)
    if (value === undefined) return !this.#specials.has(slot)
    return value instanceof Decimal
      ? value.digits === 0n
      : value.months === 0 && value.days === 0 && value.us === 0n
  }
  save(slot: number, writer: StateWriter): void {
    writer.value(this.#values.get(slot) ?? null)
    this.#specials.save(slot, writer)
  }
  load(slot: number, reader: StateReader): void {
    const value = reader.value()
    if (value instanceof Decimal || value instanceof Interval) this.#values.set(slot, value)
    else this.#values.delete(slot)
    this.#specials.load(slot, reader)
  }
}
