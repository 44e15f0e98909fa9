/**
 * Exact integers as SQL sees them, at the speed of doubles: a number while it is a safe integer, a
 * bigint beyond, and always the one of the two that fits, so that `===` is equality. int64, µs of
 * timestamps and scaled decimals all live in this form; NaN and ±Infinity pass through as themselves.
 */
import { SluiceError } from '../../errors/error.ts'

export type Int = number | bigint

const safe = Number.MAX_SAFE_INTEGER
const int64Max = 0x7fffffffffffffffn
const int64Min = -0x8000000000000000n

export function outOfRange(what: string): SluiceError {
  return new SluiceError('sql.out_of_range', { message: `${what} out of range` })
}
export function divisionByZero(): SluiceError {
  return new SluiceError('sql.division_by_zero', { message: 'Division by zero' })
}

/** The one form of a bigint: a number where it is safe. */
export function narrow(value: bigint): Int {
  return value <= 0x1fffffffffffffn && value >= -0x1fffffffffffffn ? Number(value) : value
}

export function add(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (sum <= safe && sum >= -safe) return sum
  }
  return special(a, b) ? Number(a) + Number(b) : narrow(BigInt(a) + BigInt(b))
}
export function subtract(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (difference <= safe && difference >= -safe) return difference
  }
  return special(a, b) ? Number(a) - Number(b) : narrow(BigInt(a) - BigInt(b))
}
export function multiply(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    // Adding 0 turns -0 into 0, whose bytes differ though the values are equal.
    if (product <= safe && product >= -safe) return product + 0
  }
  return special(a, b) ? Number(a) * Number(b) : narrow(BigInt(a) * BigInt(b))
}
export function negate(a: Int): Int {
  return typeof a === 'number' ? 0 - a : narrow(-a)
}
export function absolute(a: Int): Int {
  return a < 0 ? negate(a) : a
}

/** Truncates towards zero. */
export function divide(a: Int, b: Int): Int {
  if (b === 0) throw divisionByZero()
  if (typeof a === 'number' && typeof b === 'number') return Math.trunc(a / b) + 0
  return narrow(BigInt(a) / BigInt(b))
}
/** The sign of the dividend. */
export function remainder(a: Int, b: Int): Int {
  if (b === 0) throw divisionByZero()
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0
  return special(a, b) ? Number.NaN : narrow(BigInt(a) % BigInt(b))
}

function special(a: Int, b: Int): boolean {
  return (
    (typeof a === 'number' && !Number.isFinite(a)) || (typeof b === 'number' && !Number.isFinite(b))
  )
}

export function int16(value: Int): Int {
  if (value >= -0x8000 && value <= 0x7fff) return value
  throw outOfRange('smallint')
}
export function int32(value: Int): Int {
  if (value >= -0x80000000 && value <= 0x7fffffff) return value
  throw outOfRange('integer')
}
export function int64(value: Int): Int {
  if (typeof value === 'number' || (value >= int64Min && value <= int64Max)) return value
  throw outOfRange('bigint')
}
export function uint64(value: Int): Int {
  if (value >= 0 && value <= 0xffffffffffffffffn) return value
  throw outOfRange('unsigned bigint')
}

/** −1, 0, 1; NaN is equal to itself and above everything (PostgreSQL's order of numerics and floats). */
export function compareNumbers(a: Int, b: Int): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  const aNaN = typeof a === 'number' && Number.isNaN(a)
  const bNaN = typeof b === 'number' && Number.isNaN(b)
  return aNaN === bNaN ? 0 : aNaN ? 1 : -1
}

/** 10^n for 0 ≤ n, as an Int. */
export function powerOfTen(n: number): Int {
  return narrow(10n ** BigInt(n))
}

/** A scaled integer with fewer fraction digits: rounds half away from zero, as PostgreSQL's numeric. */
export function dropDigits(value: Int, digits: number): Int {
  if (digits === 0 || (typeof value === 'number' && !Number.isFinite(value))) return value
  const divisor = 10n ** BigInt(digits)
  const exact = BigInt(value)
  const size = exact < 0n ? -exact : exact
  const rounded = (size + divisor / 2n) / divisor
  return narrow(exact < 0n ? -rounded : rounded)
}
/** The same, towards zero. */
export function cutDigits(value: Int, digits: number): Int {
  if (digits === 0 || (typeof value === 'number' && !Number.isFinite(value))) return value
  return narrow(BigInt(value) / 10n ** BigInt(digits))
}
/** The same, towards −∞ (`up` false) or +∞. */
export function floorDigits(value: Int, digits: number, up: boolean): Int {
  const cut = cutDigits(value, digits)
  if (digits === 0 || (typeof value === 'number' && !Number.isFinite(value))) return value
  const exact = BigInt(cut) * 10n ** BigInt(digits) === BigInt(value)
  if (exact || value > 0 !== up) return cut
  return add(cut, up ? 1 : -1)
}
/** numeric(p,s) accepts at most p digits. */
export function checkPrecision(value: Int, limit: Int): Int {
  if ((value < limit && value > negate(limit)) || Number.isNaN(Number(value))) return value
  throw new SluiceError('sql.out_of_range', { message: 'Numeric field overflow' })
}
