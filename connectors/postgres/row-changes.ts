/**
 * Inserts, updates and deletes → rows with weights. Hot.
 *
 *   change              upsert and append topics            retract topics (REPLICA IDENTITY FULL)
 *   insert              +1 new                              +1 new
 *   update              +1 new                              −1 old, +1 new
 *   update of the key   −1 old key, +1 new                  −1 old, +1 new
 *   delete              −1 old key                          −1 old
 */
import { Op } from '../../core/record/batch.ts'
import { MessageType, protocolError } from './pgoutput.ts'
import type { RowFilter } from './row-filter.ts'
import { TableWriter } from './table-writer.ts'

const tupleNew = 0x4e
const tupleKey = 0x4b
const tupleOld = 0x4f

export class RowChanges {
  #xid = 0
  #timeUs = 0
  #filter: RowFilter | null = null

  /** The changes that follow are of this (top-level) transaction. */
  begin(xid: number, timeUs: number, filter: RowFilter | null): void {
    this.#xid = xid
    this.#timeUs = timeUs
    this.#filter = filter
  }

  /** 'N' TupleData, from `at` to exactly `end`. */
  insert(writer: TableWriter, source: Uint8Array, at: number, end: number): void {
    if (source[at] !== tupleNew) throw protocolError('has no new row', MessageType.insert, 0)
    if (this.#filter !== null && this.#drops(writer, source, at + 1, end)) return
    if (writer.newTuple(source, at + 1, end, false) !== end) throw wrongLength(MessageType.insert)
    writer.rows.endRow(1, Op.insert, this.#timeUs)
  }

  /** [ ( 'K' | 'O' ) TupleData ] 'N' TupleData */
  update(writer: TableWriter, source: Uint8Array, start: number, end: number): void {
    let at = start
    let withOld = false
    let oldRow = false
    let oldDropped = false
    let oldKey = noKey
    const first = source[at]
    if (first === tupleKey || first === tupleOld) {
      if (this.#filter !== null) oldKey = writer.keyTexts(source, at + 1, end, noKey)
      const dropped = this.#filter !== null && this.#dropsKey(writer, oldKey)
      at = dropped ? TableWriter.skip(source, at + 1, end) : writer.oldTuple(source, at + 1, end)
      withOld = !dropped
      oldDropped = dropped
      if (!dropped) {
        writer.rows.endRow(-1, Op.update, this.#timeUs)
        oldRow = true
      }
    }
    if (source[at] !== tupleNew) throw protocolError('has no new row', MessageType.update, 0)
    if (this.#filter !== null) {
      if (this.#dropsKey(writer, writer.keyTexts(source, at + 1, end, oldKey))) return
      if (oldDropped && TableWriter.hasUnchanged(source, at + 1, end)) {
        this.#filter.orphan(writer.plan.tableOid)
      }
    }
    if (oldRow) writer.rows.markPrevious()
    if (writer.newTuple(source, at + 1, end, withOld) !== end) throw wrongLength(MessageType.update)
    writer.rows.endRow(1, Op.update, this.#timeUs)
  }

  /** ( 'K' | 'O' ) TupleData */
  delete(writer: TableWriter, source: Uint8Array, at: number, end: number): void {
    const kind = source[at]
    if (kind !== tupleKey && kind !== tupleOld) {
      throw protocolError('has no old row', MessageType.delete, 0)
    }
    if (this.#filter !== null && this.#drops(writer, source, at + 1, end)) return
    if (writer.oldTuple(source, at + 1, end) !== end) throw wrongLength(MessageType.delete)
    writer.rows.endRow(-1, Op.delete, this.#timeUs)
  }

  /** Whether a truncate of the table is in the snapshot already. */
  dropsTruncate(tableOid: number): boolean {
    return this.#filter !== null && this.#filter.dropsTruncate(tableOid, this.#xid)
  }

  #drops(writer: TableWriter, source: Uint8Array, tuple: number, end: number): boolean {
    return this.#dropsKey(writer, writer.keyTexts(source, tuple, end, noKey))
  }

  #dropsKey(writer: TableWriter, key: readonly string[]): boolean {
    return this.#filter!.drops(writer.plan.tableOid, this.#xid, key)
  }
}

const noKey: readonly string[] = []

function wrongLength(type: number): Error {
  return protocolError('has bytes after its row', type, 0)
}
