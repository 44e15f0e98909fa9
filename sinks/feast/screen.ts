/**
 * Looks at a column before it is encoded: which of its values have no place in their Feast type. They are
 * refused, never changed. Most pairs of types need no look at all. Hot.
 */
import { isUtf8 } from 'node:buffer'
import { isNull, type BytesColumn, type Column } from '../../core/record/column.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from '../../core/record/types.ts'
import { numberAt } from '../../core/record/value.ts'
import { microsAt, secondsAt } from './layout/seconds.ts'
import { secondsMax, secondsMin } from './layout/timestamp.ts'
import type { FeastType } from './types.ts'

/** Sets bad[row] where the value of the row does not fit; nulls always do. */
export function screenColumn(
  column: Column,
  logical: LogicalType,
  type: FeastType,
  bad: Uint8Array,
): void {
  if (type.kind === 'list') return screenLists(column, logical, type, bad)
  switch (type.name) {
    case 'string':
    case 'json':
      return screenTexts(column, bad)
    case 'unix_timestamp':
      return screenMoments(column, logical, { wholeSeconds: true }, bad)
    case 'int64':
      if (logical.kind === 'uint64') return screenUnsigned(column, bad)
      if (logical.kind === 'timestamp' || logical.kind === 'timestamptz') {
        return screenInfinities(column, bad)
      }
      return
    default:
  }
}

/** Event times: any moment of the years 1 to 9999, with its microseconds. */
export function screenEventTimes(column: Column, logical: LogicalType, bad: Uint8Array): void {
  screenMoments(column, logical, { wholeSeconds: false }, bad)
  markNulls(column, bad)
}

export function markNulls(column: Column, bad: Uint8Array): void {
  if (column.validity === null) return
  for (let row = 0; row < bad.length; row++) if (isNull(column, row)) bad[row] = 1
}

function screenUnsigned(column: Column, bad: Uint8Array): void {
  if (column.encoding !== 'uint64') return
  const { values } = column
  for (let row = 0; row < bad.length; row++) if (values[row]! > timestampInfinity) bad[row] = 1
}

function screenInfinities(column: Column, bad: Uint8Array): void {
  if (column.encoding !== 'float64' && column.encoding !== 'int64') return
  for (let row = 0; row < bad.length; row++) if (isInfinite(column.values[row]!)) bad[row] = 1
}

function isInfinite(value: number | bigint): boolean {
  return typeof value === 'number'
    ? !Number.isFinite(value)
    : value === timestampInfinity || value === timestampNegativeInfinity
}

function screenMoments(
  column: Column,
  logical: LogicalType,
  { wholeSeconds }: { readonly wholeSeconds: boolean },
  bad: Uint8Array,
): void {
  for (let row = 0; row < bad.length; row++) {
    if (isNull(column, row)) continue
    const value = numberAt(column, row)
    const infinite =
      logical.kind === 'date'
        ? value === dateInfinity || value === dateNegativeInfinity
        : isInfinite(value)
    if (infinite) {
      bad[row] = 1
      continue
    }
    const seconds = secondsAt(logical, column, row)
    if (seconds < secondsMin || seconds > secondsMax) bad[row] = 1
    else if (wholeSeconds && microsAt(logical, column, row) !== 0) bad[row] = 1
  }
}

/** Readers refuse a message whose text is not UTF-8, and with it all features of the entity. */
function screenTexts(column: Column, bad: Uint8Array): void {
  if (column.encoding === 'dictionary') {
    const badCodes = new Uint8Array(column.dictionary.length)
    screenTexts(column.dictionary, badCodes)
    if (!badCodes.includes(1)) return
    const { codes } = column
    for (let row = 0; row < bad.length; row++) {
      if (badCodes[codes[row]!] === 1 && !isNull(column, row)) bad[row] = 1
    }
  } else if (column.encoding === 'bytes' && !allUtf8(column)) {
    const { offsets, data } = column
    for (let row = 0; row < bad.length; row++) {
      if (!isUtf8(data.subarray(offsets[row]!, offsets[row + 1]!))) bad[row] = 1
    }
  }
}

/** All values at once: they are one text, and none begins inside a character. */
function allUtf8({ length, offsets, data }: BytesColumn): boolean {
  if (!isUtf8(data.subarray(0, offsets[length]!))) return false
  for (let row = 0; row <= length; row++) {
    const at = offsets[row]!
    if (at < data.length && (data[at]! & 0xc0) === 0x80) return false
  }
  return true
}

/** A list has no place for a null inside, nor for more than one dimension, of which we have the text only. */
function screenLists(
  column: Column,
  logical: LogicalType,
  type: FeastType & { readonly kind: 'list' },
  bad: Uint8Array,
): void {
  if (column.encoding !== 'list' || logical.kind !== 'list') {
    for (let row = 0; row < bad.length; row++) if (!isNull(column, row)) bad[row] = 1
    return
  }
  const { child, offsets } = column
  const badItems = new Uint8Array(child.length)
  markNulls(child, badItems)
  screenColumn(child, logical.element, type.element, badItems)
  if (!badItems.includes(1)) return
  for (let row = 0; row < bad.length; row++) {
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) if (badItems[i] === 1) bad[row] = 1
  }
}
