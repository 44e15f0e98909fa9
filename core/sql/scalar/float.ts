/** float4 and float8 as PostgreSQL computes them: overflow and underflow are errors, NaN is a value. */
import { SluiceError } from '../../errors/error.ts'
import { floatText } from '../../record/value.ts'
import { Decimal, decimalFromText, decimalText, specialFromText, type Numeric } from './decimal.ts'
import { divisionByZero, int16, int32, int64, narrow, outOfRange, type Int } from './integer.ts'

/** The result of an operation on finite operands may not be infinite. */
function checked(result: number, a: number, b: number): number {
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b) && !Number.isNaN(result))
    throw outOfRange('value: overflow,')
  return result
}
export function floatAdd(a: number, b: number): number {
  return checked(a + b, a, b)
}
export function floatSubtract(a: number, b: number): number {
  return checked(a - b, a, b)
}
export function floatMultiply(a: number, b: number): number {
  const product = checked(a * b, a, b)
  if (product === 0 && a !== 0 && b !== 0) throw outOfRange('value: underflow,')
  return product
}
export function floatDivide(a: number, b: number): number {
  if (b === 0 && !Number.isNaN(a)) throw divisionByZero()
  const quotient = checked(a / b, a, b)
  if (quotient === 0 && a !== 0 && Number.isFinite(b)) throw outOfRange('value: underflow,')
  return quotient
}
/** float4: the double result rounded to single precision. */
export function float32(value: number): number {
  const rounded = Math.fround(value)
  if (!Number.isFinite(rounded) && Number.isFinite(value)) throw outOfRange('value: overflow,')
  if (rounded === 0 && value !== 0) throw outOfRange('value: underflow,')
  return rounded
}
export function floatNegate(a: number): number {
  return -a
}

/** Half to even, as rint() in C. */
export function roundEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest < 0.5) return floor
  if (rest > 0.5) return floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}
function rounded(value: number, what: string): Int {
  if (!Number.isFinite(value)) throw outOfRange(what)
  const whole = roundEven(value)
  return Number.isSafeInteger(whole) ? whole + 0 : narrow(BigInt(whole))
}
export function floatToInt16(value: number): Int {
  return int16(rounded(value, 'smallint'))
}
export function floatToInt32(value: number): Int {
  return int32(rounded(value, 'integer'))
}
export function floatToInt64(value: number): Int {
  return int64(rounded(value, 'bigint'))
}

/** float8 → numeric keeps 15 significant digits, float4 → numeric 6 (DBL_DIG, FLT_DIG). */
export function floatToDecimal(value: number, significant: number): Numeric {
  if (!Number.isFinite(value)) return value
  const parsed = decimalFromText(value.toPrecision(significant))
  if (!(parsed instanceof Decimal)) return value
  // %.15g prints no trailing zeros.
  let { digits, scale } = parsed
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale--
  }
  return new Decimal(digits, scale)
}
export function decimalToFloat(value: Numeric): number {
  if (typeof value === 'number') return value
  const float = Number(decimalText(value))
  if (!Number.isFinite(float)) throw outOfRange('value: overflow,')
  return float
}
export function intToFloat(value: Int): number {
  return Number(value)
}
/** A scaled integer as a double, rounded once. */
export function scaledToFloat(value: Int, scale: number): number {
  if (typeof value === 'number') {
    // Both are exact up to here, so that the division rounds once.
    if (!Number.isFinite(value) || scale <= 22) return value / 10 ** scale
  }
  return decimalToFloat(new Decimal(BigInt(value), scale))
}

export function float8Text(value: number): string {
  return floatText(value)
}
/** Shortest text that reads back as the same float4; exponents from 1e6 on, as float4out. */
export function float4Text(value: number): string {
  if (!Number.isFinite(value) || value === 0) return floatText(value)
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return float4Format(Number(text))
  }
  return float4Format(Number(value.toPrecision(9)))
}
function float4Format(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e-4 && size < 1e6) return String(value)
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
}

const number = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/
export function floatFromText(text: string): number {
  if (number.test(text)) {
    const value = Number(text)
    if (!Number.isFinite(value)) throw outOfRange('double precision value')
    return value
  }
  const special = specialFromText(text)
  if (special !== null) return special
  throw new SluiceError('sql.invalid_value', {
    message: 'Invalid input syntax for type double precision',
  })
}

export function floatSqrt(value: number): number {
  if (value < 0)
    throw new SluiceError('sql.invalid_value', {
      message: 'Cannot take the square root of a negative number',
    })
  return Math.sqrt(value)
}
export function floatLn(value: number): number {
  if (value <= 0)
    throw new SluiceError('sql.invalid_value', {
      message: 'Cannot take the logarithm of zero or of a negative number',
    })
  return Math.log(value)
}
export function floatExp(value: number): number {
  const result = Math.exp(value)
  if (!Number.isFinite(result) && Number.isFinite(value)) throw outOfRange('value: overflow,')
  if (result === 0 && Number.isFinite(value)) throw outOfRange('value: underflow,')
  return result
}
export function floatPower(base: number, exponent: number): number {
  // As in C and PostgreSQL, which differ from JavaScript here.
  if (base === 1 || exponent === 0) return 1
  if (base === 0 && exponent < 0)
    throw new SluiceError('sql.invalid_value', {
      message: 'Zero raised to a negative power is undefined',
    })
  if (base < 0 && Number.isFinite(base) && Number.isFinite(exponent) && !Number.isInteger(exponent))
    throw new SluiceError('sql.invalid_value', {
      message: 'A negative number raised to a non-integer power gives a complex result',
    })
  if (base === -1 && !Number.isFinite(exponent) && !Number.isNaN(exponent)) return 1
  const result = checked(base ** exponent, base, exponent)
  if (result === 0 && base !== 0 && Number.isFinite(base) && Number.isFinite(exponent))
    throw outOfRange('value: underflow,')
  return result
}
export function floatSign(value: number): number {
  return value > 0 ? 1 : value < 0 ? -1 : value
}
