/**
 * Deletes: the delete that came last in each partition, so that the tombstone behind it is known for what
 * it is, and the row that has moved to another key finds the one that it was.
 *
 * Debezium writes a delete and its tombstone one after the other, and for a changed key the new row behind
 * both, with the old key in the header `__debezium.oldkey`.
 */
import type { Records } from '../../../core/connector/format/records.ts'
import { findHeader } from '../headers.ts'

interface Rows {
  readonly rows: number
}

interface LastDelete {
  /** null: something else came behind it. */
  key: Buffer | null
  /** Where its row ended; null = that was handed over since. */
  rows: Rows | null
  end: number
}

const newKey = Buffer.from('__debezium.newkey')
const oldKey = Buffer.from('__debezium.oldkey')
const range = new Int32Array(2)
/** Of a table without key, whose deletes and tombstones have none. */
const noKey = Buffer.alloc(0)

export class Deletes {
  readonly #last = new Map<number, LastDelete>()

  /** `rows`: has its −1 row as the last one. */
  deleted(records: Records, index: number, rows: Rows | null): void {
    const { bytes, partition } = records
    const [start, end] = [records.keyStarts[index]!, records.keyEnds[index]!]
    const moved = rows !== null && hasHeader(records, index, newKey)
    this.#last.set(partition, {
      key: start < 0 ? noKey : Buffer.from(bytes.subarray(start, end)),
      rows: moved ? rows : null,
      end: rows?.rows ?? 0,
    })
  }

  /** Any other record of the partition. */
  other(partition: number): void {
    const last = this.#last.get(partition)
    if (last === undefined) this.#last.set(partition, { key: null, rows: null, end: 0 })
    else {
      last.key = null
      last.rows = null
    }
  }

  isFirst(partition: number): boolean {
    return !this.#last.has(partition)
  }

  /** Whether this tombstone is that of the delete just before it. */
  isOf({ bytes, partition, keyStarts, keyEnds }: Records, index: number): boolean {
    const last = this.#last.get(partition)
    const start = keyStarts[index]!
    if (last === undefined || last.key === null) return false
    const isSame =
      start < 0 ? last.key === noKey : last.key.compare(bytes, start, keyEnds[index]!) === 0
    // One delete has one tombstone; what comes behind may be the row under its new key.
    if (isSame) last.key = null
    return isSame
  }

  /** Whether this record is the row of a key that was another one before. */
  isMoved(records: Records, index: number): boolean {
    return hasHeader(records, index, oldKey)
  }

  /** Whether the last of `rows` takes the row away that this partition's row was. */
  movedJustNow(partition: number, rows: Rows): boolean {
    const last = this.#last.get(partition)
    return last?.rows === rows && last.end === rows.rows
  }

  /** All rows were handed over. */
  forgetRows(): void {
    for (const last of this.#last.values()) last.rows = null
  }
}

function hasHeader(
  { bytes, headerStarts, headerEnds }: Records,
  index: number,
  name: Uint8Array,
): boolean {
  const start = headerStarts[index]!
  return start >= 0 && findHeader(bytes, start, headerEnds[index]!, name, range)
}
