/** Reads what dead-letters.ts wrote: the rows of a dead-letter topic, and the rows that they set aside. */
import { makeBatch, Op, opNames, type Batch } from '../record/batch.ts'
import { isNull } from '../record/column.ts'
import { makeSchema, type Schema } from '../record/schema.ts'
import { bytesAt, numberAt, textAt } from '../record/value.ts'
import { columnOfValues, SlotReader, type ValuePlaces } from '../record/value-bytes-reader.ts'
import type { LetterState, LetterWait } from './dead-letters.ts'

/** One row of a dead-letter topic, but for the row that it set aside. */
export interface LetterEntry {
  /** The letter's number. */
  readonly letter: number
  /** Where this row stands in the dead-letter topic. */
  readonly at: number
  readonly state: LetterState
  readonly topic: string
  readonly offset: number | null
  readonly code: string
  readonly message: string
  readonly attempts: number
  readonly firstUs: number
  readonly atUs: number
  /** What the source said of the row, its weight and its time; null in letters of old, or without a row. */
  readonly op: string | null
  readonly weight: number | null
  readonly timeUs: number | null
  /** JSON texts. */
  readonly key: string | null
  readonly row: string | null
  readonly request: string | null
  /** null unless it waits. */
  readonly waits: LetterWait | null
}

/** Rows whose values were kept as bytes: one schema, in the order of the letters. */
export interface KeptRow {
  readonly schema: Schema
  readonly bytes: Uint8Array
  readonly op: number
  readonly weight: number
  readonly timeUs: number
}

/** `base` is the offset of the batch's first row in its topic. */
export function letterEntry(batch: Batch, row: number, base: number): LetterEntry {
  const text = (name: string): string | null => textOf(batch, row, name)
  const number = (name: string): number | null => numberOf(batch, row, name)
  const atUs = number('at') ?? 0
  const state = (text('state') ?? 'open') as LetterState
  return {
    letter: number('letter') ?? base + row,
    at: base + row,
    state,
    topic: text('topic') ?? '',
    offset: number('offset'),
    code: text('code') ?? '',
    message: text('message') ?? '',
    attempts: number('attempts') ?? 1,
    firstUs: number('first_at') ?? atUs,
    atUs,
    op: text('op'),
    weight: number('weight'),
    timeUs: number('time'),
    key: text('key'),
    row: text('row'),
    request: text('request'),
    // The row that ends a wait still says what it was.
    waits: state === 'waiting' ? waitOf(batch, row) : null,
  }
}

function waitOf(batch: Batch, row: number): LetterWait | null {
  const dueUs = numberOf(batch, row, 'due_at')
  const lane = textOf(batch, row, 'lane')
  const group = textOf(batch, row, 'wait_group')
  return dueUs === null || lane === null || group === null ? null : { dueUs, lane, group }
}

/** The row that a letter set aside; null in letters of old, and where it was not at hand. */
export function keptRow(batch: Batch, row: number): KeptRow | null {
  const { fields, columns } = batch.schema.fields.some(({ name }) => name === 'bytes')
    ? { fields: batch.schema.fields, columns: batch.columns }
    : { fields: [], columns: [] }
  const column = columns[fields.findIndex(({ name }) => name === 'bytes')]
  const schema = textOf(batch, row, 'schema')
  if (column === undefined || schema === null || isNull(column, row)) return null
  const op = textOf(batch, row, 'op')
  return {
    schema: schemaOf(schema),
    bytes: bytesAt(column, row),
    op: opNames.findIndex((name) => name === op) < 0 ? Op.insert : opNames.indexOf(op as 'insert'),
    weight: numberOf(batch, row, 'weight') ?? 1,
    timeUs: numberOf(batch, row, 'time') ?? 0,
  }
}

/** Kept rows of one schema as a batch; at least one. */
export function batchOfKept(rows: readonly KeptRow[]): Batch {
  const { schema } = rows[0]!
  const count = rows.length
  const readers = rows.map(({ bytes }) => new SlotReader(bytes))
  const bytes = rows.map((row) => row.bytes)
  const columns = schema.fields.map(({ type }) => {
    const places: ValuePlaces = {
      bytes,
      starts: new Int32Array(count),
      ends: new Int32Array(count),
    }
    readers.forEach((reader, i) => {
      reader.next()
      places.starts[i] = reader.start
      places.ends[i] = reader.end
    })
    return columnOfValues(type, places)
  })
  return makeBatch(
    schema,
    columns,
    Int32Array.from(rows, ({ weight }) => weight),
    Uint8Array.from(rows, ({ op }) => op),
    Float64Array.from(rows, ({ timeUs }) => timeUs),
  )
}

const schemas = new Map<string, Schema>()
/** Schemas of letters are few; a pathological log must not keep them all. */
const schemasMax = 256

/** The same object for the same text, so that batches of one schema are found to be so. */
function schemaOf(text: string): Schema {
  const known = schemas.get(text)
  if (known !== undefined) return known
  const { fields, key, changelog } = JSON.parse(text) as Schema
  const schema = makeSchema(fields, key, changelog)
  if (schemas.size >= schemasMax) schemas.clear()
  schemas.set(text, schema)
  return schema
}

function textOf(batch: Batch, row: number, name: string): string | null {
  const index = batch.schema.fields.findIndex((field) => field.name === name)
  return index < 0 ? null : textAt(batch.schema.fields[index]!.type, batch.columns[index]!, row)
}

function numberOf(batch: Batch, row: number, name: string): number | null {
  const index = batch.schema.fields.findIndex((field) => field.name === name)
  const column = batch.columns[index]
  return column === undefined || isNull(column, row) ? null : Number(numberAt(column, row))
}
