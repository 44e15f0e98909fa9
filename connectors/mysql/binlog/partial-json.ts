/**
 * PARTIAL_UPDATE_ROWS (binlog_row_value_options=PARTIAL_JSON): a JSON column of the new image may hold
 * what changed in the document instead of the document. Where the old image has the document, the new
 * one is made here; else the change itself goes out, and ingest applies it to the value it remembers.
 *
 *   diff = Int32 bytes, { JSON diff: json-diff.ts }; no bytes: the document did not change
 */
import type { TopicRows } from '../../../core/connector/topic-rows.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { wireCodes } from '../values/column-types-codes.ts'
import { EventType, PackedReader, protocolError, uint32At } from './events.ts'
import { JsonText } from '../values/json-binary.ts'
import { jsonDiff } from '../values/json-diff.ts'
import type { ColumnReader, WireColumn } from '../types.ts'

/** Bit of the options. */
const partialJson = 1
const type = EventType.partialUpdateRows
/** Before a JSON value in an image: its length. */
const lengthBytes = 4
const json = new JsonText()

/** A column whose old value is source[from, to); from below 0: null. */
interface OldValue {
  readonly field: number
  readonly from: number
  readonly to: number
}

export class PartialJson {
  /** After `begin`: where the null bits of the image are. */
  at = 0
  /** Per column: which of the table's JSON columns it is; −1 = none. */
  readonly #nth: Int32Array
  readonly #count: number
  #source: Uint8Array = new Uint8Array(0)
  #bitsAt = -1

  constructor(columns: readonly WireColumn[]) {
    let count = 0
    this.#nth = Int32Array.from(columns, ({ code }) => (code === wireCodes.json ? count++ : -1))
    this.#count = count
  }

  /** Reads what stands before a new image; whether it has diffs. */
  begin(eventType: number, source: Uint8Array, at: number, end: number): boolean {
    this.at = at
    this.#bitsAt = -1
    if (eventType !== type) return false
    const reader = new PackedReader(source, at, end, type)
    const options = reader.packed()
    if (options > partialJson) throw protocolError(`has row value options ${options}`, type)
    if (options === partialJson) {
      this.#bitsAt = reader.skip((this.#count + 7) >> 3)
      this.#source = source
    }
    this.at = reader.at
    return options === partialJson
  }

  isDiff(column: number): boolean {
    if (this.#bitsAt < 0) return false
    const nth = this.#nth[column]!
    return nth >= 0 && (this.#source[this.#bitsAt + (nth >> 3)]! & (1 << (nth & 7))) !== 0
  }

  skip(source: Uint8Array, at: number, end: number): number {
    if (at + lengthBytes > end) throw protocolError('ends within a row', type)
    const next = at + lengthBytes + uint32At(source, at)
    if (next > end) throw protocolError('ends within a row', type)
    return next
  }

  /** The old image has no document: the value is marked unchanged, with what to do to it. */
  edit(
    rows: TopicRows<ColumnReader>,
    field: number,
    source: Uint8Array,
    at: number,
    end: number,
  ): number {
    const next = this.skip(source, at, end)
    rows.decoders[field]!.appendNull()
    rows.markUnchanged(field)
    if (next > at + lengthBytes) rows.markEdit(field, jsonDiff(source, at + lengthBytes, next).edit)
    return next
  }

  /** Appends the old document with the diffs applied. */
  apply(
    rows: TopicRows<ColumnReader>,
    old: OldValue,
    source: Uint8Array,
    at: number,
    end: number,
  ): number {
    const next = this.skip(source, at, end)
    const { builder } = rows.decoders[old.field]!
    if (!(builder instanceof BytesBuilder)) {
      throw new SluiceError('internal.bug', { message: 'A JSON column is not read as text.' })
    }
    const before = old.from < 0 ? null : json.text(source, old.from + lengthBytes, old.to)
    const after =
      next === at + lengthBytes ? before : jsonDiff(source, at + lengthBytes, next).edit(before)
    if (after === null) {
      builder.appendNull()
      rows.markNull(old.field)
    } else builder.append(after, 0, after.length)
    return next
  }
}
