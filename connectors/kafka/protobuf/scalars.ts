/**
 * Numbers, texts and enums of Protobuf: one payload → a column's builder, or JSON. Both take what a
 * payload says exactly; 64 bits that a double cannot hold go through bigints (invariant 9). Times are in
 * microseconds in columns, and rounded to them, half away from zero, as everywhere in Sluice.
 */
import type {
  AnyBuilder,
  BoolBuilder,
  Fixed16Builder,
  Int32Builder,
  NumberBuilder,
} from '../../../core/record/builder.ts'
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { JsonOut } from '../json-out.ts'
import { appendText } from '../append-text.ts'
import type { ProtoInput } from './input.ts'
import type { ProtoScalar, ProtoType } from './model.ts'

const two32 = 4_294_967_296

/** A type whose payload is one value: everything but messages. */
export type PlainType = Exclude<ProtoType, { readonly kind: 'message' }>

/** Reads the payload at `input.at`, which ends at `end`, and leaves `input.at` behind it. */
export function appendPlain(
  input: ProtoInput,
  type: PlainType,
  builder: AnyBuilder,
  end: number,
): void {
  if (type.kind === 'enum') {
    input.varint(end)
    const { low } = input
    return (builder as BytesBuilder).appendString(type.names.get(low) ?? String(low))
  }
  switch (type.scalar) {
    case 'string':
      if (!appendText(builder as BytesBuilder, input.bytes, input.at, end))
        input.fail('a text is not UTF-8')
      input.at = end
      return
    case 'bytes':
      ;(builder as BytesBuilder).append(input.bytes, input.at, end)
      input.at = end
      return
    case 'int64':
    case 'sint64':
    case 'sfixed64':
      readLong(input, type.scalar, end)
      return appendInt64(builder as NumberBuilder, input.low, input.high)
    case 'uint64':
    case 'fixed64':
      readLong(input, type.scalar, end)
      return appendUint64(builder as NumberBuilder, input.low, input.high)
    default:
      return (builder as Int32Builder | NumberBuilder | BoolBuilder).append(
        readNumber(input, type.scalar, end),
      )
  }
}

/** What a field holds that is not there. */
export function appendDefault(type: PlainType, builder: AnyBuilder): void {
  if (type.kind === 'enum') {
    ;(builder as BytesBuilder).appendString(type.names.get(type.first) ?? String(type.first))
  } else if (type.scalar === 'string' || type.scalar === 'bytes') {
    ;(builder as BytesBuilder).appendString('')
  } else (builder as NumberBuilder).append(0)
}

/** As `appendPlain`, in Protobuf's JSON mapping: 64 bits are strings. */
export function writePlain(input: ProtoInput, type: PlainType, out: JsonOut, end: number): void {
  if (type.kind === 'enum') {
    input.varint(end)
    return writeEnum(type, input.low, out)
  }
  switch (type.scalar) {
    case 'string':
      if (!out.text(input.bytes, input.at, end)) input.fail('a text is not UTF-8')
      input.at = end
      return
    case 'bytes':
      out.base64(input.bytes, input.at, end)
      input.at = end
      return
    case 'int64':
    case 'sint64':
    case 'sfixed64':
      readLong(input, type.scalar, end)
      return out.raw(`"${bigOf(input.low, input.high)}"`)
    case 'uint64':
    case 'fixed64':
      readLong(input, type.scalar, end)
      return out.raw(`"${BigInt.asUintN(64, bigOf(input.low, input.high))}"`)
    case 'float':
      return out.float32(readNumber(input, 'float', end))
    case 'double':
      return out.float64(readNumber(input, 'double', end))
    case 'bool':
      return out.raw(readNumber(input, 'bool', end) === 0 ? 'false' : 'true')
    default:
      return out.raw(String(readNumber(input, type.scalar, end)))
  }
}

export function writeDefault(type: PlainType, out: JsonOut): void {
  if (type.kind === 'enum') return writeEnum(type, type.first, out)
  switch (type.scalar) {
    case 'string':
    case 'bytes':
      return out.raw('""')
    case 'int64':
    case 'sint64':
    case 'sfixed64':
    case 'uint64':
    case 'fixed64':
      return out.raw('"0"')
    case 'bool':
      return out.raw('false')
    default:
      return out.raw('0')
  }
}

function writeEnum(
  type: PlainType & { readonly kind: 'enum' },
  number: number,
  out: JsonOut,
): void {
  const name = type.names.get(number)
  if (name === undefined) out.raw(String(number))
  else out.quoted(name)
}

/** All but 64-bit integers, texts and bytes. */
function readNumber(input: ProtoInput, scalar: ProtoScalar, end: number): number {
  const { at, view } = input
  switch (scalar) {
    case 'double':
      input.fixed64(end)
      return input.fault === null ? view.getFloat64(at, true) : 0
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      // A payload of four bytes was passed over already; one in a packed run was not.
      if (end - at < 4) {
        input.fail('the record ends in the middle of a value')
        return 0
      }
      input.at = at + 4
      if (scalar === 'float') return view.getFloat32(at, true)
      return scalar === 'fixed32' ? view.getUint32(at, true) : view.getInt32(at, true)
    default:
      input.varint(end)
      if (scalar === 'bool') return (input.low | input.high) === 0 ? 0 : 1
      if (scalar === 'uint32') return input.low >>> 0
      return scalar === 'sint32' ? (input.low >>> 1) ^ -(input.low & 1) : input.low
  }
}

/** Into the two halves of the input, two's complement. */
function readLong(input: ProtoInput, scalar: ProtoScalar, end: number): void {
  if (scalar === 'fixed64' || scalar === 'sfixed64') return input.fixed64(end)
  input.varint(end)
  if (scalar !== 'sint64') return
  const sign = -(input.low & 1)
  input.low = ((input.low >>> 1) | (input.high << 31)) ^ sign
  input.high = (input.high >>> 1) ^ sign
}

export function bigOf(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0)
}

export function appendInt64(builder: NumberBuilder, low: number, high: number): void {
  if (high > -0x20_0000 && high < 0x20_0000) builder.append(high * two32 + (low >>> 0))
  else builder.appendBigInt(bigOf(low, high))
}

function appendUint64(builder: NumberBuilder, low: number, high: number): void {
  if (high >= 0 && high < 0x20_0000) builder.append(high * two32 + (low >>> 0))
  else builder.appendBigInt(BigInt.asUintN(64, bigOf(low, high)))
}

/** Seconds from 0001-01-01 to 9999-12-31, the range of a Timestamp. */
const timestampSecondsMin = -62_135_596_800n
const timestampSecondsMax = 253_402_300_799n
/** Ten thousand years, the range of a Duration. */
const durationSecondsMax = 315_576_000_000n

/** Whether a Timestamp can be so. */
export function isTimestamp(seconds: bigint, nanos: number): boolean {
  const inRange = seconds >= timestampSecondsMin && seconds <= timestampSecondsMax
  return inRange && nanos >= 0 && nanos <= 999_999_999
}

/** Whether a Duration can be so: its parts are of one sign. */
export function isDuration(seconds: bigint, nanos: number): boolean {
  const inRange = seconds >= -durationSecondsMax && seconds <= durationSecondsMax
  if (!inRange || Math.abs(nanos) > 999_999_999) return false
  return seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0
}

export function appendTimestamp(builder: NumberBuilder, seconds: bigint, nanos: number): void {
  builder.appendBigInt(seconds * 1_000_000n + BigInt(Math.floor(nanos / 1000 + 0.5)))
}

/** Microseconds alone: a Duration says no days, which need not have 24 hours. */
export function appendDuration(builder: Fixed16Builder, seconds: bigint, nanos: number): void {
  const part = Math.sign(nanos) * Math.floor(Math.abs(nanos) / 1000 + 0.5)
  const us = seconds * 1_000_000n + BigInt(part)
  const to = builder.reserve()
  const { bytes } = builder
  bytes.fill(0, to, to + 8)
  for (let i = 0; i < 8; i++) bytes[to + 8 + i] = Number((us >> BigInt(i * 8)) & 0xffn)
}
