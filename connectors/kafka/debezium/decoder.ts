/**
 * DebeziumDecoder: Debezium's change events → rows with weights.
 *
 *   op                  before: key, with a key         before: key, without     before: full
 *   c, r                +1 after                        +1 after                 +1 after
 *   u                   +1 after                        set aside                −1 before, +1 after
 *   d                   −1, its key columns             set aside                −1 before
 *   tombstone           −1, its key columns; behind     set aside                behind its d: passed over
 *                       its d: passed over
 *   t                   the topic is emptied
 *   m, transactions, heartbeats, schema changes         passed over
 *
 * A changed key is d, tombstone and c, as Debezium writes it. A value that Debezium left out as unchanged
 * is marked so, and filled in from our own state before anything is committed.
 */
import type { Code } from '../../../core/errors/codes.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import {
  notReady,
  type Decoded,
  type ExtraColumn,
  type ReadFault,
  type RecordDecoder,
} from '../../../core/connector/format/format.ts'
import type { Records } from '../../../core/connector/format/records.ts'
import { Rejects } from '../../../core/connector/format/rejects.ts'
import type { TopicChange } from '../../../core/connector/source.ts'
import { Op } from '../../../core/record/batch.ts'
import type { SchemaRegistry } from '../registry/client.ts'
import { AvroEvents } from './avro-event.ts'
import { AvroSchemas } from './avro-schemas.ts'
import { Deletes } from './deletes.ts'
import { opLetter, type EventReader, type Part } from './event-reader.ts'
import * as faults from './faults.ts'
import { JsonEvents } from './json-event.ts'
import { RecordKeys } from './key-reader.ts'
import { Layout, type Mapping } from './layout.ts'
import { RowInto } from './row-into.ts'
import type { RowShape } from './row-shape.ts'
import type { DebeziumTopic } from './topic.ts'

/** How often the same record may ask for what is missing before this is taken for a bug. */
const preparesMax = 16

interface RecordFault extends ReadFault {
  readonly code?: Code
}

/** A row that was read and is to be appended. */
interface Row {
  readonly weight: 1 | -1
  readonly op: number
  readonly timeUs: number
}

export interface DebeziumOptions {
  readonly topic: DebeziumTopic
  readonly extra: readonly ExtraColumn[]
  /** null: there is none, and nothing in Avro can be read. */
  readonly registry: SchemaRegistry | null
  /** Of the values, in the registry. */
  readonly subject: string
}

export class DebeziumDecoder implements RecordDecoder {
  /** Records that are no rows: transactions, heartbeats, messages, tombstones behind their delete. */
  passedOver = 0
  readonly #topic: DebeziumTopic
  readonly #extra: readonly ExtraColumn[]
  readonly #rejects: Rejects
  readonly #json: JsonEvents
  readonly #schemas: AvroSchemas | null
  readonly #avro: AvroEvents | null
  readonly #keys: RecordKeys
  readonly #deletes = new Deletes()
  readonly #into = new RowInto()
  readonly #next = new RowInto()
  #layout: Layout | null = null
  #finished: TopicChange[] = []
  #announced = false
  #prepares = 0
  #failed: SluiceError | null = null

  constructor({ topic, extra, registry, subject }: DebeziumOptions) {
    this.#topic = topic
    this.#extra = extra
    this.#rejects = new Rejects(topic.name)
    this.#json = new JsonEvents(topic)
    this.#schemas = registry === null ? null : new AvroSchemas(registry, subject)
    this.#avro = this.#schemas === null ? null : new AvroEvents(topic, this.#schemas)
    this.#keys = new RecordKeys(topic, this.#schemas)
  }

  get rows(): number {
    let rows = this.#rejects.rows + (this.#layout?.rows.rows ?? 0)
    for (const change of this.#finished) rows += 'batch' in change ? change.batch.rows : 1
    return rows
  }

  get byteLength(): number {
    let bytes = this.#rejects.byteLength + (this.#layout?.byteLength ?? 0)
    for (const change of this.#finished) bytes += 'batch' in change ? change.batch.byteLength : 64
    return bytes
  }

  decode(records: Records, from: number): number {
    let index = from
    if (this.#failed !== null && index < records.count) {
      const { code, message } = this.#failed
      this.#reject(records, index, code, message)
      index++
      this.#failed = null
    }
    for (; index < records.count; index++) {
      const fault = this.#read(records, index)
      if (fault === notReady) return index
      this.#prepares = 0
      if (fault !== null) this.#rejectFault(records, index, fault)
    }
    return index
  }

  /** As PlainDecoder.prepare. */
  async prepare(signal: AbortSignal): Promise<void> {
    if (++this.#prepares > preparesMax) {
      const message = `${this.#topic.name}: a record asks again and again for what it was given`
      throw new SluiceError('internal.bug', { message })
    }
    try {
      await this.#schemas?.prepare(signal)
    } catch (error) {
      if (!(error instanceof SluiceError) || error.fault !== 'row') {
        // It was given nothing: who does not answer may be asked for as long as that takes.
        this.#prepares--
        throw error
      }
      this.#failed = error
    }
  }

  take(): Decoded {
    const changes = this.#finished
    this.#finished = []
    const layout = this.#layout
    if (layout !== null && (layout.rows.rows > 0 || !this.#announced)) {
      changes.push(layout.rows.finish())
      this.#announced = true
    }
    this.#deletes.forgetRows()
    return { changes, rejected: this.#rejects.take() }
  }

  #read(records: Records, index: number): RecordFault | null {
    const { bytes } = records
    const start = records.valueStarts[index]!
    if (start < 0) return this.#tombstone(records, index)
    const reader = this.#readerOf(bytes, start)
    if (!('begin' in reader)) return reader
    const begun = reader.begin(bytes, start, records.valueEnds[index]!)
    if (begun === 'tombstone') return this.#tombstone(records, index)
    if (begun === 'passed') return this.#pass(records)
    if (typeof begun !== 'string') return begun
    if (reader.op === opLetter.truncate) return this.#truncate(records, reader)
    const fault = this.#prepareRows(reader, records, index)
    if (fault !== null) return fault
    return reader.op === 0
      ? this.#unwrapped(reader, records, index)
      : this.#change(reader, records, index)
  }

  #readerOf(bytes: Uint8Array, start: number): EventReader | ReadFault {
    const { encoding } = this.#topic.settings
    const isAvro = encoding === 'avro' || (encoding === 'auto' && bytes[start] === 0)
    if (!isAvro) return this.#json
    return this.#avro ?? faults.noRegistry
  }

  #pass(records: Records): null {
    this.passedOver++
    this.#deletes.other(records.partition)
    return null
  }

  /** Learns of a record with a row what the topic's columns and key are. Throws `format.schema`. */
  #prepareRows(reader: EventReader, records: Records, index: number): RecordFault | null {
    const { shape } = reader
    if (shape === null) throw faults.noSchema(this.#topic.name)
    const [start, end] = [records.keyStarts[index]!, records.keyEnds[index]!]
    const fault = this.#keys.learn(records.bytes, start, end)
    if (fault !== null) return fault === notReady ? fault : { ...fault, code: 'format.key' }
    this.#topic.admit(shape)
    return null
  }

  #change(reader: EventReader, records: Records, index: number): RecordFault | null {
    const timeUs = timeOf(reader.timeUs, records, index)
    const isFull = this.#topic.settings.before === 'full'
    switch (reader.op) {
      case opLetter.create:
      case opLetter.read: {
        const op = reader.op === opLetter.read ? Op.snapshot : Op.insert
        return this.#append(reader, 'after', { weight: 1, op, timeUs }, records, index)
      }
      case opLetter.update:
        if (isFull) return this.#replace(reader, timeUs, records, index)
        if (this.#layoutNow().schema.key.length === 0) return faults.updateWithoutKey
        return this.#append(reader, 'after', { weight: 1, op: Op.update, timeUs }, records, index)
      case opLetter.delete:
        return this.#delete(reader, 'before', timeUs, records, index)
      default:
        return faults.unknownOp
    }
  }

  /** A row says itself what became of it, and is read before that is known. */
  #unwrapped(reader: EventReader, records: Records, index: number): RecordFault | null {
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const fault = this.#readRow(reader, 'after', layout, mapping, this.#into)
    if (fault !== null) return fault
    const { op: letter, deleted, timeUs: ownUs } = this.#into
    const timeUs = timeOf(ownUs, records, index)
    if (deleted || letter === opLetter.delete) {
      return this.#endDelete(layout, mapping, timeUs, records, index)
    }
    const isUpdate = letter === opLetter.update || letter === 0
    if (letter === opLetter.update && layout.schema.key.length === 0) {
      layout.rewind(mapping)
      return faults.updateWithoutKey
    }
    const hasKey = layout.schema.key.length > 0
    const op = letter === opLetter.read ? Op.snapshot : isUpdate && hasKey ? Op.update : Op.insert
    return this.#endRow(layout, mapping, { weight: 1, op, timeUs }, records, index)
  }

  #append(
    reader: EventReader,
    part: Part,
    row: Row,
    records: Records,
    index: number,
  ): RecordFault | null {
    if (!reader.has(part)) return faults.noRow(part)
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const fault = this.#readRow(reader, part, layout, mapping, this.#into)
    return fault ?? this.#endRow(layout, mapping, row, records, index)
  }

  /** Ends the +1 row that was read. */
  #endRow(
    layout: Layout,
    mapping: Mapping,
    row: Row,
    records: Records,
    index: number,
  ): RecordFault | null {
    const fault =
      this.#keyFault(layout) ?? this.#markUnchanged(layout, mapping, this.#into, records, index)
    if (fault !== null) {
      layout.rewind(mapping)
      return fault
    }
    this.#appendExtra(layout, records, index)
    this.#markNulls(layout)
    layout.rows.endRow(row.weight, row.op, row.timeUs)
    this.#deletes.other(records.partition)
    return null
  }

  #delete(
    reader: EventReader,
    part: Part,
    timeUs: number,
    records: Records,
    index: number,
  ): RecordFault | null {
    if (!reader.has(part)) {
      // Without a replica identity there is nothing but the key.
      const fault = this.#deleteByKey(records, index, timeUs)
      if (fault === null) this.#deletes.deleted(records, index, null)
      return fault
    }
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const fault = this.#readRow(reader, part, layout, mapping, this.#into)
    return fault ?? this.#endDelete(layout, mapping, timeUs, records, index)
  }

  #endDelete(
    layout: Layout,
    mapping: Mapping,
    timeUs: number,
    records: Records,
    index: number,
  ): RecordFault | null {
    const isFull = this.#topic.settings.before === 'full'
    const fault =
      this.#keyFault(layout) ??
      (isFull
        ? this.#wholeFault(this.#into)
        : layout.schema.key.length === 0
          ? faults.deleteWithoutKey
          : null)
    if (fault !== null) {
      layout.rewind(mapping)
      return fault
    }
    if (!isFull) this.#keepKeyOnly(layout)
    this.#appendExtra(layout, records, index)
    if (isFull) this.#markNulls(layout)
    layout.rows.endRow(-1, Op.delete, timeUs)
    this.#deletes.deleted(records, index, layout.rows)
    return null
  }

  /** An update in a topic of whole rows: the row before goes, the one after comes. */
  #replace(
    reader: EventReader,
    timeUs: number,
    records: Records,
    index: number,
  ): RecordFault | null {
    if (!reader.has('before')) return faults.noWholeRow
    if (!reader.has('after')) return faults.noRow('after')
    const layout = this.#layoutNow()
    const mapping = layout.mapping(reader.shape!)
    const { rows } = layout
    const before = this.#readRow(reader, 'before', layout, mapping, this.#into)
    if (before !== null) return before
    const early = this.#keyFault(layout) ?? this.#wholeFault(this.#into)
    if (early === null) {
      this.#appendExtra(layout, records, index)
      const after = this.#readRow(reader, 'after', layout, mapping, this.#next)
      if (after !== null) return after
      this.#appendExtra(layout, records, index)
    }
    const fault = early ?? this.#keyFault(layout, rows.rows + 1) ?? this.#wholeFault(this.#next)
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

  #truncate(records: Records, reader: EventReader): null {
    if (reader.shape !== null) this.#topic.admit(reader.shape)
    this.#deletes.other(records.partition)
    this.#cut()
    this.#finished.push({ topic: this.#topic.name, truncate: true })
    return null
  }

  #tombstone(records: Records, index: number): RecordFault | null {
    if (this.#deletes.isOf(records, index) || this.#topic.settings.tombstones === 'ignore') {
      this.passedOver++
      return null
    }
    const isFirst = this.#deletes.isFirst(records.partition)
    this.#deletes.other(records.partition)
    if (this.#topic.settings.before === 'full') {
      if (!isFirst) return { ...faults.tombstoneOfWhole, code: 'format.tombstone' }
      // The delete before it may have been the last that was read before a restart.
      this.passedOver++
      return null
    }
    return this.#deleteByKey(records, index, records.timesUs[index]!)
  }

  #deleteByKey(records: Records, index: number, timeUs: number): RecordFault | null {
    const { bytes } = records
    const [start, end] = [records.keyStarts[index]!, records.keyEnds[index]!]
    if (start < 0) return { ...faults.tombstoneWithoutKey, code: 'format.tombstone' }
    const learned = this.#topic.fields.length === 0 ? this.#lookAhead(records, index) : null
    if (learned !== null) return learned
    const fault = this.#keys.learn(bytes, start, end)
    if (fault !== null) return fault === notReady ? fault : { ...fault, code: 'format.key' }
    const layout = this.#layoutNow()
    if (layout.schema.key.length === 0)
      return { ...faults.tombstoneWithoutKey, code: 'format.tombstone' }
    const shape = this.#keys.shapeAt(bytes, start, end)
    if ('message' in shape) return shape === notReady ? shape : { ...shape, code: 'format.key' }
    return this.#endByKey(layout, layout.mapping(shape), timeUs, records, index)
  }

  #endByKey(
    layout: Layout,
    mapping: Mapping,
    timeUs: number,
    records: Records,
    index: number,
  ): RecordFault | null {
    this.#into.begin(mapping.builders)
    const { bytes, keyStarts, keyEnds } = records
    const fault =
      this.#keys.row(bytes, keyStarts[index]!, keyEnds[index]!, this.#into) ??
      layout.complete(mapping) ??
      this.#keyFault(layout)
    if (fault !== null) {
      layout.rewind(mapping)
      return { ...fault, code: 'format.key' }
    }
    this.#keepKeyOnly(layout)
    this.#appendExtra(layout, records, index)
    layout.rows.endRow(-1, Op.delete, timeUs)
    return null
  }

  /** A tombstone before any row: what the rows are made of is told by those that follow, or the registry. */
  #lookAhead(records: Records, index: number): RecordFault | null {
    if (this.#topic.given !== null) {
      this.#topic.admit(this.#topic.given)
      return null
    }
    const { bytes, valueStarts, valueEnds } = records
    for (let next = index + 1; next < records.count; next++) {
      const start = valueStarts[next]!
      const reader = start < 0 ? null : this.#readerOf(bytes, start)
      if (reader === null || !('begin' in reader)) continue
      const begun = reader.begin(bytes, start, valueEnds[next]!)
      if (begun === notReady) return notReady
      if (begun !== 'event' || reader.shape === null) continue
      this.#topic.admit(reader.shape)
      return null
    }
    if (this.#schemas === null || this.#avro === null) return columnsUnknown
    if (!this.#schemas.hasAskedNewest) {
      this.#schemas.wantNewest()
      return notReady
    }
    const { newestShape } = this.#avro
    if (newestShape === null) return columnsUnknown
    this.#topic.admit(newestShape)
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

  #keyFault({ schema, builders, rows }: Layout, row = rows.rows): RecordFault | null {
    for (const column of schema.key) {
      if (builders[column]!.isNullAt(row)) {
        return { ...faults.nullKey, field: schema.fields[column]!.name, code: 'format.key' }
      }
    }
    return null
  }

  #wholeFault({ hasUnchanged }: RowInto): RecordFault | null {
    return hasUnchanged ? faults.noWholeRow : null
  }

  #keepKeyOnly({ others, builders, rows }: Layout): void {
    for (const column of others) {
      const builder = builders[column]!
      if (builder.isNullAt(rows.rows)) continue
      builder.rewind(rows.rows)
      builder.appendNull()
    }
  }

  #appendExtra({ builders, extraFrom }: Layout, records: Records, index: number): void {
    for (let i = 0; i < this.#extra.length; i++)
      this.#extra[i]!.append(builders[extraFrom + i]!, records, index)
  }

  #markNulls({ notNull, builders, rows }: Layout): void {
    for (const column of notNull) {
      if (builders[column]!.isNullAt(rows.rows)) rows.markNull(column)
    }
  }

  #markUnchanged(
    { rows, schema }: Layout,
    { targets }: Mapping,
    { hasUnchanged, unchanged }: RowInto,
    records: Records,
    index: number,
  ): RecordFault | null {
    if (!hasUnchanged) return null
    if (schema.key.length === 0 || schema.changelog !== 'upsert') return faults.unchangedWithoutKey
    const isMoved = this.#deletes.isMoved(records, index)
    if (isMoved && !this.#deletes.movedJustNow(records.partition, rows))
      return faults.unchangedMoved
    if (isMoved) rows.markPrevious()
    for (let column = 0; column < targets.length; column++) {
      if (unchanged[column] === 1 && targets[column]! >= 0) rows.markUnchanged(targets[column]!)
    }
    return null
  }

  /** The layout of the columns and the key that are known now; rows of the one before have their place before. */
  #layoutNow(): Layout {
    const layout = this.#layout
    if (layout !== null && layout.version === this.#topic.version) return layout
    const next = new Layout(this.#topic, this.#extra)
    if (layout !== null && layout.schema.id !== next.schema.id) this.#announced = false
    this.#cut()
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

  #rejectFault(records: Records, index: number, fault: RecordFault): void {
    const field = fault.field === null ? '' : `${fault.field}: `
    const code = fault.code ?? (fault.field === null ? 'format.value' : 'format.field')
    const subject = code === 'format.key' ? 'the key: ' : ''
    this.#reject(records, index, code, `${subject}${field}${fault.message}`)
  }

  #reject(records: Records, index: number, code: Code, why: string): void {
    const { partition, offsets } = records
    const where = `${this.#topic.name}, partition ${partition}, offset ${offsets[index]!}`
    this.#rejects.add(records, index, new SluiceError(code, { message: `${where}: ${why}` }))
    this.#deletes.other(partition)
  }
}

const columnsUnknown: RecordFault = { ...faults.unknownColumns, code: 'format.tombstone' }

function timeOf(timeUs: number, records: Records, index: number): number {
  return Number.isFinite(timeUs) ? timeUs : records.timesUs[index]!
}

export type { RowShape }
