/**
 * Row images → builders: the innermost loop of the stream. One writer binds a table's columns on the
 * wire to the readers of the topic its rows go to. Hot: no allocation, no closure, no async.
 *
 *   change              upsert topics                       retract topics (no key)
 *   write               +1 new                              +1 new
 *   update              +1 new                              −1 old, +1 new
 *   update of the key   −1 old, +1 new                      −1 old, +1 new
 *   delete              −1 old                              −1 old
 *
 * A column that the new image lacks did not change: its value is taken from the old image, and where
 * that lacks it too (MINIMAL, NOBLOB) it is marked unchanged. Keys are compared by their bytes: a text
 * that changes only its case is another key here, for a log knows no collations.
 */
import type { TopicRows } from '../../../core/connector/topic-rows.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { Op } from '../../../core/record/batch.ts'
import { protocolError } from './events.ts'
import { ImageColumns } from './image-columns.ts'
import type { PartialJson } from './partial-json.ts'
import type { RowsHead } from './rows-event.ts'
import type { FollowedTable } from '../schema/table-directory.ts'
import type { ColumnReader } from '../types.ts'
import { namedError } from '../values/values-error.ts'

/** In `#starts`: the value is null, the image has no such column. */
const isNull = -1
const isAbsent = -2

export class TableWriter {
  readonly table: FollowedTable
  readonly rows: TopicRows<ColumnReader>
  /** One a column on the wire; those of columns that are not wanted pass over the value. */
  readonly #readers: readonly ColumnReader[]
  readonly #fields: Int32Array
  /** Fields of the topic that are not on the wire. */
  readonly #unfed: readonly number[]
  readonly #inKey: Uint8Array
  readonly #lastKeyColumn: number
  readonly #old: ImageColumns
  readonly #new: ImageColumns
  /** Where the values of the last old image are; or isNull, isAbsent. */
  readonly #starts: Int32Array
  readonly #ends: Int32Array
  readonly #partial: PartialJson
  #type = 0
  #timeUs = 0

  constructor(table: FollowedTable, rows: TopicRows<ColumnReader>, partial: PartialJson) {
    const { fields } = table
    const columns = fields.length
    this.table = table
    this.rows = rows
    this.#fields = fields
    const own = table.readers()
    this.#readers = Array.from(fields, (field, i) =>
      field < 0 ? new PassingReader(own[i]!) : rows.decoders[field]!,
    )
    const fed = new Set(fields)
    this.#unfed = rows.decoders.map((_, field) => field).filter((field) => !fed.has(field))
    this.#inKey = Uint8Array.from(table.inKey, (inKey) => (inKey ? 1 : 0))
    this.#lastKeyColumn = table.inKey.lastIndexOf(true)
    this.#old = new ImageColumns(columns)
    this.#new = new ImageColumns(columns)
    this.#starts = new Int32Array(columns)
    this.#ends = new Int32Array(columns)
    this.#partial = partial
  }

  /** The rows of an event, source[at, end); its present bits are in `head`'s own bytes. */
  event(
    type: number,
    head: RowsHead,
    headSource: Uint8Array,
    rows: { readonly source: Uint8Array; readonly at: number; readonly end: number },
    timeUs: number,
  ): void {
    if (head.columns !== this.#fields.length) {
      throw protocolError('has another number of columns than its table map', type)
    }
    this.#type = type
    this.#timeUs = timeUs
    try {
      this.#images(head, headSource, rows)
    } catch (error) {
      const { topic, rows: whole, decoders } = this.rows
      const named = { topic: topic.topic, schema: topic.schema, readers: decoders, rows: whole }
      throw namedError(error, named)
    }
  }

  #images(
    head: RowsHead,
    headSource: Uint8Array,
    rows: { readonly source: Uint8Array; readonly at: number; readonly end: number },
  ): void {
    const { source, end } = rows
    let { at } = rows
    if (head.kind === 'write') {
      this.#new.set(headSource, head.presentAt)
      while (at < end) at = this.#write(source, at, end)
    } else if (head.kind === 'delete') {
      this.#old.set(headSource, head.presentAt)
      this.#checkOld()
      while (at < end) at = this.#delete(source, at, end)
    } else {
      this.#old.set(headSource, head.presentAt)
      this.#new.set(headSource, head.newPresentAt)
      this.#checkOld()
      while (at < end) at = this.#update(source, at, end)
    }
  }

  /** An old image has to tell which row it is. */
  #checkOld(): void {
    const { columns, absent, absentCount } = this.#old
    for (let k = 0; k < absentCount; k++) {
      const column = absent[k]!
      const needed = this.table.keyless ? this.#fields[column]! >= 0 : this.#inKey[column] === 1
      if (needed) throw incompleteImage(this.table.topic.topic, columns.length)
    }
  }

  #write(source: Uint8Array, start: number, end: number): number {
    const at = this.#appendNew(source, start, end)
    const { absent, absentCount } = this.#new
    for (let k = 0; k < absentCount; k++) this.#appendDefault(absent[k]!)
    this.#endRow(1, Op.insert)
    return at
  }

  #delete(source: Uint8Array, start: number, end: number): number {
    const readers = this.#readers
    const { columns, count, absent, absentCount } = this.#old
    let at = start + ((count + 7) >> 3)
    if (at > end) throw cutShort(this.#type)
    for (let k = 0; k < count; k++) {
      const reader = readers[columns[k]!]!
      if ((source[start + (k >> 3)]! & (1 << (k & 7))) === 0) at = reader.binlog(source, at, end)
      else reader.appendNull()
    }
    for (let k = 0; k < absentCount; k++) readers[absent[k]!]!.appendNull()
    this.#endRow(-1, Op.delete)
    return at
  }

  #update(source: Uint8Array, start: number, end: number): number {
    let at = this.#scanOld(source, start, end)
    const partial = this.#partial.begin(this.#type, source, at, end)
    at = this.#partial.at
    const isOther = this.table.keyless || this.#isKeyChanged(source, at, end)
    if (isOther) {
      this.#appendOld(source)
      this.#endRow(-1, Op.update)
      if (partial || this.#new.absentCount > 0) this.rows.markPrevious()
    }
    at = partial ? this.#appendPartial(source, at, end) : this.#appendNew(source, at, end)
    const { absent, absentCount } = this.#new
    for (let k = 0; k < absentCount; k++) this.#appendSame(source, absent[k]!)
    this.#endRow(1, Op.update)
    return at
  }

  #endRow(weight: number, op: number): void {
    const { rows } = this
    for (const field of this.#unfed) {
      rows.decoders[field]!.appendNull()
      if (weight > 0) rows.markNull(field)
    }
    rows.endRow(weight, op, this.#timeUs)
  }

  /** Appends the columns present of a new image; returns the place after it. */
  #appendNew(source: Uint8Array, start: number, end: number): number {
    const readers = this.#readers
    const { columns, count } = this.#new
    let at = start + ((count + 7) >> 3)
    if (at > end) throw cutShort(this.#type)
    for (let k = 0; k < count; k++) {
      const column = columns[k]!
      if ((source[start + (k >> 3)]! & (1 << (k & 7))) === 0) {
        at = readers[column]!.binlog(source, at, end)
      } else this.#appendNull(column)
    }
    return at
  }

  /** As `#appendNew`, of a partial image, whose partial bits `#partial` has. */
  #appendPartial(source: Uint8Array, start: number, end: number): number {
    const readers = this.#readers
    const partial = this.#partial
    const { columns, count } = this.#new
    let at = start + ((count + 7) >> 3)
    if (at > end) throw cutShort(this.#type)
    for (let k = 0; k < count; k++) {
      const column = columns[k]!
      if ((source[start + (k >> 3)]! & (1 << (k & 7))) !== 0) this.#appendNull(column)
      else if (!partial.isDiff(column)) at = readers[column]!.binlog(source, at, end)
      else {
        const field = this.#fields[column]!
        const from = this.#starts[column]!
        const to = this.#ends[column]!
        if (field < 0) at = partial.skip(source, at, end)
        else if (from === isAbsent) at = partial.edit(this.rows, field, source, at, end)
        else at = partial.apply(this.rows, { field, from, to }, source, at, end)
      }
    }
    return at
  }

  #appendNull(column: number): void {
    const field = this.#fields[column]!
    if (field < 0) return
    this.#readers[column]!.appendNull()
    this.rows.markNull(field)
  }

  /** A column that an inserted row's image lacks has its default (MINIMAL). */
  #appendDefault(column: number): void {
    const field = this.#fields[column]!
    if (field < 0) return
    const text = this.table.defaults?.[column]
    if (text === undefined) {
      // Nobody knows it here: it is looked for as any value that was not sent.
      this.#readers[column]!.appendNull()
      this.rows.markUnchanged(field)
    } else if (text === null) this.#appendNull(column)
    else this.#readers[column]!.text(text, 0, text.length)
  }

  /** A column that an update's new image lacks. */
  #appendSame(source: Uint8Array, column: number): void {
    const field = this.#fields[column]!
    if (field < 0) return
    const from = this.#starts[column]!
    if (from >= 0) this.#readers[column]!.binlog(source, from, this.#ends[column]!)
    else if (from === isNull) this.#appendNull(column)
    else {
      this.#readers[column]!.appendNull()
      this.rows.markUnchanged(field)
    }
  }

  /** Finds the values of an old image; returns the place after it. */
  #scanOld(source: Uint8Array, start: number, end: number): number {
    const readers = this.#readers
    const { columns, count, absent, absentCount } = this.#old
    let at = start + ((count + 7) >> 3)
    if (at > end) throw cutShort(this.#type)
    for (let k = 0; k < count; k++) {
      const column = columns[k]!
      if ((source[start + (k >> 3)]! & (1 << (k & 7))) === 0) {
        this.#starts[column] = at
        at = readers[column]!.skip(source, at, end)
        this.#ends[column] = at
      } else this.#starts[column] = isNull
    }
    for (let k = 0; k < absentCount; k++) this.#starts[absent[k]!] = isAbsent
    return at
  }

  /** Appends what `#scanOld` found; of a row that goes only the key is sure, and it may have nulls. */
  #appendOld(source: Uint8Array): void {
    const readers = this.#readers
    for (let column = 0; column < readers.length; column++) {
      const from = this.#starts[column]!
      if (from >= 0) readers[column]!.binlog(source, from, this.#ends[column]!)
      else readers[column]!.appendNull()
    }
  }

  /** Whether the key in the new image, which begins at `start`, has other bytes than the old one's. */
  #isKeyChanged(source: Uint8Array, start: number, end: number): boolean {
    const readers = this.#readers
    const { columns, count } = this.#new
    let at = start + ((count + 7) >> 3)
    if (at > end) throw cutShort(this.#type)
    for (let k = 0; k < count; k++) {
      const column = columns[k]!
      if (column > this.#lastKeyColumn) return false
      const from = this.#starts[column]!
      if ((source[start + (k >> 3)]! & (1 << (k & 7))) !== 0) {
        if (this.#inKey[column] === 1 && from !== isNull) return true
        continue
      }
      // Parts of a key are never partial: JSON has no index of its own.
      const next = this.#partial.isDiff(column)
        ? this.#partial.skip(source, at, end)
        : readers[column]!.skip(source, at, end)
      if (this.#inKey[column] === 1) {
        if (from < 0 || !sameBytes(source, from, this.#ends[column]!, at, next)) return true
      }
      at = next
    }
    return false
  }
}

function sameBytes(source: Uint8Array, from: number, to: number, at: number, end: number): boolean {
  if (to - from !== end - at) return false
  for (let i = from, k = at; i < to; i++, k++) if (source[i] !== source[k]) return false
  return true
}

/** A column that is in no topic. */
class PassingReader implements ColumnReader {
  readonly builder: ColumnReader['builder']
  readonly #reader: ColumnReader
  constructor(reader: ColumnReader) {
    this.#reader = reader
    this.builder = reader.builder
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    return this.#reader.skip(source, at, end)
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return this.#reader.skip(source, at, end)
  }
  text(): void {}
  appendNull(): void {}
}

function cutShort(type: number): Error {
  return protocolError('ends within a row', type)
}

function incompleteImage(topic: string, columns: number): SluiceError {
  return new SluiceError('source.mysql.incomplete_image', {
    message: `A change of ${topic} (${columns} columns) came without the columns that say which row it changed.`,
  })
}
