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
import { SluiceError } from '../../../core/errors/error.ts'
import {
  notReady,
  readFaultError,
  type Decoded,
  type ExtraColumn,
  type ReadFault,
  type RecordDecoder,
} from '../../../core/connector/format/format.ts'
import { Asking } from '../../../core/connector/format/asking.ts'
import type { Records } from '../../../core/connector/format/records.ts'
import { Rejects } from '../../../core/connector/format/rejects.ts'
import type { SchemaRegistry } from '../registry/client.ts'
import { AvroEvents } from './avro-event.ts'
import { AvroSchemas } from './avro-schemas.ts'
import { Deletes } from './deletes.ts'
import { opLetter, type EventReader } from './event-reader.ts'
import * as faults from './faults.ts'
import { JsonEvents } from './json-event.ts'
import { RecordKeys } from './key-reader.ts'
import { RowChanges } from './row-changes.ts'
import type { DebeziumTopic } from './topic.ts'

export interface DebeziumOptions {
  readonly topic: DebeziumTopic
  readonly extra: readonly ExtraColumn[]
  /** null: there is none, and nothing in Avro can be read. */
  readonly registry: SchemaRegistry | null
  /** Of the values, in the registry. */
  readonly subject: string
  /** Told how many records were passed over, with what they stood between. */
  readonly passed?: (records: number) => void
}

const nothing = (): void => {}

export class DebeziumDecoder implements RecordDecoder {
  /** Records that are no rows: transactions, heartbeats, messages, tombstones behind their delete. */
  passedOver = 0
  /** Of them those that were told. */
  #told = 0
  readonly #passed: (records: number) => void
  readonly #topic: DebeziumTopic
  readonly #rejects: Rejects
  readonly #json: JsonEvents
  readonly #schemas: AvroSchemas | null
  readonly #avro: AvroEvents | null
  readonly #keys: RecordKeys
  readonly #deletes = new Deletes()
  readonly #changes: RowChanges
  readonly #asking: Asking

  constructor({ topic, extra, registry, subject, passed = nothing }: DebeziumOptions) {
    this.#passed = passed
    this.#topic = topic
    this.#changes = new RowChanges(topic, extra, this.#deletes)
    this.#rejects = new Rejects(topic.name)
    this.#asking = new Asking(topic.name)
    this.#json = new JsonEvents(topic)
    this.#schemas = registry === null ? null : new AvroSchemas(registry, subject)
    this.#avro = this.#schemas === null ? null : new AvroEvents(topic, this.#schemas)
    this.#keys = new RecordKeys(topic, this.#schemas)
  }

  get rows(): number {
    return this.#rejects.rows + this.#changes.rows
  }

  get byteLength(): number {
    return this.#rejects.byteLength + this.#changes.byteLength
  }

  decode(records: Records, from: number): number {
    let index = from
    const failed = this.#asking.takeFault(records, index)
    if (failed !== null) {
      const message = `${this.#placeOf(records, index)}: ${failed.message}`
      this.#reject(records, index++, new SluiceError(failed.code, { message }))
    }
    for (; index < records.count; index++) {
      const fault = this.#readUnlessMisfit(records, index, index === from)
      if (fault === notReady) {
        this.#asking.begin(records, index)
        return index
      }
      this.#asking.done()
      if (fault === null) continue
      this.#reject(records, index, readFaultError(fault, this.#placeOf(records, index)))
    }
    return index
  }

  /** Columns that contradict each other show themselves at some record: those before it are taken. */
  #readUnlessMisfit(records: Records, index: number, isFirst: boolean): ReadFault | null {
    try {
      return this.#read(records, index)
    } catch (error) {
      if (isFirst) throw error
      return notReady
    }
  }

  /** As PlainDecoder.prepare. */
  async prepare(signal: AbortSignal): Promise<void> {
    await this.#asking.prepare(() => this.#schemas?.prepare(signal))
  }

  take(): Decoded {
    if (this.passedOver > this.#told) this.#passed(this.passedOver - this.#told)
    this.#told = this.passedOver
    return { changes: this.#changes.take(), rejected: this.#rejects.take() }
  }

  #read(records: Records, index: number): ReadFault | null {
    const { bytes } = records
    const start = records.valueStarts[index]!
    if (start < 0) return this.#tombstone(records, index)
    const reader = this.#readerOf(bytes, start)
    if (!('begin' in reader)) return reader
    const begun = reader.begin(bytes, start, records.valueEnds[index]!)
    if (begun === 'tombstone') return this.#tombstone(records, index)
    if (begun === 'passed') return this.#pass(records)
    if (typeof begun !== 'string') return begun
    if (reader.op === opLetter.truncate) return this.#truncate(reader, records)
    if (reader.shape === null) {
      if (this.#topic.fields.length === 0) throw faults.noSchema(this.#topic.name)
      return faults.schemaMissing
    }
    this.#topic.admit(reader.shape)
    const fault = this.#learnKey(records, index)
    if (fault !== null) return fault
    return this.#change(reader, records, index)
  }

  #readerOf(bytes: Uint8Array, start: number): EventReader | ReadFault {
    const { encoding } = this.#topic.settings
    const isAvro = encoding === 'avro' || (encoding === 'auto' && bytes[start] === 0)
    if (!isAvro) return this.#json
    return this.#avro ?? faults.noRegistry
  }

  #pass({ partition }: Records): null {
    this.passedOver++
    this.#deletes.other(partition)
    return null
  }

  #learnKey({ bytes, keyStarts, keyEnds }: Records, index: number): ReadFault | null {
    const fault = this.#keys.learn(bytes, keyStarts[index]!, keyEnds[index]!)
    return fault === null || fault === notReady ? fault : { code: 'format.key', ...fault }
  }

  #change(reader: EventReader, records: Records, index: number): ReadFault | null {
    const place = { records, index }
    const timeUs = Number.isFinite(reader.timeUs) ? reader.timeUs : records.timesUs[index]!
    const isFull = this.#topic.settings.before === 'full'
    switch (reader.op) {
      case 0:
        return this.#changes.unwrapped(reader, place)
      case opLetter.create:
      case opLetter.read:
        return this.#changes.append(reader, timeUs, place)
      case opLetter.update:
        return isFull
          ? this.#changes.replace(reader, timeUs, place)
          : this.#changes.append(reader, timeUs, place)
      case opLetter.delete: {
        if (reader.has('before')) return this.#changes.delete(reader, timeUs, place)
        if (isFull) return faults.noWholeRow
        // A table without replica identity: there is nothing but the record's key.
        const fault = this.#deleteByKey(records, index, timeUs)
        if (fault === null) this.#deletes.deleted(records, index, null)
        return fault
      }
      default:
        return faults.unknownOp
    }
  }

  #truncate(reader: EventReader, { partition }: Records): null {
    if (reader.shape !== null) this.#topic.admit(reader.shape)
    this.#deletes.other(partition)
    this.#changes.truncate()
    return null
  }

  #tombstone(records: Records, index: number): ReadFault | null {
    const { settings } = this.#topic
    if (this.#deletes.isOf(records, index) || settings.tombstones === 'ignore') {
      this.passedOver++
      return null
    }
    if (settings.before === 'full') {
      if (!this.#deletes.isFirst(records.partition))
        return { ...faults.tombstoneOfWhole, code: 'format.tombstone' }
      // The delete before it may have been the last that was read before a restart.
      return this.#pass(records)
    }
    const fault = this.#deleteByKey(records, index, records.timesUs[index]!)
    if (fault === null) this.#deletes.other(records.partition)
    return fault
  }

  #deleteByKey(records: Records, index: number, timeUs: number): ReadFault | null {
    const { bytes } = records
    const [start, end] = [records.keyStarts[index]!, records.keyEnds[index]!]
    if (start < 0) return { ...faults.tombstoneWithoutKey, code: 'format.tombstone' }
    if (this.#topic.fields.length === 0) {
      const fault = this.#learnColumns(records, index)
      if (fault !== null) return fault
    }
    const fault = this.#learnKey(records, index)
    if (fault !== null) return fault
    if (!this.#changes.hasKey) return { ...faults.tombstoneWithoutKey, code: 'format.tombstone' }
    const shape = this.#keys.shapeAt(bytes, start, end)
    if ('message' in shape) return shape === notReady ? shape : { code: 'format.key', ...shape }
    return this.#changes.deleteByKey(this.#keys, shape, timeUs, { records, index })
  }

  /** A tombstone before any row: what rows are made of is told by those that follow, or the registry. */
  #learnColumns(
    { bytes, count, valueStarts, valueEnds }: Records,
    index: number,
  ): ReadFault | null {
    const { given } = this.#topic
    if (given !== null) {
      this.#topic.admit(given)
      return null
    }
    for (let next = index + 1; next < count; next++) {
      const start = valueStarts[next]!
      const reader = start < 0 ? faults.noRegistry : this.#readerOf(bytes, start)
      if (!('begin' in reader)) continue
      const begun = reader.begin(bytes, start, valueEnds[next]!)
      if (begun === notReady) return notReady
      if (begun !== 'event' || reader.shape === null) continue
      this.#topic.admit(reader.shape)
      return null
    }
    return this.#newestColumns()
  }

  #newestColumns(): ReadFault | null {
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

  #reject(records: Records, index: number, error: SluiceError): void {
    this.#rejects.add(records, index, error)
    this.#deletes.other(records.partition)
  }

  #placeOf({ partition, offsets }: Records, index: number): string {
    return `${this.#topic.name}, partition ${partition}, offset ${offsets[index]!}`
  }
}

const columnsUnknown: ReadFault = { ...faults.unknownColumns, code: 'format.tombstone' }
