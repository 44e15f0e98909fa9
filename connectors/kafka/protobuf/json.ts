/**
 * A message as JSON text, in Protobuf's JSON mapping (protobuf.dev, "ProtoJSON Format"): names in
 * lowerCamelCase, 64-bit integers as strings, bytes as base64, enums by name, times in RFC 3339. Fields
 * without presence are written even where they have their default value, as printers do when they are
 * asked to: a column of JSON has no schema beside it that would tell. The value of an Any is base64:
 * its type may be in no schema that is known.
 */
import { isoTimestamp } from '../../../core/record/json.ts'
import { jsonBytesMax, type JsonOut } from '../json-out.ts'
import type { ProtoField, ProtoMessage } from './model.ts'
import { none, type Occurrences } from './occurrences.ts'
import { bigOf, isDuration, isTimestamp, writeDefault, writePlain } from './scalars.ts'

/** As Protobuf's own readers have it. */
const depthMax = 100
const comma = 0x2c
const colon = 0x3a

/** The message whose payloads are `chain`. */
export function writeMessage(
  occurrences: Occurrences,
  message: ProtoMessage,
  chain: number,
  out: JsonOut,
  depth: number,
): void {
  const { input } = occurrences
  if (depth > depthMax) return input.fail(`a value is nested deeper than ${depthMax} levels`)
  if (out.end > jsonBytesMax) return input.fail('a value becomes too long as JSON')
  const frame = occurrences.open(message, chain)
  if (input.fault === null) {
    if (message.wellKnown === null) writeFields(occurrences, message, frame, out, depth)
    else writeWellKnown(occurrences, message, frame, out, depth)
  }
  occurrences.close(frame)
}

function writeFields(
  occurrences: Occurrences,
  message: ProtoMessage,
  frame: number,
  out: JsonOut,
  depth: number,
): void {
  out.byte(0x7b)
  let isFirst = true
  for (const field of message.fields) {
    const isThere = occurrences.first(frame, field) !== none
    if (!isThere && field.isRequired) {
      return occurrences.input.fail(`${field.name} is required and not there`)
    }
    if (!isThere && field.hasPresence) continue
    if (!isFirst) out.byte(comma)
    isFirst = false
    out.raw(field.label)
    writeField(occurrences, field, frame, out, depth)
    if (occurrences.input.fault !== null) return
  }
  out.byte(0x7d)
}

/** The value of a field, or what stands for it when it is not there. */
export function writeField(
  occurrences: Occurrences,
  field: ProtoField,
  frame: number,
  out: JsonOut,
  depth: number,
): void {
  const first = occurrences.first(frame, field)
  if (field.isMap) return writeMap(occurrences, field, first, out, depth)
  if (field.isRepeated) return writeRepeated(occurrences, field, first, out, depth)
  const { type } = field
  // All payloads of a message are one message.
  if (type.kind === 'message') return writeMessage(occurrences, type.message, first, out, depth + 1)
  const last = occurrences.last(frame, field)
  if (last === none) return writeDefault(type, out)
  occurrences.input.at = occurrences.starts[last]!
  writePlain(occurrences.input, type, out, occurrences.ends[last]!)
}

function writeRepeated(
  occurrences: Occurrences,
  { type, wire }: ProtoField,
  first: number,
  out: JsonOut,
  depth: number,
): void {
  const { input } = occurrences
  let isFirst = true
  out.byte(0x5b)
  for (let at = first; at !== none && input.fault === null; at = occurrences.nexts[at]!) {
    const end = occurrences.ends[at]!
    if (type.kind === 'message') {
      if (!isFirst) out.byte(comma)
      isFirst = false
      writeMessage(occurrences, type.message, alone(occurrences, at), out, depth + 1)
      continue
    }
    input.at = occurrences.starts[at]!
    // A packed run may be empty; every other payload is one value.
    const isRun = wire !== 2 && occurrences.wires[at] === 2
    let isLeft = !isRun || input.at < end
    while (isLeft && input.fault === null) {
      if (!isFirst) out.byte(comma)
      isFirst = false
      writePlain(input, type, out, end)
      isLeft = isRun && input.at < end
    }
  }
  out.byte(0x5d)
}

/** A payload as a chain of its own. */
function alone(occurrences: Occurrences, at: number): number {
  return occurrences.whole(occurrences.starts[at]!, occurrences.ends[at]!)
}

function writeMap(
  occurrences: Occurrences,
  { type }: ProtoField,
  first: number,
  out: JsonOut,
  depth: number,
): void {
  const { input } = occurrences
  if (type.kind !== 'message') return
  const { message } = type
  // Of two entries with one key the last one counts; readers of JSON do not agree on that.
  const entries = new Map<string, number>()
  for (let at = first; at !== none && input.fault === null; at = occurrences.nexts[at]!) {
    const entry = alone(occurrences, at)
    const frame = occurrences.open(message, entry)
    if (input.fault === null) entries.set(keyText(occurrences, message, frame, out), entry)
    occurrences.close(frame)
  }
  out.byte(0x7b)
  let isFirst = true
  for (const [key, entry] of entries) {
    if (input.fault !== null) return
    if (!isFirst) out.byte(comma)
    isFirst = false
    out.raw(key)
    out.byte(colon)
    const frame = occurrences.open(message, entry)
    writeField(occurrences, message.fields[1]!, frame, out, depth)
    occurrences.close(frame)
  }
  out.byte(0x7d)
}

/** Keys are strings in JSON, whatever they are. */
function keyText(
  occurrences: Occurrences,
  message: ProtoMessage,
  frame: number,
  out: JsonOut,
): string {
  const start = out.end
  writeField(occurrences, message.fields[0]!, frame, out, 0)
  const text = out.since(start)
  out.end = start
  return text.startsWith('"') ? text : `"${text}"`
}

function writeWellKnown(
  occurrences: Occurrences,
  message: ProtoMessage,
  frame: number,
  out: JsonOut,
  depth: number,
): void {
  const [first] = message.fields
  switch (message.wellKnown) {
    case 'Timestamp':
    case 'Duration':
      return writeTime(occurrences, message, frame, out)
    case 'Value':
      return writeValue(occurrences, message, frame, out, depth)
    case 'FieldMask':
      return writeMask(occurrences, first!, frame, out)
    case 'Any':
      out.raw('{"@type":')
      writeField(occurrences, first!, frame, out, depth)
      out.raw(',"value":')
      writeField(occurrences, message.fields[1]!, frame, out, depth)
      return out.byte(0x7d)
    default:
      // A wrapper is its value; a Struct is its map; a ListValue is its list.
      return writeField(occurrences, first!, frame, out, depth)
  }
}

/** A value that is none of its kinds is null. */
function writeValue(
  occurrences: Occurrences,
  message: ProtoMessage,
  frame: number,
  out: JsonOut,
  depth: number,
): void {
  const kind = message.fields.find((field) => occurrences.first(frame, field) !== none)
  if (kind === undefined || kind.type.kind === 'enum') out.raw('null')
  else writeField(occurrences, kind, frame, out, depth)
}

function writeTime(
  occurrences: Occurrences,
  message: ProtoMessage,
  frame: number,
  out: JsonOut,
): void {
  const seconds = readInteger(occurrences, message.fields[0]!, frame)
  const nanos = Number(readInteger(occurrences, message.fields[1]!, frame))
  const digits = String(Math.abs(nanos))
    .padStart(9, '0')
    .replace(/(?:000){1,3}$/, '')
  const fraction = digits === '' ? '' : `.${digits}`
  if (message.wellKnown === 'Timestamp') {
    if (!isTimestamp(seconds, nanos)) return occurrences.input.fail('a Timestamp is out of range')
    return out.raw(`"${isoTimestamp(seconds * 1_000_000n, '').slice(0, 19)}${fraction}Z"`)
  }
  if (!isDuration(seconds, nanos)) return occurrences.input.fail('a Duration is out of range')
  const sign = seconds < 0n || nanos < 0 ? '-' : ''
  out.raw(`"${sign}${seconds < 0n ? -seconds : seconds}${fraction}s"`)
}

/** Paths in lowerCamelCase, joined by commas. */
function writeMask(occurrences: Occurrences, paths: ProtoField, frame: number, out: JsonOut): void {
  const { input } = occurrences
  const texts: string[] = []
  for (let at = occurrences.first(frame, paths); at !== none; at = occurrences.nexts[at]!) {
    const text = Buffer.from(input.bytes.subarray(occurrences.starts[at], occurrences.ends[at]))
    texts.push(text.toString().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
  }
  out.quoted(texts.join(','))
}

/** The value of a singular integer field, by its two halves; 0 where it is not there. */
export function readInteger(occurrences: Occurrences, field: ProtoField, frame: number): bigint {
  const last = occurrences.last(frame, field)
  if (last === none) return 0n
  const { input } = occurrences
  input.at = occurrences.starts[last]!
  input.varint(occurrences.ends[last]!)
  return bigOf(input.low, input.high)
}
