/**
 * RowChanges: the rows that change events make of a topic, gathered in its columns. Each call appends all
 * rows of one event, or none of them and says why.
 */
import type { ExtraColumn, ReadFault } from '../../../core/connector/format/format.ts'
import type { Records } from '../../../core/connector/format/records.ts'
import type { TopicChange } from '../../../core/connector/source.ts'
import { Op } from '../../../core/record/batch.ts'
import type { Deletes } from './deletes.ts'
import { opLetter, type EventReader, type Part } from './event-reader.ts'
import * as faults from './faults.ts'
import type { RecordKeys } from './key-reader.ts'
import { Layout, type Mapping } from './layout.ts'
import { RowInto } from './row-into.ts'
import type { RowShape } from './row-shape.ts'
import type { DebeziumTopic } from './topic.ts'

/** One of the records. */
export interface Place {
  readonly records: Records
  readonly index: number
}

export class RowChanges {
  readonly #topic: DebeziumTopic
  readonly #extra: readonly ExtraColumn[]
  readonly #deletes: Deletes
  readonly #into = new RowInto()
  readonly #next = new RowInto()
  readonly #isFull: boolean
  #layout: Layout | null = null
  #finished: TopicChange[] = []
  #announced = false

  constructor(topic: DebeziumTopic, extra: readonly ExtraColumn[], deletes: Deletes) {
    this.#topic = topic
    this.#extra = extra
    this.#deletes = deletes
    this.#isFull = topic.settings.before === 'full'
  }

  get rows(): number {
    let rows = this.#layout?.rows.rows ?? 0
    for (const change of this.#finished) rows += 'batch' in change ? change.batch.rows : 1
    return rows
  }

  get byteLength(): number {
    let bytes = this.#layout?.byteLength ?? 0
    for (const change of this.#finished) bytes += 'batch' in change ? change.batch.byteLength : 64
    return bytes
  }

  take(): readonly TopicChange[] {
    const changes = this.#finished
    this.#finished = []
    const layout = this.#layout
    if (layout !== null && (layout.rows.rows > 0 || !this.#announced)) {
      changes.push(layout.rows.finish())
      this.#announced = true
    }
    this.#deletes.forgetRows()
    return changes
  }

  truncate(): void {
    this.#cut()
    this.#finished.push({ topic: this.#topic.name, truncate: true })
  }

  /** A row that comes: c, r, u. The topic knows its shape and its key. */
  append(reader: EventReader, timeUs: number, place: Place): ReadFault | null {
    if (!reader.has('after')) return faults.noRow('after')
    const layout = this.#layoutNow()
    const isUpdate = reader.op === opLetter.update
    if (isUpdate && layout.schema.key.length === 0) return faults.updateWithoutKey
    const mapping = layout.mapping(reader.shape!)
    const fault = this.#readRow(reader, 'after', layout, mapping, this.#into)
    if (fault !== null) return fault
    const op = reader.op === opLetter.read ? Op.snapshot : isUpdate ? Op.update : Op.insert
    return this.#endRow(layout, mapping, op, timeUs, place)
  }

  /** The row of the event's `before` goes. */
  delete(reader: EventReader, timeUs: number, place: Place): ReadFault | null {
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const fault = this.#readRow(reader, 'before', layout, mapping, this.#into)
    return fault ?? this.#endDelete(layout, mapping, timeUs, place)
  }

  /** An unwrapped row, which says itself what became of it, and is read before that is known. */
  unwrapped(reader: EventReader, place: Place): ReadFault | null {
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const fault = this.#readRow(reader, 'after', layout, mapping, this.#into)
    if (fault !== null) return fault
    const { op: letter, deleted, timeUs: ownUs } = this.#into
    const timeUs = Number.isFinite(ownUs) ? ownUs : place.records.timesUs[place.index]!
    if (deleted || letter === opLetter.delete)
      return this.#endDelete(layout, mapping, timeUs, place)
    const hasKey = layout.schema.key.length > 0
    if (letter === opLetter.update && !hasKey) {
      layout.rewind(mapping)
      return faults.updateWithoutKey
    }
    // Without the operation, a row with a key replaces the one before it.
    const isUpdate = hasKey && (letter === opLetter.update || letter === 0)
    const op = letter === opLetter.read ? Op.snapshot : isUpdate ? Op.update : Op.insert
    return this.#endRow(layout, mapping, op, timeUs, place)
  }

  /** An update in a topic of whole rows: the row before goes, the one after comes. */
  replace(reader: EventReader, timeUs: number, { records, index }: Place): ReadFault | null {
    if (!reader.has('before')) return faults.noWholeRow
    if (!reader.has('after')) return faults.noRow('after')
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const { rows } = layout
    const read =
      this.#readRow(reader, 'before', layout, mapping, this.#into) ??
      this.#appendExtra(layout, records, index) ??
      this.#readRow(reader, 'after', layout, mapping, this.#next) ??
      this.#appendExtra(layout, records, index)
    if (read !== null) return read
    const fault =
      this.#keyFault(layout, rows.rows) ??
      this.#keyFault(layout, rows.rows + 1) ??
      wholeFault(this.#into) ??
      wholeFault(this.#next)
    if (fault !== null) {
      layout.rewind(mapping)
      return fault
    }
    this.#markNulls(layout)
    rows.endRow(-1, Op.update, timeUs)
    this.#markNulls(layout)
    rows.endRow(1, Op.update, timeUs)
    this.#deletes.other(records.partition)
    return null
  }

  /** The row of the record's key goes; `shape` is the key's. */
  deleteByKey(
    keys: RecordKeys,
    shape: RowShape,
    timeUs: number,
    { records, index }: Place,
  ): ReadFault | null {
    const layout = this.#layoutNow()
    const mapping = layout.mapping(shape)
    this.#into.begin(mapping.builders)
    const { bytes, keyStarts, keyEnds } = records
    const fault =
      keys.row(bytes, keyStarts[index]!, keyEnds[index]!, this.#into) ??
      layout.complete(mapping) ??
      this.#keyFault(layout, layout.rows.rows)
    if (fault !== null) {
      layout.rewind(mapping)
      return { code: 'format.key', ...fault }
    }
    this.#keepKeyOnly(layout)
    this.#appendExtra(layout, records, index)
    layout.rows.endRow(-1, Op.delete, timeUs)
    return null
  }

  /** Ends the row that was read, and comes. */
  #endRow(
    layout: Layout,
    mapping: Mapping,
    op: number,
    timeUs: number,
    place: Place,
  ): ReadFault | null {
    const fault =
      this.#keyFault(layout, layout.rows.rows) ?? this.#markUnchanged(layout, mapping, place)
    if (fault !== null) {
      layout.rewind(mapping)
      return fault
    }
    this.#appendExtra(layout, place.records, place.index)
    this.#markNulls(layout)
    layout.rows.endRow(1, op, timeUs)
    this.#deletes.other(place.records.partition)
    return null
  }

  /** Ends the row that was read, and goes. */
  #endDelete(
    layout: Layout,
    mapping: Mapping,
    timeUs: number,
    { records, index }: Place,
  ): ReadFault | null {
    const hasKey = layout.schema.key.length > 0
    const fault =
      this.#keyFault(layout, layout.rows.rows) ??
      (this.#isFull ? wholeFault(this.#into) : hasKey ? null : faults.deleteWithoutKey)
    if (fault !== null) {
      layout.rewind(mapping)
      return fault
    }
    if (!this.#isFull) this.#keepKeyOnly(layout)
    this.#appendExtra(layout, records, index)
    if (this.#isFull) this.#markNulls(layout)
    layout.rows.endRow(-1, Op.delete, timeUs)
    this.#deletes.deleted(records, index, layout.rows)
    return null
  }

  #readRow(
    reader: EventReader,
    part: Part,
    layout: Layout,
    mapping: Mapping,
    into: RowInto,
  ): ReadFault | null {
    into.begin(mapping.builders)
    const fault = reader.row(part, into) ?? layout.complete(mapping)
    if (fault !== null) layout.rewind(mapping)
    return fault
  }

  #keyFault({ schema, builders }: Layout, row: number): ReadFault | null {
    for (const column of schema.key) {
      if (builders[column]!.isNullAt(row)) {
        return { ...faults.nullKey, field: schema.fields[column]!.name, code: 'format.key' }
      }
    }
    return null
  }

  /** Of a −1 row only the key is sure: what else an event says of it depends on the table. */
  #keepKeyOnly({ others, builders, rows }: Layout): void {
    for (const column of others) {
      const builder = builders[column]!
      if (builder.isNullAt(rows.rows)) continue
      builder.rewind(rows.rows)
      builder.appendNull()
    }
  }

  #appendExtra({ builders, extraFrom }: Layout, records: Records, index: number): null {
    for (let i = 0; i < this.#extra.length; i++)
      this.#extra[i]!.append(builders[extraFrom + i]!, records, index)
    return null
  }

  #markNulls({ notNull, builders, rows }: Layout): void {
    for (const column of notNull) {
      if (builders[column]!.isNullAt(rows.rows)) rows.markNull(column)
    }
  }

  #markUnchanged(
    { rows, schema }: Layout,
    { targets }: Mapping,
    { records, index }: Place,
  ): ReadFault | null {
    const { hasUnchanged, unchanged } = this.#into
    if (!hasUnchanged) return null
    if (schema.changelog !== 'upsert') return faults.unchangedWithoutKey
    const isMoved = this.#deletes.isMoved(records, index)
    if (isMoved && !this.#deletes.movedJustNow(records.partition, rows))
      return faults.unchangedMoved
    if (isMoved) rows.markPrevious()
    for (let column = 0; column < targets.length; column++) {
      if (unchanged[column] === 1 && targets[column]! >= 0) rows.markUnchanged(targets[column]!)
    }
    return null
  }

  /** Whether rows have a key, now that a record with one was seen. */
  get hasKey(): boolean {
    return this.#layoutNow().schema.key.length > 0
  }

  /** The layout of the columns and the key that are known now; rows of the one before come before. */
  #layoutNow(): Layout {
    const layout = this.#layout
    if (layout !== null && layout.version === this.#topic.version) return layout
    const next = new Layout(this.#topic, this.#extra)
    this.#cut()
    if (layout !== null && layout.schema.id !== next.schema.id) this.#announced = false
    this.#layout = next
    return next
  }

  #cut(): void {
    this.#deletes.forgetRows()
    const layout = this.#layout
    if (layout === null || layout.rows.rows === 0) return
    this.#finished.push(layout.rows.finish())
    this.#announced = true
  }
}

function wholeFault({ hasUnchanged }: RowInto): ReadFault | null {
  return hasUnchanged ? faults.noWholeRow : null
}
