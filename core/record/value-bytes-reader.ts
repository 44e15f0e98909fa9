/** Reads what value-bytes.ts wrote (its grammar is there): slots one after the other, and whole columns of values. */
import { builderFor, Fixed16Builder, NumberBuilder, type AnyBuilder } from './builder.ts'
import { BytesBuilder } from './bytes-builder.ts'
import type { Column } from './column.ts'
import { DecimalBuilder } from './decimal-builder.ts'
import { ListBuilder } from './list-builder.ts'
import { timestampInfinity, timestampNegativeInfinity, type LogicalType } from './types.ts'
import { textAt } from './value.ts'
import { asText } from './value-bytes.ts'

const two32 = 4_294_967_296
/** The upper half of an integer beyond which a double would not be exact. */
const safeHigh = 0x1fffff

/** Walks over slots. */
export class SlotReader {
  bytes: Uint8Array
  at: number
  /** Of the slot that `next` read: its value's place; −1 as `start` is null. */
  start = 0
  end = 0

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }
  get done(): boolean {
    return this.at >= this.bytes.length
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.bytes[this.at++]
      if (byte === undefined) throw new RangeError('bytes of values end early')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  next(): void {
    const size = this.varint()
    if (size === 0) {
      this.start = -1
      this.end = -1
      return
    }
    this.start = this.at
    this.end = this.at + size - 1
    if (this.end > this.bytes.length) throw new RangeError('bytes of values end early')
    this.at = this.end
  }
}

/** Where the values of one field are: value i is `bytes[i][starts[i], ends[i])`; null where `starts[i]` is −1. */
export interface ValuePlaces {
  readonly bytes: readonly Uint8Array[]
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** The column of those values. */
export function columnOfValues(type: LogicalType, places: ValuePlaces): Column {
  if (type.kind === 'list' && holdsListText(places)) return listTexts(type, places)
  const { bytes, starts, ends } = places
  const builder = builderFor(type)
  for (let i = 0; i < starts.length; i++) {
    if (starts[i]! < 0) builder.appendNull()
    else appendBytesValue(builder, type, bytes[i]!, starts[i]!, ends[i]!)
  }
  return builder.finish()
}

function appendBytesValue(
  builder: AnyBuilder,
  type: LogicalType,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (builder instanceof BytesBuilder) builder.append(bytes, start, end)
  else if (builder instanceof NumberBuilder) appendNumberValue(builder, type, bytes, start)
  else if (builder instanceof DecimalBuilder) {
    if (bytes[start] === asText) builder.appendText(bytes, start + 1, end)
    else builder.appendScaled(integerAt(bytes, start + 1, false))
  } else if (builder instanceof Fixed16Builder) {
    const at = builder.reserve()
    builder.bytes.set(bytes.subarray(start, end), at)
  } else if (builder instanceof ListBuilder) {
    if (type.kind !== 'list') throw new TypeError(`a list is no ${type.kind}`)
    const reader = new SlotReader(bytes.subarray(0, end), start + 1)
    while (!reader.done) {
      reader.next()
      if (reader.start < 0) builder.child.appendNull()
      else
        appendBytesValue(builder.child as AnyBuilder, type.element, bytes, reader.start, reader.end)
    }
    builder.endList()
  } else builder.append(end - start === 1 ? bytes[start]! : int32At(bytes, start))
}

function appendNumberValue(
  builder: NumberBuilder,
  type: LogicalType,
  bytes: Uint8Array,
  start: number,
): void {
  switch (type.kind) {
    case 'float32':
    case 'float64':
    case 'time':
      return builder.append(float64At(bytes, start))
    default: {
      const value = integerAt(bytes, start, type.kind === 'uint64')
      if (typeof value === 'number') return builder.append(value)
      // A double says infinity as itself, so that the batch's column need not go wide for it.
      const timed = type.kind === 'timestamp' || type.kind === 'timestamptz'
      if (timed && value === timestampInfinity) return builder.append(Infinity)
      if (timed && value === timestampNegativeInfinity) return builder.append(-Infinity)
      return builder.appendBigInt(value)
    }
  }
}

/** A double where it holds the value exactly. */
function integerAt(bytes: Uint8Array, at: number, unsigned: boolean): number | bigint {
  const low = int32At(bytes, at) >>> 0
  const high = int32At(bytes, at + 4)
  if (high <= safeHigh && high > -safeHigh && (high >= 0 || !unsigned)) return high * two32 + low
  return (BigInt(unsigned ? high >>> 0 : high) << 32n) | BigInt(low)
}

function int32At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

const scratch = new Float64Array(1)
const scratchBytes = new Uint8Array(scratch.buffer)

function float64At(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) scratchBytes[i] = bytes[at + i]!
  return scratch[0]!
}

function holdsListText({ bytes, starts }: ValuePlaces): boolean {
  return starts.some((start, i) => start >= 0 && bytes[i]![start] === asText)
}

/** All as exact texts, because one of them can be nothing else. */
function listTexts(type: LogicalType, { bytes, starts, ends }: ValuePlaces): Column {
  const builder = new BytesBuilder()
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i]!
    if (start < 0) builder.appendNull()
    else if (bytes[i]![start] === asText) builder.append(bytes[i]!, start + 1, ends[i]!)
    else {
      const one = builderFor(type)
      appendBytesValue(one, type, bytes[i]!, start, ends[i]!)
      builder.appendString(textAt(type, one.finish(), 0)!)
    }
  }
  return builder.finish()
}
