/**
 * Lists that a batch holds as their source's text, taken apart for an Array column: those of a column
 * in which some value has several dimensions (core/record/column.ts), and MySQL's sets.
 *
 *   list    = "{" [ element { "," element } ] "}"
 *   element = quoted | "NULL" | any text without '"', ',', '{', '}' and '\'
 *   quoted  = '"' { any character, with '"' and '\' escaped by '\' } '"'
 *   set     = [ label { "," label } ]
 *
 * (array_out, PostgreSQL 18; MySQL 8.4 manual §13.3.6: a label has no comma.) A list of several
 * dimensions, or one that does not begin at 1, is no Array(T) and is refused.
 */
import { makeBatch, type Batch } from '../../core/record/batch.ts'
import { BoolBuilder, builderFor, Int32Builder, NumberBuilder } from '../../core/record/builder.ts'
import { BytesBuilder } from '../../core/record/bytes-builder.ts'
import { dayNumber, dayUs } from '../../core/record/calendar.ts'
import { isNull, type Column } from '../../core/record/column.ts'
import { convertColumn } from '../../core/record/column-convert.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { textAt } from '../../core/record/value.ts'
import type { TablePlan } from './plan.ts'

export interface ReadBatch {
  /** Each Array column of it is a list. */
  readonly batch: Batch
  /** By column: rows whose text is no list of one dimension; they are empty lists in `batch`. */
  readonly unreadable: ReadonlyMap<number, readonly number[]>
}

const nothing: ReadonlyMap<number, readonly number[]> = new Map()

export function readLists(plan: TablePlan, batch: Batch): ReadBatch {
  const texts = plan.columns.flatMap(({ type: { storage } }, index) =>
    storage.kind === 'array' && batch.columns[index]!.encoding !== 'list'
      ? [{ index, of: storage.of }]
      : [],
  )
  if (texts.length === 0) return { batch, unreadable: nothing }
  const columns = [...batch.columns]
  const unreadable = new Map<number, readonly number[]>()
  for (const { index, of } of texts) {
    const { type } = plan.schema.fields[index]!
    const read = listColumn(type, columns[index]!, of)
    columns[index] = read.column
    unreadable.set(index, read.unreadable)
  }
  const { schema, weights, ops, timesUs } = batch
  return { batch: makeBatch(schema, columns, weights, ops, timesUs), unreadable }
}

function listColumn(type: LogicalType, column: Column, of: LogicalType) {
  const offsets = new Int32Array(column.length + 1)
  const elements = new BytesBuilder()
  const unreadable: number[] = []
  for (let row = 0; row < column.length; row++) {
    const text = isNull(column, row) ? null : textAt(type, column, row)!
    const parts = text === null ? [] : type.kind === 'list' ? listParts(text) : setParts(text)
    if (parts === null) unreadable.push(row)
    for (const part of parts ?? []) {
      if (part === null) elements.appendNull()
      else elements.appendString(part)
    }
    offsets[row + 1] = elements.length
  }
  const { child, refused } = elementColumn(elements.finish(), of)
  for (const element of refused) unreadable.push(rowOf(offsets, element))
  const { length, validity } = column
  const lists: Column = { encoding: 'list', length, validity, offsets, child }
  return { column: lists, unreadable }
}

function rowOf(offsets: Int32Array, element: number): number {
  let row = 0
  while (offsets[row + 1]! <= element) row++
  return row
}

function setParts(text: string): readonly string[] {
  return text === '' ? [] : text.split(',')
}

/** null = no list of one dimension that begins at 1. */
export function listParts(text: string): readonly (string | null)[] | null {
  if (!text.startsWith('{') || !text.endsWith('}')) return null
  if (text === '{}') return []
  const parts: (string | null)[] = []
  const element = /"((?:[^"\\]|\\.)*)"|([^",{}\\]+)/suy
  let at = 1
  for (;;) {
    element.lastIndex = at
    const found = element.exec(text)
    if (found === null) return null
    const [whole, quoted, plain] = found
    parts.push(
      plain === undefined ? quoted!.replace(/\\(.)/gsu, '$1') : plain === 'NULL' ? null : plain,
    )
    at += whole.length
    if (at === text.length - 1) return parts
    if (text[at++] !== ',') return null
  }
}

function elementColumn(texts: Column, of: LogicalType) {
  const read = readers[of.kind]
  if (read === undefined) {
    const { column: child, refused } = convertColumn({ kind: 'text' }, texts, of)
    return { child, refused }
  }
  const builder = builderFor(of)
  const refused: number[] = []
  for (let row = 0; row < texts.length; row++) {
    const text = textAt({ kind: 'text' }, texts, row)
    const value = text === null ? null : read(text)
    if (value === undefined) refused.push(row)
    if (value === null || value === undefined) builder.appendNull()
    else if (builder instanceof NumberBuilder && typeof value === 'bigint')
      builder.appendBigInt(value)
    else if (builder instanceof BytesBuilder && typeof value === 'string')
      builder.appendString(value)
    else if (
      builder instanceof BoolBuilder ||
      builder instanceof Int32Builder ||
      builder instanceof NumberBuilder
    )
      builder.append(Number(value))
  }
  return { child: builder.finish(), refused }
}

/** undefined where no value of the type stands; those that no reader is for are read as from text. */
type Reader = (text: string) => number | bigint | string | undefined

const readers: Partial<Record<LogicalType['kind'], Reader>> = {
  bool: (text) => (text === 't' ? 1 : text === 'f' ? 0 : undefined),
  float32: (text) => Number(text),
  float64: (text) => Number(text),
  date: (text) => {
    const moment = momentUs(`${text} 00:00:00`)
    return moment === undefined ? undefined : Number(moment / BigInt(dayUs))
  },
  timestamp: momentUs,
  timestamptz: momentUs,
  other: (text) => text,
}

/** Years 1 to 9999, which is more than a column holds; `infinity` and BC are none of it. */
function momentUs(text: string): bigint | undefined {
  const found = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/.exec(text)
  if (found === null) return undefined
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number)
  const seconds = (hour! * 60 + minute!) * 60 + second!
  const us = seconds * 1e6 + Number((found[7] ?? '').padEnd(6, '0'))
  return BigInt(dayNumber(year!, month!, day!)) * BigInt(dayUs) + BigInt(us)
}
