/**
 * Readers of Avro values into column builders, one function a kind of value. Hot: nothing is allocated a
 * value but what wide decimals and json columns cost. After a fault a builder may lack its value: the
 * caller rewinds all of them.
 */
import type {
  AnyBuilder,
  BoolBuilder,
  Fixed16Builder,
  Int32Builder,
  NumberBuilder,
} from '../../../core/record/builder.ts'
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { ListBuilder } from '../../../core/record/list-builder.ts'
import { dayUs } from '../../../core/record/calendar.ts'
import { appendText } from '../append-text.ts'
import { JsonOut } from '../json-out.ts'
import type { AvroInput } from './input.ts'
import { writeJson } from './json.ts'
import type { ColumnReader, Read } from './reader.ts'

const int64Max = 0x7fff_ffff_ffff_ffffn
const thousandMax = 9_007_199_254_740
const json = new JsonOut()

/** One value, with the union around it if there is one. */
export function readValue(input: AvroInput, builder: AnyBuilder, reader: ColumnReader): void {
  if (reader.valueBranch >= 0 || reader.nullBranch >= 0) {
    const branch = input.long()
    if (branch !== reader.valueBranch) {
      if (branch === reader.nullBranch) builder.appendNull()
      else input.fail('a union has no such branch')
      return
    }
  }
  reader.read(input, builder, reader)
}

export const readNull: Read = (_, builder) => builder.appendNull()

export const readBoolean: Read = (input, builder) =>
  (builder as BoolBuilder).append(input.boolean())

export const readInt: Read = (input, builder) => (builder as Int32Builder).append(input.int())

export const readLong: Read = (input, builder) => {
  const value = input.long()
  if (Number.isNaN(value)) (builder as NumberBuilder).appendBigInt(input.wide)
  else (builder as NumberBuilder).append(value)
}

/** int → long, double: the same value. */
export const readIntAsNumber: Read = (input, builder) =>
  (builder as NumberBuilder).append(input.int())

export const readLongAsDouble: Read = (input, builder) => {
  const value = input.long()
  const number = Number.isNaN(value) ? Number(input.wide) : value
  if (Number.isNaN(value) && BigInt(number) !== input.wide)
    input.fail('a long that a double cannot hold')
  ;(builder as NumberBuilder).append(number)
}

export const readLongAsFloat: Read = (input, builder) => {
  const value = input.long()
  const number = Number.isNaN(value) ? Number(input.wide) : value
  const isExact = Number.isNaN(value) ? BigInt(number) === input.wide : true
  if (!isExact || Math.fround(number) !== number) input.fail('an integer that a float cannot hold')
  ;(builder as NumberBuilder).append(number)
}

export const readFloat: Read = (input, builder) => (builder as NumberBuilder).append(input.float())

export const readDouble: Read = (input, builder) =>
  (builder as NumberBuilder).append(input.double())

export const readBytes: Read = (input, builder) => {
  const start = input.sized()
  if (input.fault === null) (builder as BytesBuilder).append(input.bytes, start, input.at)
}

export const readFixed: Read = (input, builder, { type }) => {
  const start = input.fixed(type.kind === 'fixed' ? type.size : 0)
  if (input.fault === null) (builder as BytesBuilder).append(input.bytes, start, input.at)
}

export const readText: Read = (input, builder) => {
  const start = input.sized()
  if (input.fault !== null) return
  if (!appendText(builder as BytesBuilder, input.bytes, start, input.at))
    input.fail('a text is not UTF-8')
}

export const readEnum: Read = (input, builder, { type }) => {
  const index = input.int()
  const text = type.kind === 'enum' ? type.texts[index] : undefined
  if (input.fault !== null) return
  if (text === undefined) input.fail('an enum has no such symbol')
  else (builder as BytesBuilder).append(text, 0, text.length)
}

export const readUuidFixed: Read = (input, builder) => {
  const start = input.fixed(16)
  if (input.fault !== null) return
  const to = (builder as Fixed16Builder).reserve()
  const { bytes } = builder as Fixed16Builder
  for (let i = 0; i < 16; i++) bytes[to + i] = input.bytes[start + i]!
}

/** 8-4-4-4-12 hexadecimal digits, as RFC 9562 §4 writes them. */
export const readUuidText: Read = (input, builder) => {
  let at = input.sized()
  if (input.fault !== null) return
  let wrong = input.at - at === 36 ? 0 : -1
  const to = (builder as Fixed16Builder).reserve()
  const { bytes } = builder as Fixed16Builder
  for (let i = 0; wrong >= 0 && i < 16; i++) {
    if ((i === 4 || i === 6 || i === 8 || i === 10) && input.bytes[at++] !== 0x2d) wrong = -1
    const high = hexDigit(input.bytes[at++]!)
    const low = hexDigit(input.bytes[at++]!)
    // A digit that is none is −1.
    wrong |= high | low
    bytes[to + i] = (high << 4) | low
  }
  if (wrong < 0) input.fail('a text is no UUID')
}

/** −1 where the byte is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

export const readDate: Read = (input, builder) => {
  const day = input.int()
  // In a column these two stand for ±infinity.
  if (day === 0x7fff_ffff || day === -0x8000_0000) input.fail('a date is out of range')
  ;(builder as Int32Builder).append(day)
}

export const readTimeMillis: Read = (input, builder) => appendTime(input, builder, 1000)
export const readTimeMicros: Read = (input, builder) => appendTime(input, builder, 1)

function appendTime(input: AvroInput, builder: AnyBuilder, unitUs: number): void {
  const us = input.long() * unitUs
  if (!(us >= 0 && us <= dayUs)) input.fail('a time of day is out of range')
  else (builder as NumberBuilder).append(us)
}

export const readTimestampMillis: Read = (input, builder) => {
  const ms = input.long()
  if (ms >= -thousandMax && ms <= thousandMax) return (builder as NumberBuilder).append(ms * 1000)
  appendWide(input, builder, (Number.isNaN(ms) ? input.wide : BigInt(ms)) * 1000n)
}

export const readTimestampMicros: Read = (input, builder) => {
  const us = input.long()
  if (Number.isNaN(us)) appendWide(input, builder, input.wide)
  else (builder as NumberBuilder).append(us)
}

function appendWide(input: AvroInput, builder: AnyBuilder, us: bigint): void {
  // In a column the two ends of the range stand for ±infinity.
  if (us >= int64Max || us <= -int64Max - 1n) input.fail('a timestamp is out of range')
  else (builder as NumberBuilder).appendBigInt(us)
}

/** Months, days and milliseconds, each 32 bits without a sign, little-endian. */
export const readDuration: Read = (input, builder) => {
  const months = input.uint32()
  const days = input.uint32()
  const us = input.uint32() * 1000
  if (months > 0x7fff_ffff || days > 0x7fff_ffff) input.fail('a duration is out of range')
  if (input.fault !== null) return
  const to = (builder as Fixed16Builder).reserve()
  const { bytes } = builder as Fixed16Builder
  writeUint32(bytes, to, months)
  writeUint32(bytes, to + 4, days)
  writeUint32(bytes, to + 8, us >>> 0)
  writeUint32(bytes, to + 12, Math.floor(us / 4_294_967_296))
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export const readJson: Read = (input, builder, { type }) => {
  if (type.kind === 'null') return builder.appendNull()
  if (type.kind === 'union') {
    const start = input.at
    if (type.branches[input.long()]?.kind === 'null') return builder.appendNull()
    input.at = start
  }
  json.end = 0
  writeJson(input, type, json, 0)
  if (input.fault === null) json.appendTo(builder as BytesBuilder)
}

export const readList: Read = (input, builder, { element }) => {
  const list = builder as ListBuilder<AnyBuilder>
  for (;;) {
    const items = input.block()
    if (items === 0) break
    for (let i = 0; i < items && input.fault === null; i++) {
      readValue(input, list.child, element!)
    }
  }
  list.endList()
}
