/**
 * Rows of a text-protocol result set → columns. Hot: one call a row, nothing allocated per row. Text
 * and not the binary protocol of prepared statements, which would need a second decoder for each type.
 *
 *   row    = { value }                       one a column
 *   value  = 0xfb (null) | length bytes
 *   length = n (0 to 250) | 0xfc uint16 | 0xfd uint24 | 0xfe uint64      little-endian
 *
 * MySQL documentation, "Protocol::LengthEncodedInteger" and "Text Resultset Row".
 */
import { SluiceError } from '../../../core/errors/error.ts'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import type { Column } from '../../../core/record/column.ts'
import type { Schema } from '../../../core/record/schema.ts'
import type { ColumnReader } from '../types.ts'
import { namedError, type RowsRead } from '../values/values-error.ts'

export class ResultRows {
  /** Since the last `take`. */
  rows = 0
  readonly #readers: readonly ColumnReader[]
  readonly #of: Pick<RowsRead, 'topic' | 'schema'> | null

  /** A reader for each column of the result set, in its order. `of`: what errors of values name. */
  constructor(
    readers: readonly ColumnReader[],
    of: Pick<RowsRead, 'topic' | 'schema'> | null = null,
  ) {
    this.#readers = readers
    this.#of = of
  }

  /** About the bytes of the rows gathered. */
  get byteLength(): number {
    let bytes = 13 * this.rows
    for (const { builder } of this.#readers) bytes += builder.byteLength
    return bytes
  }

  /** Reads the row source[start, end). Throws `source.mysql.protocol`, or what a value's reader throws. */
  row(source: Uint8Array, start: number, end: number): void {
    try {
      this.#read(source, start, end)
    } catch (error) {
      if (this.#of === null) throw error
      throw namedError(error, { ...this.#of, readers: this.#readers, rows: this.rows })
    }
  }

  #read(source: Uint8Array, start: number, end: number): void {
    const readers = this.#readers
    let at = start
    for (let i = 0; i < readers.length; i++) {
      if (at >= end) throw malformed('ends before its last value')
      let length = source[at++]!
      if (length > 250) {
        if (length === 0xfb) {
          readers[i]!.appendNull()
          continue
        }
        const bytes = length === 0xfc ? 2 : length === 0xfd ? 3 : 8
        if (length === 0xff || at + bytes > end) throw malformed('has a length that cannot be read')
        length = longLength(source, at, bytes)
        at += bytes
      }
      const next = at + length
      if (next > end) throw malformed('has a value longer than itself')
      readers[i]!.text(source, at, next)
      at = next
    }
    if (at !== end) throw malformed('goes on after its last value')
    this.rows++
  }

  /** The columns gathered, and starts anew. */
  takeColumns(): Column[] {
    this.rows = 0
    return this.#readers.map(({ builder }) => builder.finish())
  }

  /** The rows gathered as a batch of a first copy, and starts anew. `timeUs`: of the snapshot, µs since 1970. */
  take(schema: Schema, timeUs: number): Batch {
    const { rows } = this
    const columns = this.takeColumns()
    const weights = new Int32Array(rows).fill(1)
    const ops = new Uint8Array(rows).fill(Op.snapshot)
    const times = new Float64Array(rows).fill(timeUs)
    return makeBatch(schema, columns, weights, ops, times)
  }
}

/** No packet holds 2^32 bytes, so a double has every length that can be right. */
function longLength(source: Uint8Array, at: number, bytes: number): number {
  let length = 0
  for (let i = bytes - 1; i >= 0; i--) length = length * 256 + source[at + i]!
  return length
}

function malformed(what: string): SluiceError {
  return new SluiceError('source.mysql.protocol', { message: `A row of a result set ${what}.` })
}
