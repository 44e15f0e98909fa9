/**
 * An Avro value as JSON text: records and maps are objects, arrays are arrays, everything else looks as
 * it does in core/record/json.ts. A union's value stands alone where JSON tells its branches apart
 * (string and int; null and record), and as Avro's own JSON encoding writes it, `{"branch": value}`,
 * where it does not (two records, int and double, string and
 * bytes; string and long, since a large long is a string too).
 */
import { clock, isoDate, isoInterval, isoTimestamp } from '../../../core/record/json.ts'
import { scaledText } from '../../../core/record/decimal-builder.ts'
import { dayUs } from '../../../core/record/calendar.ts'
import { jsonBytesMax, type JsonOut } from '../json-out.ts'
import { decimalAt } from './decimal.ts'
import type { AvroInput } from './input.ts'
import { branchName, branchesOf, type AvroLogical, type AvroType } from './types.ts'

const depthMax = 64
const comma = 0x2c
const int64Max = 0x7fff_ffff_ffff_ffffn

export function writeJson(input: AvroInput, type: AvroType, out: JsonOut, depth: number): void {
  if (depth > depthMax) {
    input.fail(`a value is nested deeper than ${depthMax} levels`)
    return
  }
  if (out.end > jsonBytesMax) {
    input.fail('a value becomes too long as JSON')
    return
  }
  switch (type.kind) {
    case 'record':
      out.byte(0x7b)
      for (let i = 0; i < type.fields.length && input.fault === null; i++) {
        const field = type.fields[i]!
        if (i > 0) out.byte(comma)
        out.raw(field.label)
        writeJson(input, field.type, out, depth + 1)
      }
      return out.byte(0x7d)
    case 'array':
      return writeItems(input, type.items, out, depth)
    case 'map':
      return writeEntries(input, type.values, out, depth)
    case 'union':
      return writeUnion(input, type, out, depth)
    default:
      return writeScalar(input, type, out)
  }
}

function writeItems(input: AvroInput, items: AvroType, out: JsonOut, depth: number): void {
  out.byte(0x5b)
  let isFirst = true
  for (let left = input.block(); left > 0; left = input.block()) {
    for (; left > 0 && input.fault === null; left--) {
      if (!isFirst) out.byte(comma)
      isFirst = false
      writeJson(input, items, out, depth + 1)
    }
  }
  out.byte(0x5d)
}

function writeEntries(input: AvroInput, values: AvroType, out: JsonOut, depth: number): void {
  out.byte(0x7b)
  let isFirst = true
  for (let left = input.block(); left > 0; left = input.block()) {
    for (; left > 0 && input.fault === null; left--) {
      if (!isFirst) out.byte(comma)
      isFirst = false
      writeText(input, out)
      out.byte(0x3a)
      writeJson(input, values, out, depth + 1)
    }
  }
  out.byte(0x7d)
}

type Union = AvroType & { readonly kind: 'union' }

function writeUnion(input: AvroInput, union: Union, out: JsonOut, depth: number): void {
  const branch = union.branches[input.long()]
  if (input.fault !== null) return
  if (branch === undefined) {
    input.fail('a union has no such branch')
    return
  }
  if (branch.kind === 'null' || !needsNames(union)) return writeJson(input, branch, out, depth + 1)
  out.byte(0x7b)
  out.quoted(branchName(branch))
  out.byte(0x3a)
  writeJson(input, branch, out, depth + 1)
  out.byte(0x7d)
}

const unionsWithNames = new WeakMap<Union, boolean>()

function needsNames(union: Union): boolean {
  let needs = unionsWithNames.get(union)
  if (needs === undefined) {
    const shapes = branchesOf(union).flatMap(shapesOf)
    needs = new Set(shapes).size < shapes.length
    unionsWithNames.set(union, needs)
  }
  return needs
}

/** What a JSON reader may see of a value: a large long and a double that is NaN are strings. */
function shapesOf(type: AvroType): readonly string[] {
  switch (type.kind) {
    case 'boolean':
      return ['boolean']
    case 'array':
      return ['array']
    case 'record':
    case 'map':
      return ['object']
    case 'int':
      return [type.logical === null ? 'number' : 'string']
    case 'long':
      return type.logical === null ? ['number', 'string'] : ['string']
    case 'float':
    case 'double':
      return ['number', 'string']
    default:
      return ['string']
  }
}

function writeText(input: AvroInput, out: JsonOut): void {
  const start = input.sized()
  if (input.fault === null && !out.text(input.bytes, start, input.at))
    input.fail('a text is not UTF-8')
}

function writeScalar(input: AvroInput, type: AvroType, out: JsonOut): void {
  switch (type.kind) {
    case 'null':
      return out.raw('null')
    case 'boolean':
      return out.raw(input.boolean() === 1 ? 'true' : 'false')
    case 'int':
      return writeInteger(input, type.logical, input.int(), out)
    case 'long': {
      const value = input.long()
      return writeInteger(input, type.logical, Number.isNaN(value) ? input.wide : value, out)
    }
    case 'float':
      return out.float32(input.float())
    case 'double':
      return out.float64(input.double())
    case 'string':
      return writeText(input, out)
    case 'bytes': {
      const start = input.sized()
      if (input.fault === null) out.base64(input.bytes, start, input.at)
      return
    }
    case 'enum': {
      const symbol = type.symbols[input.int()]
      if (symbol === undefined) input.fail('an enum has no such symbol')
      else out.quoted(symbol)
      return
    }
    case 'decimal':
      return out.raw(`"${scaledText(decimalAt(input, type), type.scale)}"`)
    default:
      return writeFixed(input, type, out)
  }
}

function writeFixed(input: AvroInput, type: AvroType, out: JsonOut): void {
  if (type.kind !== 'fixed') return
  if (type.logical === 'duration') {
    const months = input.uint32()
    const days = input.uint32()
    const us = BigInt(input.uint32()) * 1000n
    return out.raw(`"${isoInterval({ months, days, us })}"`)
  }
  const start = input.fixed(type.size)
  if (input.fault !== null) return
  if (type.logical === 'uuid') out.uuid(input.bytes, start)
  else out.base64(input.bytes, start, input.at)
}

function writeInteger(
  input: AvroInput,
  logical: AvroLogical | null,
  value: number | bigint,
  out: JsonOut,
): void {
  switch (logical) {
    case 'date':
      return out.raw(`"${isoDate(Number(value))}"`)
    case 'time-millis':
    case 'time-micros': {
      const us = Number(value) * (logical === 'time-millis' ? 1000 : 1)
      if (us >= 0 && us <= dayUs) out.raw(`"${clock(us)}"`)
      else input.fail('a time of day is out of range')
      return
    }
    case 'timestamp-millis':
    case 'timestamp-micros':
    case 'local-timestamp-millis':
    case 'local-timestamp-micros': {
      const us = BigInt(value) * (logical.endsWith('millis') ? 1000n : 1n)
      // The two ends of the range stand for ±infinity.
      if (us >= int64Max || us <= -int64Max - 1n) {
        input.fail('a timestamp is out of range')
        return
      }
      return out.raw(`"${isoTimestamp(us, logical.startsWith('local') ? '' : 'Z')}"`)
    }
    default:
      return out.integer(value)
  }
}
