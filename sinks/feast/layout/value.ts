/**
 * Columns → Feast values: `feast.types.Value` in protobuf's encoding (feast 0.67,
 * protos/feast/types/Value.proto), byte for byte as Python's protobuf writes them. Hot: one loop a column.
 *
 *   value    = [ tag payload ]                 nothing at all: null
 *   tag      = varint(field number << 3 | wire type)
 *   field    = 1 bytes · 2 string · 3 int32 · 4 int64 · 5 double · 6 float · 7 bool · 8 unix timestamp
 *              32 json · 36 uuid · 44 decimal
 *   list     = 11 bytes · 12 string · 13 int32 · 14 int64 · 15 double · 16 float · 17 bool ·
 *              18 unix timestamp · 33 json · 38 uuid · 45 decimal
 *   payload  = varint | 8 bytes | 4 bytes | length:varint bytes           by wire type 0 | 1 | 5 | 2
 *   list of numbers   = length [ 0x0a length number* ]     packed; nothing inside when it is empty
 *   list of texts     = length ( 0x0a length bytes )*
 *   list of lists     = 42 length ( 0x0a length value )*
 *
 * A value is written even when it is 0 or empty: the field is a member of a oneof.
 */
import type { Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { bytesAt, numberAt, textAt } from '../../../core/record/value.ts'
import { varintBytes, varintBytesMax, type BytesOut } from '../bytes-out.ts'
import type { FeastType, ScalarName } from '../types.ts'
import { secondsAt } from './seconds.ts'

interface Wire {
  readonly field: number
  readonly listField: number
  readonly type: 0 | 1 | 2 | 5
}

const wires: Readonly<Record<ScalarName, Wire>> = {
  bytes: { field: 1, listField: 11, type: 2 },
  string: { field: 2, listField: 12, type: 2 },
  int32: { field: 3, listField: 13, type: 0 },
  int64: { field: 4, listField: 14, type: 0 },
  double: { field: 5, listField: 15, type: 1 },
  float: { field: 6, listField: 16, type: 5 },
  bool: { field: 7, listField: 17, type: 0 },
  unix_timestamp: { field: 8, listField: 18, type: 0 },
  json: { field: 32, listField: 33, type: 2 },
  uuid: { field: 36, listField: 38, type: 2 },
  decimal: { field: 44, listField: 45, type: 2 },
}
const valueListField = 42
const firstFieldTag = 0x0a
/** Room for a tag and a length before a payload whose length is not known yet. */
const headBytesMax = 2 + 5
const encoder = new TextEncoder()

export interface Values {
  readonly column: Column
  readonly logical: LogicalType
  readonly type: FeastType
}

/**
 * Appends the values of the rows named, one after the other, and writes where each ends to
 * `offsets[i + 1]`; `offsets[0]` is where the first begins. A row with −1 in `rows` is null.
 * Values must be ones that the type holds (screen.ts).
 */
export function writeValues(
  out: BytesOut,
  values: Values,
  rows: Int32Array,
  offsets: Int32Array,
): void {
  const { column, type } = values
  const { validity } = column
  offsets[0] = out.end
  const write = type.kind === 'list' ? writeListValue : scalarWriter(type.name, column)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row >= 0 && (validity === null || (validity[row >> 3]! & (1 << (row & 7))) !== 0)) {
      write(out, values, row)
    }
    offsets[i + 1] = out.end
  }
}

type WriteValue = (out: BytesOut, values: Values, row: number) => void

function scalarWriter(name: ScalarName, column: Column): WriteValue {
  if (wires[name].type !== 2) return writeNumber
  return column.encoding === 'bytes' || column.encoding === 'dictionary' ? writeBytes : writeText
}

function nameOf(type: FeastType): ScalarName {
  if (type.kind === 'list') throw new TypeError('a list where a single value was expected')
  return type.name
}

function writeNumber(out: BytesOut, { column, logical, type }: Values, row: number): void {
  const name = nameOf(type)
  const wire = wires[name]
  out.ensure(1 + varintBytesMax)
  out.bytes[out.end++] = (wire.field << 3) | wire.type
  writeBare(out, name, { column, logical }, row)
}

/** A number without its tag, as it stands in a packed list too. The room must be there. */
function writeBare(
  out: BytesOut,
  name: ScalarName,
  { column, logical }: Pick<Values, 'column' | 'logical'>,
  row: number,
): void {
  switch (name) {
    case 'double':
      out.view.setFloat64(out.end, Number(numberAt(column, row)), true)
      out.end += 8
      return
    case 'float':
      out.view.setFloat32(out.end, Number(numberAt(column, row)), true)
      out.end += 4
      return
    case 'unix_timestamp':
      return out.signedVarint(secondsAt(logical, column, row))
    default: {
      const value = numberAt(column, row)
      if (typeof value === 'number') out.signedVarint(value)
      else out.signedVarintOfBig(value)
    }
  }
}

/** Values that are kept as bytes already: texts, decimals as digits, binary. */
function writeBytes(out: BytesOut, { column, type }: Values, row: number): void {
  const { field } = wires[nameOf(type)]
  if (column.encoding === 'dictionary') {
    const { dictionary, codes } = column
    const code = codes[row]!
    const { offsets, data } = dictionary
    writeSpan(out, field, { data, from: offsets[code]!, end: offsets[code + 1]! })
  } else if (column.encoding === 'bytes') {
    const { offsets, data } = column
    writeSpan(out, field, { data, from: offsets[row]!, end: offsets[row + 1]! })
  }
}

interface Span {
  readonly data: Uint8Array
  readonly from: number
  readonly end: number
}

function writeSpan(out: BytesOut, field: number, { data, from, end }: Span): void {
  out.ensure(headBytesMax + end - from)
  out.varint((field << 3) | 2)
  out.varint(end - from)
  out.copy(data, from, end)
}

/** Values that become text only here: uuids, dates, numbers as texts. */
function writeText(out: BytesOut, { column, logical, type }: Values, row: number): void {
  const data = encoder.encode(textAt(logical, column, row)!)
  writeSpan(out, wires[nameOf(type)].field, { data, from: 0, end: data.length })
}

function writeListValue(out: BytesOut, { column, logical, type }: Values, row: number): void {
  if (type.kind !== 'list' || logical.kind !== 'list' || column.encoding !== 'list') {
    throw new TypeError(`a ${column.encoding} column where a list was expected`)
  }
  const { element } = type
  const items = { column: column.child, logical: logical.element, type: element }
  const from = column.offsets[row]!
  const end = column.offsets[row + 1]!
  const field = element.kind === 'list' ? valueListField : wires[element.name].listField
  const start = openBytes(out)
  if (element.kind === 'list') writeItems(out, items, from, end)
  else if (wires[element.name].type === 2) writeTexts(out, items, { from, end })
  else if (end > from) {
    const packed = openBytes(out)
    writePacked(out, items, from, end)
    closeBytes(out, packed, firstFieldTag)
  }
  closeBytes(out, start, (field << 3) | 2)
}

function writeItems(out: BytesOut, items: Values, from: number, end: number): void {
  for (let i = from; i < end; i++) {
    const start = openBytes(out)
    writeListValue(out, items, i)
    closeBytes(out, start, firstFieldTag)
  }
}

function writePacked(out: BytesOut, items: Values, from: number, end: number): void {
  const name = nameOf(items.type)
  out.ensure((end - from) * varintBytesMax)
  for (let i = from; i < end; i++) writeBare(out, name, items, i)
}

function writeTexts(
  out: BytesOut,
  { column, logical }: Values,
  { from, end }: { readonly from: number; readonly end: number },
): void {
  const asBytes = column.encoding === 'bytes' || column.encoding === 'dictionary'
  for (let i = from; i < end; i++) {
    const data = asBytes ? bytesAt(column, i) : encoder.encode(textAt(logical, column, i)!)
    writeSpan(out, firstFieldTag >> 3, { data, from: 0, end: data.length })
  }
}

/** Where a payload of unknown length begins, with room before it for its tag and length. */
function openBytes(out: BytesOut): number {
  out.ensure(headBytesMax)
  out.end += headBytesMax
  return out.end
}

/** Moves the payload to its place behind a tag and its length. */
function closeBytes(out: BytesOut, start: number, tag: number): void {
  const length = out.end - start
  const head = varintBytes(tag) + varintBytes(length)
  const at = start - headBytesMax
  out.bytes.copyWithin(at + head, start, out.end)
  out.end = at
  out.varint(tag)
  out.varint(length)
  out.end = at + head + length
}
