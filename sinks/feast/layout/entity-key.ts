/**
 * Entity keys, serialization version 3 (feast 0.67, infra/key_encoding_utils.py). Numbers are
 * little-endian; the join keys stand in the order of their code points, the values in the same order.
 *
 *   key   = u32 count · name* · value*
 *   name  = u32 2 · u32 length · UTF-8
 *   value = u32 type · u32 length · bytes
 *   type  = 1 bytes · 2 string, UTF-8 · 3 int32 · 4 int64 · 8 unix timestamp, int64 seconds
 *
 * Feast has no other types of entities: it raises an error for them. Hot.
 */
import { isNull, type Column } from '../../../core/record/column.ts'
import { bytesAt, numberAt, textAt } from '../../../core/record/value.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import type { BytesOut } from '../bytes-out.ts'
import { secondsAt } from './seconds.ts'

export type EntityType = 'bytes' | 'string' | 'int32' | 'int64' | 'unix_timestamp'

/** `ValueType.Enum` in feast's Value.proto. */
const typeNumbers: Readonly<Record<EntityType, number>> = {
  bytes: 1,
  string: 2,
  int32: 3,
  int64: 4,
  unix_timestamp: 8,
}

export interface EntityColumn {
  /** Join key and column. */
  readonly name: string
  /** Index of the field in the topic's schema. */
  readonly index: number
  readonly logical: LogicalType
  readonly type: EntityType
}

const encoder = new TextEncoder()

/** By code points, as Python sorts texts; JavaScript sorts by UTF-16 units, which differs beyond U+FFFF. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** What all keys of these entities begin with; `names` in the order of `compareNames`. */
export function entityKeyPrefix(names: readonly string[]): Uint8Array {
  const parts = [u32(names.length)]
  for (const name of names) {
    const bytes = encoder.encode(name)
    parts.push(u32(typeNumbers.string), u32(bytes.length), bytes)
  }
  return new Uint8Array(Buffer.concat(parts))
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

/** Appends the value of one entity in one row, which must be one that its type holds (screen.ts). */
export function writeEntityValue(
  out: BytesOut,
  entity: EntityColumn,
  column: Column,
  row: number,
): void {
  out.ensure(16)
  out.view.setUint32(out.end, typeNumbers[entity.type], true)
  switch (entity.type) {
    case 'int32':
      out.view.setUint32(out.end + 4, 4, true)
      out.view.setInt32(out.end + 8, Number(numberAt(column, row)), true)
      out.end += 12
      return
    case 'int64':
    case 'unix_timestamp': {
      const value =
        entity.type === 'int64' ? numberAt(column, row) : secondsAt(entity.logical, column, row)
      out.view.setUint32(out.end + 4, 8, true)
      if (typeof value === 'bigint') out.view.setBigInt64(out.end + 8, value, true)
      else {
        out.view.setUint32(out.end + 8, value, true)
        out.view.setInt32(out.end + 12, Math.floor(value / 0x1_0000_0000), true)
      }
      out.end += 16
      return
    }
    case 'string':
    case 'bytes':
      return writeText(out, entity, column, row)
  }
}

function writeText(out: BytesOut, entity: EntityColumn, column: Column, row: number): void {
  if (column.encoding === 'dictionary' && !isNull(column, row))
    return writeText(out, entity, column.dictionary, column.codes[row]!)
  const bytes =
    column.encoding === 'bytes' ? null : encoder.encode(textAt(entity.logical, column, row)!)
  const source = bytes ?? bytesAt(column, row)
  const length = source.length
  out.view.setUint32(out.end + 4, length, true)
  out.end += 8
  out.ensure(length)
  out.copy(source, 0, length)
}
