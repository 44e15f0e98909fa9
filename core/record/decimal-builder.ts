/**
 * decimal(p ≤ 18, s): decimal text in, scaled integers out. A value that the type cannot say exactly
 * (more fraction digits than its scale) turns the whole batch's column into exact digits.
 *
 *   value = [ '-' ] digits [ '.' digits ] | 'NaN' | 'Infinity' | '-Infinity'
 */
import { Validity, type ColumnBuilder } from './validity.ts'
import type { BytesColumn, Column } from './column.ts'
import { decimalDoublePrecisionMax } from './types.ts'

const minus = 0x2d
const point = 0x2e
const letterN = 0x4e
const letterI = 0x49
/** Fifteen digits, sign and point; a longer text may have more digits than a double holds. */
const exactTextMax = 17

export class DecimalBuilder implements ColumnBuilder {
  length = 0
  readonly #precision: number
  readonly #scale: number
  readonly #wide: boolean
  #values = new Float64Array(256)
  #bigs: BigInt64Array | null = null
  #texts: string[] | null = null
  /** Values that made the column wide or exact digits may have been taken back. */
  #rewound = false
  #validity = new Validity()

  constructor(precision: number, scale: number) {
    this.#precision = precision
    this.#scale = scale
    this.#wide = precision > decimalDoublePrecisionMax
  }
  get byteLength(): number {
    return this.length * 8
  }

  /** Appends the decimal text source[start, end) (ASCII). */
  appendText(source: Uint8Array, start: number, end: number): void {
    if (this.#texts !== null || this.#wide || end - start > exactTextMax)
      return this.#appendSlowly(latin1(source, start, end))
    let at = start
    const negative = source[at] === minus
    if (negative) at++
    const first = source[at]
    if (first === letterN || first === letterI)
      return this.#appendSlowly(latin1(source, start, end))
    let value = 0
    let fraction = -1
    for (; at < end; at++) {
      const byte = source[at]!
      if (byte === point) fraction = 0
      else {
        value = value * 10 + (byte - 0x30)
        if (fraction >= 0) fraction++
      }
    }
    if (fraction < 0) fraction = 0
    if (fraction > this.#scale) return this.#appendSlowly(latin1(source, start, end))
    for (; fraction < this.#scale; fraction++) value *= 10
    this.#push(negative ? -value : value)
  }

  /** Appends value × 10^scale, a safe integer as a number; NaN and ±Infinity as themselves. */
  appendScaled(value: number | bigint): void {
    if (typeof value === 'number' && this.#texts === null && this.#bigs === null) {
      return this.#push(value)
    }
    this.#appendSlowly(scaledText(value, this.#scale))
  }

  appendNull(): void {
    this.#validity.setNull(this.length)
    if (this.#texts !== null) this.#texts.push('')
    else if (this.#bigs !== null) this.#pushBig(0n)
    else this.#push(0)
    if (this.#texts !== null) this.length++
  }

  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }

  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
    this.#rewound ||= this.#bigs !== null || this.#texts !== null
    if (this.#texts !== null) this.#texts.length = length
  }

  finish(): Column {
    return this.#rewound ? this.#again().finish() : this.#finish()
  }

  #finish(): Column {
    const { length } = this
    const validity = this.#validity.take(length)
    const texts = this.#texts
    const bigs = this.#bigs
    this.length = 0
    this.#texts = null
    this.#bigs = null
    if (texts !== null) return bytesOfTexts(texts, validity)
    if (bigs !== null) return { encoding: 'int64', length, validity, values: bigs.slice(0, length) }
    return { encoding: 'float64', length, validity, values: this.#values.slice(0, length) }
  }

  #push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Float64Array(this.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    // -0 would make equal values differ in their bytes.
    this.#values[this.length++] = value === 0 ? 0 : value
  }

  #pushBig(value: bigint): void {
    const bigs = this.#bigs!
    if (this.length === bigs.length) {
      this.#bigs = new BigInt64Array(this.length * 2)
      this.#bigs.set(bigs)
    }
    this.#bigs![this.length++] = value
  }

  /** NaN, ±Infinity, wide values, and whatever forces exact digits. */
  #appendSlowly(text: string): void {
    if (this.#texts === null) {
      const special = text === 'NaN' || text.endsWith('Infinity')
      const scaled = special ? null : scaledInteger(text, this.#scale)
      if (special && this.#bigs === null) return this.#push(Number(text))
      if (scaled !== null) {
        if (this.#bigs === null && Number.isSafeInteger(Number(scaled)))
          return this.#push(Number(scaled))
        if (this.#widen()) return this.#pushBig(scaled)
      }
      this.#texts = this.#textsSoFar()
    }
    this.#texts.push(text)
    this.length++
  }

  /** Turns doubles into 64-bit integers; false when one of them is NaN or ±Infinity. */
  #widen(): boolean {
    if (this.#bigs !== null) return true
    const bigs = new BigInt64Array(Math.max(256, this.length * 2))
    for (let i = 0; i < this.length; i++) {
      const value = this.#values[i]!
      if (!Number.isFinite(value)) return false
      bigs[i] = BigInt(value)
    }
    this.#bigs = bigs
    return true
  }

  /**
   * The values left in a new builder, which needs no wider packing than they do. Once a batch, and not
   * when a value is taken back: doing so in turns would cost the square of their number.
   */
  #again(): DecimalBuilder {
    const left = new DecimalBuilder(this.#precision, this.#scale)
    const texts = this.#texts ?? this.#textsSoFar()
    texts.forEach((text, row) => {
      if (this.isNullAt(row)) left.appendNull()
      else left.#appendSlowly(text)
    })
    this.#rewound = false
    this.#finish()
    return left
  }

  #textsSoFar(): string[] {
    const texts: string[] = []
    for (let i = 0; i < this.length; i++) {
      texts.push(scaledText(this.#bigs !== null ? this.#bigs[i]! : this.#values[i]!, this.#scale))
    }
    this.#bigs = null
    return texts
  }
}

/** The digits of value × 10^scale as an integer; null when the text has more fraction digits, or does not fit 64 bits. */
function scaledInteger(text: string, scale: number): bigint | null {
  const dot = text.indexOf('.')
  const fraction = dot < 0 ? '' : text.slice(dot + 1)
  if (fraction.length > scale) return null
  const value = BigInt((dot < 0 ? text : text.slice(0, dot)) + fraction.padEnd(scale, '0'))
  return value === BigInt.asIntN(64, value) ? value : null
}

/** A scaled integer as decimal text with exactly `scale` fraction digits. */
export function scaledText(scaled: number | bigint, scale: number): string {
  if (typeof scaled === 'number' && !Number.isFinite(scaled)) return String(scaled)
  const negative = scaled < 0
  const digits = (negative ? -scaled : scaled).toString().padStart(scale + 1, '0')
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return negative ? `-${text}` : text
}

function latin1(source: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(source[i]!)
  return text
}

function bytesOfTexts(texts: readonly string[], validity: Uint8Array | null): BytesColumn {
  const data = new TextEncoder().encode(texts.join(''))
  const offsets = new Int32Array(texts.length + 1)
  for (let i = 0; i < texts.length; i++) offsets[i + 1] = offsets[i]! + texts[i]!.length
  return { encoding: 'bytes', length: texts.length, validity, offsets, data }
}
