/**
 * Values that come as bytes, which are base64 in JSON: blobs, decimals, bit fields; and the structs that
 * have such bytes in them, decimals of any scale and geometries.
 */
import { Base64Cell } from '../../../core/connector/format/cell-text.ts'
import { JsonMembers } from '../../../core/connector/format/json-ranges.ts'
import { failed, quote, stringEnd, valueEnd } from '../../../core/connector/format/json-scan.ts'
import { smallInteger } from '../../../core/connector/format/cell-number.ts'
import { latin1 } from '../../../core/connector/format/cell.ts'
import type { AnyBuilder, NumberBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder, scaledText } from '../../../core/record/decimal-builder.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { floatText } from '../../../core/record/value.ts'
import type { AvroInput } from '../avro/input.ts'
import { skipValue } from '../avro/skip.ts'
import type { AvroRecord, AvroType } from '../avro/types.ts'
import type { PutInteger } from './value-numbers.ts'
import { misfit, type ValueReader } from './value-reader.ts'

/** Appends bytes[start, end) as its column has it; false: it has no place there. */
export type PutBytes = (
  builder: AnyBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
) => boolean

const base64 = new Base64Cell()
const scratch = new BytesBuilder()

/** Bytes of the base64 between the quotes at `at`, for a moment, in `scratch`; or `failed`, `misfit`. */
function decoded(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== quote) return misfit
  const close = stringEnd(bytes, at + 1, end)
  if (close === failed) return failed
  scratch.rewind(0)
  // Base64 has no characters that JSON escapes, but '/', which some writers do.
  if (close < 0) return misfit
  return base64.append(scratch, bytes, at + 1, close) ? close + 1 : misfit
}

function decodedLength(): number {
  return scratch.byteLength - 4
}

export class BytesReader implements ValueReader {
  readonly wanted: string
  readonly #put: PutBytes

  constructor(put: PutBytes, wanted: string) {
    this.#put = put
    this.wanted = wanted
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const last = decoded(bytes, at, end)
    if (last <= 0) return last
    return this.#put(builder, scratch.bytes, 0, decodedLength()) ? last : misfit
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    const start = bytesAt(input, type)
    if (input.fault === null && !this.#put(builder, input.bytes, start, input.at))
      input.fail(this.wanted)
  }
}

/** Where the bytes of a value begin, which end where the input is then. */
function bytesAt(input: AvroInput, type: AvroType): number {
  if (type.kind === 'bytes') return input.sized()
  if (type.kind === 'fixed') return input.fixed(type.size)
  if (type.kind === 'decimal') return type.size === null ? input.sized() : input.fixed(type.size)
  return input.fail('expected bytes')
}

export const putBytes: PutBytes = (builder, bytes, start, end) => {
  ;(builder as BytesBuilder).append(bytes, start, end)
  return true
}

/** Bit i of the number is bit i & 7 of byte i >> 3 (io.debezium.data.Bits). */
export const putBits: PutBytes = (builder, bytes, start, end) => {
  while (end > start && bytes[end - 1] === 0) end--
  if (end - start > 8) return false
  let value = 0n
  for (let at = end - 1; at >= start; at--) value = (value << 8n) | BigInt(bytes[at]!)
  ;(builder as NumberBuilder).appendBigInt(value)
  return true
}

/** Digits that PostgreSQL's numeric has at most, before and after its point. */
const digitsMax = 131_072 + 16_383
/** Two's complement of so many bytes is a safe integer. */
const shortBytesMax = 6

/** A decimal whose unscaled value is two's complement, most significant byte first. */
export function decimalInto(type: LogicalType & { readonly kind: 'decimal' }): PutScaled {
  const { precision } = type
  const columnScale = type.scale
  return (builder, bytes, start, end, scale) => {
    if (start === end || end - start > digitsMax) return false
    if (
      builder instanceof DecimalBuilder &&
      scale === columnScale &&
      end - start <= shortBytesMax &&
      precision !== null
    ) {
      const value = shortInteger(bytes, start, end)
      if (precision <= 15 && Math.abs(value) >= 10 ** precision) return false
      builder.appendScaled(value)
      return true
    }
    const value = integerOf(bytes, start, end)
    if (Math.abs(scale) > digitsMax) return false
    if (precision !== null && columnScale !== null && !fits(value, scale, precision, columnScale))
      return false
    const text =
      scale < 0 ? String(value * 10n ** BigInt(-scale)) : scaledText(trimmed(value), scale)
    const own = precision === null ? text : padded(text, columnScale ?? 0)
    if (builder instanceof DecimalBuilder) {
      const ascii = Buffer.from(own, 'latin1')
      builder.appendText(ascii, 0, ascii.length)
    } else (builder as BytesBuilder).appendString(own)
    return true
  }
}

/** A decimal without digits behind its point, as an integer: bigint.unsigned.handling.mode=precise. */
export function wholeInto(put: PutInteger): PutBytes {
  return (builder, bytes, start, end) => {
    if (start === end || end - start > wholeBytesMax) return false
    return put(builder, trimmed(integerOf(bytes, start, end)))
  }
}
/** 64 bits and a sign. */
const wholeBytesMax = 9

export type PutScaled = (
  builder: AnyBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  scale: number,
) => boolean

function trimmed(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** Whether value × 10^−scale has a place in decimal(precision, columnScale), digit for digit. */
function fits(value: bigint, scale: number, precision: number, columnScale: number): boolean {
  const size = value < 0n ? -value : value
  const shift = columnScale - scale
  if (shift < 0) {
    const unit = 10n ** BigInt(-shift)
    return size % unit === 0n && size / unit < 10n ** BigInt(precision)
  }
  return size * 10n ** BigInt(shift) < 10n ** BigInt(precision)
}

/** With exactly so many digits behind the point, which cost nothing but zeros. */
function padded(text: string, scale: number): string {
  const point = text.indexOf('.')
  const behind = point < 0 ? 0 : text.length - point - 1
  if (behind === scale || scale < 0) return text
  if (behind > scale) return text.slice(0, scale === 0 ? point : point + 1 + scale)
  return `${text}${point < 0 ? '.' : ''}${'0'.repeat(scale - behind)}`
}

function shortInteger(bytes: Uint8Array, start: number, end: number): number {
  let value = bytes[start]! >= 0x80 ? bytes[start]! - 256 : bytes[start]!
  for (let at = start + 1; at < end; at++) value = value * 256 + bytes[at]!
  return value
}

function integerOf(bytes: Uint8Array, start: number, end: number): bigint {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex')
  return BigInt.asIntN((end - start) * 8, BigInt(`0x${hex}`))
}

/** {scale, value} of a decimal that has no scale of its own. */
export class ScaledStructReader implements ValueReader {
  readonly wanted = 'expected a decimal, a struct of scale and value'
  readonly #members = new JsonMembers(['scale', 'value'])
  readonly #put: PutScaled

  constructor(put: PutScaled) {
    this.#put = put
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const last = valueEnd(bytes, at, end)
    if (last === failed) return failed
    const members = this.#members
    if (members.find(bytes, at, last) !== null) return misfit
    const [scaleAt, valueAt] = [members.starts[0]!, members.starts[1]!]
    if (scaleAt < 0 || valueAt < 0) return misfit
    const scale = smallInteger(bytes, scaleAt, members.ends[0]!)
    if (Number.isNaN(scale) || decoded(bytes, valueAt, last) <= 0) return misfit
    return this.#put(builder, scratch.bytes, 0, decodedLength(), scale) ? last : misfit
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind !== 'record') return void input.fail(this.wanted)
    let scale = NaN
    let start = -1
    let end = -1
    for (const field of type.fields) {
      if (field.name === 'scale' && field.type.kind === 'int') scale = input.int()
      else if (field.name === 'value' && field.type.kind === 'bytes') {
        start = input.sized()
        end = input.at
      } else skipValue(input, field.type)
    }
    if (input.fault !== null) return
    const fits =
      start >= 0 && !Number.isNaN(scale) && this.#put(builder, input.bytes, start, end, scale)
    if (!fits) input.fail(this.wanted)
  }
}

/** In the type of an EWKB geometry: the SRID follows (PostGIS, doc/ZMSgeoms.txt). */
const ewkbSrid = 0x2000_0000

/**
 * {wkb, srid, x?, y?}: as bytes, EWKB with the SRID in it where there is one; as text, what PostGIS
 * prints (EWKB in hexadecimal), or `(x,y)` of PostgreSQL's own point.
 */
export class GeometryReader implements ValueReader {
  readonly wanted = 'expected a geometry, a struct of wkb and srid'
  readonly #members = new JsonMembers(['wkb', 'srid', 'x', 'y'])
  readonly #style: 'bytes' | 'hex' | 'point'

  constructor(type: LogicalType) {
    this.#style =
      type.kind !== 'other' ? 'bytes' : type.name.toLowerCase() === 'point' ? 'point' : 'hex'
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const last = valueEnd(bytes, at, end)
    if (last === failed) return failed
    const members = this.#members
    if (members.find(bytes, at, last) !== null) return misfit
    const number = (member: number): number =>
      members.has(member, bytes)
        ? Number(latin1(bytes, members.starts[member]!, members.ends[member]!))
        : NaN
    if (this.#style === 'point') return this.#point(builder, number(2), number(3)) ? last : misfit
    if (members.starts[0]! < 0 || decoded(bytes, members.starts[0]!, last) <= 0) return misfit
    const srid = members.has(1, bytes) ? number(1) : 0
    return this.#put(builder, scratch.bytes.slice(0, decodedLength()), srid) ? last : misfit
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind !== 'record') return void input.fail(this.wanted)
    const { wkb, srid, x, y } = structOf(input, type)
    if (input.fault !== null) return
    const fits =
      this.#style === 'point'
        ? this.#point(builder, x, y)
        : wkb !== null && this.#put(builder, wkb, srid)
    if (!fits) input.fail(this.wanted)
  }

  #point(builder: AnyBuilder, x: number, y: number): boolean {
    if (Number.isNaN(x) || Number.isNaN(y)) return false
    ;(builder as BytesBuilder).appendString(`(${floatText(x)},${floatText(y)})`)
    return true
  }

  #put(builder: AnyBuilder, wkb: Uint8Array, srid: number): boolean {
    const geometry = withSrid(wkb, srid)
    if (geometry === null) return false
    const into = builder as BytesBuilder
    if (this.#style === 'bytes') into.append(geometry, 0, geometry.length)
    else into.appendString(Buffer.from(geometry).toString('hex').toUpperCase())
    return true
  }
}

interface GeometryStruct {
  wkb: Uint8Array | null
  srid: number
  x: number
  y: number
}

function structOf(input: AvroInput, { fields }: AvroRecord): GeometryStruct {
  const found: GeometryStruct = { wkb: null, srid: 0, x: NaN, y: NaN }
  for (const { name, type } of fields) {
    const branch = type.kind === 'union' ? type.branches[input.long()] : type
    if (branch === undefined) {
      input.fail('a union has no such branch')
      return found
    }
    if (name === 'wkb' && branch.kind === 'bytes') {
      const start = input.sized()
      found.wkb = input.bytes.subarray(start, input.at)
    } else if (name === 'srid' && branch.kind === 'int') found.srid = input.int()
    else if ((name === 'x' || name === 'y') && branch.kind === 'double')
      found[name] = input.double()
    else skipValue(input, branch)
  }
  return found
}

/** null: these bytes are no geometry. */
function withSrid(wkb: Uint8Array, srid: number): Uint8Array | null {
  if (wkb.length < 5 || wkb[0]! > 1 || !Number.isInteger(srid)) return null
  const view = new DataView(wkb.buffer, wkb.byteOffset, wkb.length)
  const isLittle = wkb[0] === 1
  const type = view.getUint32(1, isLittle)
  // PostGIS has it inside already.
  if (srid === 0 || (type & ewkbSrid) !== 0) return wkb
  const ewkb = new Uint8Array(wkb.length + 4)
  ewkb.set(wkb.subarray(0, 5))
  ewkb.set(wkb.subarray(5), 9)
  const into = new DataView(ewkb.buffer)
  into.setUint32(1, (type | ewkbSrid) >>> 0, isLittle)
  into.setInt32(5, srid, isLittle)
  return ewkb
}
