/**
 * Decimals whose scale is known only at run time: the results of division and averages, and columns
 * of unbounded numeric. Exact digits (a bigint) and a scale, which is PostgreSQL's display scale.
 * Decimals of a known scale never come here; they are scaled integers (integer.ts).
 *
 * Rules: PostgreSQL 18, src/backend/utils/adt/numeric.c, facts only.
 */
import { SluiceError } from '../../errors/error.ts'
import { scaledText } from '../../record/decimal-builder.ts'
import { compareNumbers, divisionByZero, narrow, type Int } from './integer.ts'

export class Decimal {
  readonly digits: bigint
  readonly scale: number
  constructor(digits: bigint, scale: number) {
    this.digits = digits
    this.scale = scale
  }
}

/** A value of type numeric; NaN and ±Infinity are JavaScript's. */
export type Numeric = Decimal | number

export function decimalOf(value: Int, scale: number): Numeric {
  if (typeof value === 'number' && !Number.isFinite(value)) return value
  return new Decimal(BigInt(value), scale)
}

/** Scaled to `scale` digits, half away from zero. */
export function decimalToScaled(value: Numeric, scale: number): Int {
  return typeof value === 'number' ? value : narrow(rescale(value, scale))
}

function rescale({ digits, scale }: Decimal, to: number): bigint {
  if (to >= scale) return digits * 10n ** BigInt(to - scale)
  const divisor = 10n ** BigInt(scale - to)
  const size = digits < 0n ? -digits : digits
  const rounded = (size + divisor / 2n) / divisor
  return digits < 0n ? -rounded : rounded
}

export function decimalAdd(a: Numeric, b: Numeric): Numeric {
  if (typeof a === 'number' || typeof b === 'number') return toNumber(a) + toNumber(b)
  const scale = Math.max(a.scale, b.scale)
  return new Decimal(rescale(a, scale) + rescale(b, scale), scale)
}
export function decimalSubtract(a: Numeric, b: Numeric): Numeric {
  return decimalAdd(a, decimalNegate(b))
}
export function decimalNegate(a: Numeric): Numeric {
  return typeof a === 'number' ? -a : new Decimal(-a.digits, a.scale)
}
export function decimalAbsolute(a: Numeric): Numeric {
  return decimalCompare(a, new Decimal(0n, 0)) < 0 ? decimalNegate(a) : a
}
export function decimalMultiply(a: Numeric, b: Numeric): Numeric {
  if (typeof a === 'number' || typeof b === 'number') return sign(a) * sign(b) * Infinity
  return new Decimal(a.digits * b.digits, a.scale + b.scale)
}

/** Sign as a factor for infinities: Infinity × 0 is NaN. */
function sign(value: Numeric): number {
  if (typeof value === 'number') return Number.isNaN(value) ? Number.NaN : Math.sign(value)
  return value.digits > 0n ? 1 : value.digits < 0n ? -1 : 0
}
function toNumber(value: Numeric): number {
  return typeof value === 'number' ? value : 0
}

/** Quotient with at least 16 significant digits (select_div_scale in numeric.c). */
export function decimalDivide(a: Numeric, b: Numeric): Numeric {
  if (typeof b !== 'number' && b.digits === 0n) {
    if (typeof a === 'number' && Number.isNaN(a)) return a
    throw divisionByZero()
  }
  if (typeof a === 'number' || typeof b === 'number') return divideSpecial(a, b)
  const scale = divisionScale(a, b)
  const shift = scale - a.scale + b.scale
  const dividend = shift >= 0 ? a.digits * 10n ** BigInt(shift) : a.digits
  const divisor = shift >= 0 ? b.digits : b.digits * 10n ** BigInt(-shift)
  const negative = dividend < 0n !== divisor < 0n
  const size = dividend < 0n ? -dividend : dividend
  const by = divisor < 0n ? -divisor : divisor
  const quotient = (size * 2n + by) / (by * 2n)
  return new Decimal(negative ? -quotient : quotient, scale)
}

function divideSpecial(a: Numeric, b: Numeric): Numeric {
  if (typeof a !== 'number') return Number.isNaN(b as number) ? Number.NaN : new Decimal(0n, 0)
  if (typeof b === 'number') return Number.NaN
  return a * sign(b)
}

function divisionScale(a: Decimal, b: Decimal): number {
  const [aWeight, aFirst] = leading(a)
  const [bWeight, bFirst] = leading(b)
  let weight = aWeight - bWeight
  if (aFirst <= bFirst) weight--
  return Math.min(1000, Math.max(16 - weight * 4, a.scale, b.scale, 0))
}

/** Weight and value of the first non-zero digit in base 10000, counted from the decimal point. */
function leading({ digits, scale }: Decimal): [weight: number, first: number] {
  if (digits === 0n) return [0, 0]
  const text = (digits < 0n ? -digits : digits).toString()
  const whole = text.length - scale
  const weight = Math.ceil(whole / 4) - 1
  const length = whole - weight * 4
  return [weight, Number(text.slice(0, length).padEnd(length, '0'))]
}

export function decimalRemainder(a: Numeric, b: Numeric): Numeric {
  if (typeof b !== 'number' && b.digits === 0n) {
    if (typeof a === 'number' && Number.isNaN(a)) return a
    throw divisionByZero()
  }
  if (typeof a === 'number') return Number.NaN
  if (typeof b === 'number') return Number.isNaN(b) ? b : a
  const scale = Math.max(a.scale, b.scale)
  return new Decimal(rescale(a, scale) % rescale(b, scale), scale)
}

export function decimalCompare(a: Numeric, b: Numeric): number {
  if (typeof a === 'number' || typeof b === 'number')
    return compareNumbers(toNumber(a), toNumber(b))
  const scale = Math.max(a.scale, b.scale)
  const left = rescale(a, scale)
  const right = rescale(b, scale)
  return left < right ? -1 : left > right ? 1 : 0
}

/** round(x, n): n may be negative; the result shows max(n, 0) digits. */
export function decimalRound(value: Numeric, scale: number): Numeric {
  if (typeof value === 'number') return value
  const to = Math.max(-2000, Math.min(2000, scale))
  return to >= 0
    ? new Decimal(rescale(value, to), to)
    : new Decimal(rescale(value, to) * 10n ** BigInt(-to), 0)
}
/** trunc(x, n). */
export function decimalTruncate(value: Numeric, scale: number): Numeric {
  if (typeof value === 'number') return value
  const to = Math.max(-2000, Math.min(2000, scale))
  if (to >= value.scale) return decimalRound(value, to)
  const cut = value.digits / 10n ** BigInt(value.scale - to)
  return to >= 0 ? new Decimal(cut, to) : new Decimal(cut * 10n ** BigInt(-to), 0)
}
export function decimalFloor(value: Numeric): Numeric {
  const cut = decimalTruncate(value, 0)
  if (typeof cut === 'number' || typeof value === 'number') return value
  return decimalCompare(cut, value) > 0 ? new Decimal(cut.digits - 1n, 0) : cut
}
export function decimalCeil(value: Numeric): Numeric {
  return decimalNegate(decimalFloor(decimalNegate(value)))
}
export function decimalSign(value: Numeric): Numeric {
  const result = sign(value)
  return Number.isNaN(result) ? result : new Decimal(BigInt(result), 0)
}

/** Without trailing zeros: the form that equal values share. */
export function decimalTrim(value: Numeric): Numeric {
  if (typeof value === 'number' || value.scale === 0) return value
  let { digits, scale } = value
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale--
  }
  return new Decimal(digits, scale)
}

export function decimalText(value: Numeric): string {
  return typeof value === 'number' ? String(value) : scaledText(value.digits, value.scale)
}

const number = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$/

/** Text as numeric_in reads it; null when it is not a number. */
export function decimalFromText(text: string): Numeric | null {
  const match = number.exec(text)
  if (match === null) return specialFromText(text)
  const [, signText = '', whole = '', fraction = '', exponentText] = match
  if (whole === '' && fraction === '') return null
  const exponent = exponentText === undefined ? 0 : Number(exponentText)
  if (Math.abs(exponent) > 100_000) return null
  const digits = BigInt(`${whole}${fraction}`) * (signText === '-' ? -1n : 1n)
  const scale = fraction.length - exponent
  return scale >= 0 ? new Decimal(digits, scale) : new Decimal(digits * 10n ** BigInt(-scale), 0)
}

/** NaN and the infinities as PostgreSQL reads them, for floats and decimals alike; null for anything else. */
export function specialFromText(text: string): number | null {
  switch (text.trim().toLowerCase()) {
    case 'nan':
      return Number.NaN
    case 'infinity':
    case '+infinity':
    case 'inf':
    case '+inf':
      return Infinity
    case '-infinity':
    case '-inf':
      return -Infinity
    default:
      return null
  }
}

/** For digits this engine wrote or a column holds, which are always well formed. */
export function decimalFromDigits(text: string): Numeric {
  const value = decimalFromText(text)
  if (value === null)
    throw new SluiceError('sql.invalid_value', { message: 'A decimal column holds no number' })
  return value
}
