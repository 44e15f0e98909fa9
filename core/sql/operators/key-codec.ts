/**
 * Values as keys: one double each, equal exactly when the values are equal, so that every key column
 * is a Float64Array and comparing keys is `===`.
 *
 * Direct kinds (integers, times, scaled decimals, booleans): the number itself; those beyond 2^53 get
 * an id + 0.5, which no integer is. Other kinds: an id. Null is 0.25 or −1, NaN is 0.125.
 * An id stands for the first value seen of those that are equal (1.0 and 1.00, '1 mon' and '30 days',
 * 0 and −0); an exact codec keeps those apart, because what is remembered must come back as it was.
 */
import type { BytesColumn } from '../../record/column.ts'
import type { LogicalType } from '../../record/types.ts'
import { isScaled } from '../plan/types.ts'
import { Decimal, decimalText, decimalTrim } from '../scalar/decimal.ts'
import type { Scalar } from '../scalar/functions.ts'
import { Interval, intervalSpan } from '../scalar/interval.ts'
import { loaders } from './columns.ts'

const directNull = 0.25
const directNaN = 0.125

export class KeyCodec {
  readonly type: LogicalType
  readonly direct: boolean
  readonly #exact: boolean
  #ids = new Map<unknown, number>()
  #values: Scalar[] = []
  #codes = new WeakMap<BytesColumn, Float64Array>()

  constructor(type: LogicalType, exact = false) {
    this.type = type
    this.#exact = exact
    this.direct = isDirect(type)
  }

  /** The null key. */
  get none(): number {
    return this.direct ? directNull : -1
  }
  /** Ids given out. */
  get size(): number {
    return this.#values.length
  }

  encode(value: Scalar): number {
    if (value === null) return this.none
    if (!this.direct) return this.#intern(value)
    if (typeof value === 'number') return Number.isNaN(value) ? directNaN : value
    if (typeof value === 'boolean') return value ? 1 : 0
    return this.#intern(value) + 0.5
  }

  decode(key: number): Scalar {
    if (key === this.none) return null
    if (!this.direct) return this.#values[key]!
    if (key === directNaN) return Number.NaN
    if (this.type.kind === 'bool') return key === 1
    return Number.isInteger(key) || !Number.isFinite(key) ? key : this.#values[key - 0.5]!
  }

  /** Keys of a dictionary's entries, computed once per dictionary. */
  codesOf(dictionary: BytesColumn): Float64Array {
    const known = this.#codes.get(dictionary)
    if (known !== undefined) return known
    const values = loaders.dictionaryValues(this.type, dictionary)
    const codes = Float64Array.from(values, (value) => this.encode(value))
    this.#codes.set(dictionary, codes)
    return codes
  }

  /** Forgets ids that no used slot of the column holds, and gives the others new ones in place. */
  sweep(column: Float64Array, used: Uint8Array): void {
    const values = this.#values
    this.#ids = new Map()
    this.#values = []
    this.#codes = new WeakMap()
    for (let slot = 0; slot < column.length; slot++) {
      const key = column[slot]!
      if (used[slot] !== 1 || key === this.none) continue
      if (!this.direct) column[slot] = this.#intern(values[key] as Exclude<Scalar, null>)
      else if (Number.isFinite(key) && !Number.isInteger(key) && key !== directNaN)
        column[slot] = this.#intern(values[key - 0.5] as Exclude<Scalar, null>) + 0.5
    }
  }

  #intern(value: Exclude<Scalar, null>): number {
    const identity = this.#exact ? exactIdentityOf(value) : identityOf(value)
    const id = this.#ids.get(identity)
    if (id !== undefined) return id
    this.#ids.set(identity, this.#values.length)
    this.#values.push(value)
    return this.#values.length - 1
  }
}

/** Equal for equal values: primitives are themselves (a Map takes NaN as equal to NaN, 0 to -0). */
function identityOf(value: Exclude<Scalar, null>): unknown {
  if (value instanceof Decimal) return `d${decimalText(decimalTrim(value))}`
  return value instanceof Interval ? `i${intervalSpan(value)}` : value
}

function exactIdentityOf(value: Exclude<Scalar, null>): unknown {
  if (value instanceof Decimal) return `d${decimalText(value)}`
  if (value instanceof Interval) return `i${value.months} ${value.days} ${value.us}`
  return Object.is(value, -0) ? '-0' : value
}

function isDirect(type: LogicalType): boolean {
  switch (type.kind) {
    case 'bool':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return true
    default:
      return isScaled(type)
  }
}

/** Code that turns a value in variable `value` into a key; `codec` names the codec. */
export function keyCode(codec: KeyCodec, name: string, isNull: string, value: string): string {
  const { kind } = codec.type
  let code: string
  if (!codec.direct) code = `${name}.encode(${value})`
  else if (kind === 'bool') code = `(${value} ? 1 : 0)`
  else if (kind === 'int16' || kind === 'int32' || kind === 'date' || kind === 'time') code = value
  else if (kind === 'decimal')
    code = `(typeof ${value} === 'number' && ${value} === ${value} ? ${value} : ${name}.encode(${value}))`
  else code = `(typeof ${value} === 'number' ? ${value} : ${name}.encode(${value}))`
  return isNull === 'false' ? code : `(${isNull} ? ${codec.none} : ${code})`
}
