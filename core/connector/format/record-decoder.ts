/**
 * PlainDecoder: records whose value is one row, with or without a key. Value and key are read straight
 * into the columns' builders; a record that does not fit is taken back from all of them and set aside
 * with its reason.
 *
 *   columns    those of the value, those that only the key has, then the extra ones
 *   key        none: rows are appended. Otherwise a value is the new row of its key, and a record
 *              without value (a tombstone) takes that row away: weight −1, only its key columns set
 *
 * A key column that the value does not have, or has as null, is taken from the record's key.
 */
import { SluiceError } from '../../errors/error.ts'
import { Op } from '../../record/batch.ts'
import { builderFor, type AnyBuilder } from '../../record/builder.ts'
import type { Field } from '../../record/schema.ts'
import type { RowsChange } from '../source.ts'
import { TopicRows, TopicSchema } from '../topic-rows.ts'
import { Asking } from './asking.ts'
import {
  notReady,
  readFaultError,
  type Decoded,
  type ExtraColumn,
  type ReadFault,
  type RecordDecoder,
  type ValueFormat,
} from './format.ts'
import { recordColumns, type RecordColumns } from './record-columns.ts'
import { KeyReader } from './record-key.ts'
import { Rejects } from './rejects.ts'
import type { Records } from './records.ts'

/** What to do with records without value. `delete` in a topic without key: they are rejected. */
export type TombstonePolicy = 'delete' | 'ignore'

export interface PlainDecoderOptions {
  /** Without the source's name. */
  readonly topic: string
  readonly value: ValueFormat
  /** Reads the record's key; null = it is not looked at. */
  readonly key: ValueFormat | null
  /** Names of the key columns, in order, which value, key or extra columns have; none = append. */
  readonly keyColumns: readonly string[]
  readonly extra: readonly ExtraColumn[]
  readonly tombstones: TombstonePolicy
  /** Where a record that is set aside stands, for messages; default: its partition and offset. */
  readonly placeOf?: PlaceOf
}

/** A phrase such as `page 2, record 17`. */
export type PlaceOf = (records: Records, index: number) => string

const partitionAndOffset: PlaceOf = (records, index) =>
  `partition ${records.partition}, offset ${records.offsets[index]!}`

const noFields: readonly Field[] = []

interface Layout {
  /** What the formats had when this was made of it. */
  readonly valueFields: readonly Field[]
  readonly keyFields: readonly Field[]
  readonly schemaId: string
  readonly rows: TopicRows<{ readonly builder: AnyBuilder }>
  readonly builders: readonly AnyBuilder[]
  readonly valueBuilders: readonly AnyBuilder[]
  readonly keys: KeyReader
  readonly hasKey: boolean
  readonly extra: readonly ExtraColumn[]
  readonly extraFrom: number
  readonly rowOp: number
  readonly noTombstones: string
}

export class PlainDecoder implements RecordDecoder {
  readonly #options: PlainDecoderOptions
  readonly #rejects: Rejects
  #layout: Layout | null = null
  #finished: RowsChange[] = []
  #announced = false
  /** What asked for `prepare`, how often in a row, and what came of it. */
  #waiting: ValueFormat | null = null
  readonly #asking: Asking

  constructor(options: PlainDecoderOptions) {
    this.#options = options
    this.#rejects = new Rejects(options.topic)
    this.#asking = new Asking(options.topic)
  }

  get rows(): number {
    let rows = this.#rejects.rows + (this.#layout?.rows.rows ?? 0)
    for (const { batch } of this.#finished) rows += batch.rows
    return rows
  }

  get byteLength(): number {
    let bytes = this.#rejects.byteLength
    for (const { batch } of this.#finished) bytes += batch.byteLength
    if (this.#layout !== null) {
      // Weight, operation and time of a row take 13 bytes.
      bytes += this.#layout.rows.rows * 13
      for (const builder of this.#layout.builders) bytes += builder.byteLength
    }
    return bytes
  }

  decode(records: Records, from: number): number {
    // Before all else: where it throws, nothing was taken.
    const layout = this.#layoutNow()
    let index = from
    const failed = this.#asking.takeFault(records, index)
    if (failed !== null) {
      const { code, message } = failed
      const where = this.#placeOf(records, index)
      this.#rejects.add(
        records,
        index++,
        new SluiceError(code, { message: `${where}: ${message}` }),
      )
    }
    for (; index < records.count; index++) {
      const fault =
        layout === null ? this.#withoutFields(records, index) : this.#read(layout, records, index)
      if (fault === notReady) {
        this.#asking.begin(records, index)
        return index
      }
      this.#asking.done()
      if (fault !== null)
        this.#rejects.add(records, index, readFaultError(fault, this.#placeOf(records, index)))
    }
    return index
  }

  /**
   * As ValueFormat.prepare, but for a `row` fault, which it keeps: the record at which `decode` stopped
   * is rejected with it when `decode` goes on from there.
   */
  async prepare(signal: AbortSignal): Promise<void> {
    await this.#asking.prepare(() => (this.#waiting ?? this.#options.value).prepare(signal))
  }

  take(): Decoded {
    // What was gathered is of the columns before, if they have become others.
    const layout = this.rows > 0 ? this.#layout : this.#layoutNow()
    const changes = this.#finished
    this.#finished = []
    if (layout !== null && (layout.rows.rows > 0 || (!this.#announced && changes.length === 0))) {
      changes.push(layout.rows.finish())
    }
    this.#announced ||= changes.length > 0
    return { changes, rejected: this.#rejects.take() }
  }

  /** Appends the record's row, or says why it cannot and leaves no trace of it; null = done. */
  #read(layout: Layout, records: Records, index: number): ReadFault | null {
    const { rows, builders, valueBuilders, extra } = layout
    const row = rows.rows
    const start = records.valueStarts[index]!
    if (start < 0) return this.#readTombstone(layout, records, index)
    const { value } = this.#options
    const fault = value.read(records.bytes, start, records.valueEnds[index]!, valueBuilders)
    if (fault !== null) {
      for (const builder of valueBuilders) builder.rewind(row)
      this.#waiting = value
      return fault
    }
    for (let i = 0; i < extra.length; i++)
      extra[i]!.append(builders[layout.extraFrom + i]!, records, index)
    if (layout.hasKey) {
      const fault = layout.keys.fill(records, index, row, false)
      if (fault !== null) return this.#keyFault(layout, fault)
    }
    rows.endRow(1, layout.rowOp, records.timesUs[index]!)
    return null
  }

  #readTombstone(layout: Layout, records: Records, index: number): ReadFault | null {
    if (this.#options.tombstones === 'ignore') return null
    const { rows, builders, valueBuilders, extra, keys } = layout
    if (!keys.readsTombstones)
      return { field: null, message: layout.noTombstones, code: 'format.tombstone' }
    const row = rows.rows
    for (const builder of valueBuilders) builder.appendNull()
    for (let i = 0; i < extra.length; i++)
      extra[i]!.append(builders[layout.extraFrom + i]!, records, index)
    const fault = keys.fill(records, index, row, true)
    if (fault !== null) return this.#keyFault(layout, fault)
    rows.endRow(-1, Op.delete, records.timesUs[index]!)
    return null
  }

  #keyFault({ rows, builders }: Layout, fault: ReadFault): ReadFault {
    for (const builder of builders) builder.rewind(rows.rows)
    this.#waiting = this.#options.key
    return fault === notReady ? fault : { code: 'format.key', ...fault }
  }

  /** A record whose format does not say yet which fields there are. */
  #withoutFields(records: Records, index: number): ReadFault | null {
    const { value, key, tombstones } = this.#options
    const start = records.valueStarts[index]!
    if (start < 0 && tombstones === 'ignore') return null
    this.#waiting = value.fields === null ? value : key
    // Its prepare may need the record's schema id, which a tombstone does not have.
    const format = this.#waiting ?? value
    const ofKey = format === key
    const [from, to] = ofKey
      ? [records.keyStarts[index]!, records.keyEnds[index]!]
      : [start, records.valueEnds[index]!]
    if (from < 0) {
      if (!this.#asking.hasAsked) return notReady
      const message =
        'the fields of the topic are not known yet, and this record does not tell them'
      return { field: null, message, code: start < 0 ? 'format.tombstone' : 'format.key' }
    }
    const fault = format.read(records.bytes, from, to, [])
    if (fault === null || fault === notReady) return notReady
    return ofKey ? { code: 'format.key', ...fault } : fault
  }

  /** The layout for the fields that the formats have now; null while one of them has none. */
  #layoutNow(): Layout | null {
    const { value, key, keyColumns, extra, topic } = this.#options
    const valueFields = value.fields
    const keyFields = key === null ? noFields : key.fields
    if (valueFields === null || keyFields === null) return this.#layout
    const layout = this.#layout
    if (layout !== null && layout.valueFields === valueFields && layout.keyFields === keyFields) {
      return layout
    }
    const columns = recordColumns({
      topic,
      valueFields,
      keyFields,
      extraFields: extra.map(({ field }) => field),
      keyColumns,
    })
    // Rows of the fields before have their place before those of these.
    if (layout !== null && layout.rows.rows > 0) this.#finished.push(layout.rows.finish())
    if (layout !== null && layout.schemaId !== columns.schema.id) this.#announced = false
    this.#layout = layoutOf(this.#options, columns, valueFields, keyFields)
    return this.#layout
  }

  #placeOf(records: Records, index: number): string {
    const { topic, placeOf = partitionAndOffset } = this.#options
    return `${topic}, ${placeOf(records, index)}`
  }
}

function layoutOf(
  { topic, key, extra, keyColumns }: PlainDecoderOptions,
  columns: RecordColumns,
  valueFields: readonly Field[],
  keyFields: readonly Field[],
): Layout {
  const builders = columns.schema.fields.map((field) => builderFor(field.type))
  const rows = new TopicRows(
    new TopicSchema(topic, columns.schema),
    builders.map((builder) => ({ builder })),
  )
  return {
    valueFields,
    keyFields,
    schemaId: columns.schema.id,
    rows,
    builders,
    valueBuilders: builders.slice(0, columns.valueCount),
    keys: new KeyReader(key, columns, valueFields, builders),
    hasKey: keyColumns.length > 0 || key !== null,
    extra,
    extraFrom: columns.extraFrom,
    rowOp: keyColumns.length > 0 ? Op.update : Op.insert,
    noTombstones:
      keyColumns.length === 0
        ? 'has no value, and the topic has no key to delete a row by'
        : 'has no value, and without key_format nothing tells which row it deletes',
  }
}
