/**
 * Builders: values in, one column out. The decoders' side of the hot path: no object, closure or
 * allocation per value. A builder is reused: `finish` hands the column over and starts anew.
 */
import { BytesBuilder } from './bytes-builder.ts'
import type { Column } from './column.ts'
import { DecimalBuilder } from './decimal-builder.ts'
import { ListBuilder } from './list-builder.ts'
import { Validity, type ColumnBuilder } from './validity.ts'
import {
  isScaledDecimal,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from './types.ts'

const firstCapacity = 256

/** bool: 0 or 1. */
export class BoolBuilder implements ColumnBuilder {
  length = 0
  #values = new Uint8Array(firstCapacity)
  #validity = new Validity()
  get byteLength(): number {
    return this.length
  }
  append(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Uint8Array(this.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.length++] = value
  }
  appendNull(): void {
    this.#validity.setNull(this.length)
    this.append(0)
  }
  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }
  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
  }
  finish(): Column {
    const { length } = this
    this.length = 0
    const values = this.#values.slice(0, length)
    return { encoding: 'bool', length, validity: this.#validity.take(length), values }
  }
}

/** int16, int32, date. */
export class Int32Builder implements ColumnBuilder {
  length = 0
  #values = new Int32Array(firstCapacity)
  #validity = new Validity()
  get byteLength(): number {
    return this.length * 4
  }
  append(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Int32Array(this.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.length++] = value
  }
  appendNull(): void {
    this.#validity.setNull(this.length)
    this.append(0)
  }
  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }
  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
  }
  finish(): Column {
    const { length } = this
    this.length = 0
    const values = this.#values.slice(0, length)
    return { encoding: 'int32', length, validity: this.#validity.take(length), values }
  }
}

/**
 * Numbers that usually fit a double exactly: float32, float64, time, int64, uint64, timestamps. The
 * first `appendBigInt` that a double cannot hold turns the whole batch's column into 64-bit integers
 * (`wide` says which); until then it is a Float64Array.
 */
export class NumberBuilder implements ColumnBuilder {
  length = 0
  readonly #wide: 'int64' | 'uint64'
  /** What ±Infinity becomes when the column goes wide (timestamps); int64 columns never hold it. */
  #values = new Float64Array(firstCapacity)
  #big: bigint[] | null = null
  /** Whether ±Infinity is among `#big`: these are timestamps, and two of the integers stand for it. */
  #infinite = false
  /** Wide values may have been taken back. */
  #rewound = false
  #validity = new Validity()
  constructor(wide: 'int64' | 'uint64' = 'int64') {
    this.#wide = wide
  }
  get byteLength(): number {
    return this.length * 8
  }
  /** An exact number: for integers a safe integer; NaN and ±Infinity as themselves. */
  append(value: number): void {
    if (this.#big !== null) {
      this.#big.push(this.#wideOf(value))
      this.length++
      return
    }
    if (this.length === this.#values.length) {
      const grown = new Float64Array(this.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.length++] = value
  }
  appendBigInt(value: bigint): void {
    if (value >= -0x1fffffffffffffn && value <= 0x1fffffffffffffn) return this.append(Number(value))
    if (this.#big === null) {
      this.#big = []
      for (let i = 0; i < this.length; i++) this.#big.push(this.#wideOf(this.#values[i]!))
    }
    this.#big.push(value)
    this.length++
  }
  appendNull(): void {
    this.#validity.setNull(this.length)
    this.append(0)
  }
  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }
  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
    if (this.#big === null) return
    this.#big.length = length
    this.#rewound = true
  }
  finish(): Column {
    const { length } = this
    const validity = this.#validity.take(length)
    if (this.#rewound) this.#narrow()
    const big = this.#big
    this.length = 0
    this.#big = null
    this.#infinite = false
    if (big === null) {
      return { encoding: 'float64', length, validity, values: this.#values.slice(0, length) }
    }
    return this.#wide === 'int64'
      ? { encoding: 'int64', length, validity, values: BigInt64Array.from(big) }
      : { encoding: 'uint64', length, validity, values: BigUint64Array.from(big) }
  }

  /**
   * Back to doubles where none of the values left is wide. Once a batch, and not when a value is taken
   * back: values that go wide and are taken back in turns would cost the square of their number.
   */
  #narrow(): void {
    this.#rewound = false
    const big = this.#big
    if (big === null) return
    if (this.#values.length < big.length) this.#values = new Float64Array(big.length)
    for (let i = 0; i < big.length; i++) {
      const value = big[i]!
      const infinity = this.#infinite ? infinityOf(value) : 0
      if (infinity === 0 && (value < -0x1fffffffffffffn || value > 0x1fffffffffffffn)) return
      this.#values[i] = infinity === 0 ? Number(value) : infinity
    }
    this.#big = null
  }

  /** ±Infinity as timestamps say it in 64 bits (types.ts). */
  #wideOf(value: number): bigint {
    if (Number.isFinite(value)) return BigInt(value)
    this.#infinite = true
    return value > 0 ? timestampInfinity : timestampNegativeInfinity
  }
}

/** ±Infinity; 0 where the integer stands for neither. */
function infinityOf(value: bigint): number {
  if (value === timestampInfinity) return Infinity
  return value === timestampNegativeInfinity ? -Infinity : 0
}

/** uuid, interval: 16 bytes a value. */
export class Fixed16Builder implements ColumnBuilder {
  length = 0
  #data = new Uint8Array(firstCapacity * 16)
  #validity = new Validity()
  get byteLength(): number {
    return this.length * 16
  }
  /** Makes room for one more value and returns where its 16 bytes are to be written in `bytes`. */
  reserve(): number {
    if (this.length * 16 === this.#data.length) {
      const grown = new Uint8Array(this.#data.length * 2)
      grown.set(this.#data)
      this.#data = grown
    }
    return this.length++ * 16
  }
  /** The buffer `reserve` points into; read it after each `reserve`, which may replace it. */
  get bytes(): Uint8Array {
    return this.#data
  }
  appendNull(): void {
    this.#validity.setNull(this.length)
    const at = this.reserve()
    this.#data.fill(0, at, at + 16)
  }
  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }
  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
  }
  finish(): Column {
    const { length } = this
    this.length = 0
    const data = this.#data.slice(0, length * 16)
    return { encoding: 'fixed16', length, validity: this.#validity.take(length), data }
  }
}

export type AnyBuilder =
  | BoolBuilder
  | Int32Builder
  | NumberBuilder
  | Fixed16Builder
  | BytesBuilder
  | DecimalBuilder
  | ListBuilder

/** The builder for a logical type; the table in column.ts says what it yields. */
export function builderFor(type: LogicalType): AnyBuilder {
  switch (type.kind) {
    case 'bool':
      return new BoolBuilder()
    case 'int16':
    case 'int32':
    case 'date':
      return new Int32Builder()
    case 'uint64':
      return new NumberBuilder('uint64')
    case 'int64':
    case 'float32':
    case 'float64':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return new NumberBuilder('int64')
    case 'uuid':
    case 'interval':
      return new Fixed16Builder()
    case 'decimal':
      return isScaledDecimal(type)
        ? new DecimalBuilder(type.precision, type.scale)
        : new BytesBuilder()
    case 'list':
      return new ListBuilder(builderFor(type.element))
    case 'text':
    case 'json':
    case 'bytes':
    case 'other':
      return new BytesBuilder()
  }
}
