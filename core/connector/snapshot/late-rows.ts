/**
 * The changes that come for a chunk's keys while its rows are on their way: the last state of each
 * key, columns and all. A row of which not all values were sent leads to the row of its key before it,
 * and at last to the chunk's own row.
 *
 * Why the chunk's row has a value that no late change sent: its database snapshot shows the key's row
 * as it is after some of these changes, and none of them gave the value another one. That does not
 * hold for an edit of a value (nobody knows how many of the edits the snapshot shows), nor for a row
 * that came from another key, with values unsent, where another row of this key went before (nobody
 * knows which of the two the snapshot shows): of such a key the state is unknown, and it has to be read
 * by itself.
 */
import { bitAt } from '../../record/bitmap.ts'
import { rowKey } from '../../record/key.ts'
import type { Schema } from '../../record/schema.ts'
import type { RowsChange } from '../source.ts'
import { concatChanges, hasUnchanged, selectChange } from '../change-rows.ts'
import { commonSchema } from './common-schema.ts'

/** A key's last state: an entry (≥ 0), or one of these. */
export const gone = -1
export const unknown = -2
/** What an entry with unsent values rests on, where it is no other entry: nothing (it has all values), or the chunk's row. */
export const complete = -1
export const chunkRow = -2

/** What a piece costs besides its values: objects, for a batch and each of its columns. */
const pieceBytes = 400
const columnBytes = 200
/** What a key costs besides its row: its text, and its place in the map. */
const keyBytes = 100

export class LateRows {
  /** The rows' values; `pieceOf` and `rowOf` of an entry tell where. */
  pieces: RowsChange[] = []
  #states = new Map<string, number>()
  #pieceOf: Int32Array = new Int32Array(16)
  #rowOf: Int32Array = new Int32Array(16)
  #older: Int32Array = new Int32Array(16)
  #entries = 0
  #bytes = 0
  readonly #firstCompactionBytes: number
  #compactAtBytes: number
  #schema: Schema | null = null
  #mixed = false

  /** Below `firstCompactionBytes` nothing is done to take less room. */
  constructor(firstCompactionBytes: number) {
    this.#firstCompactionBytes = firstCompactionBytes
    this.#compactAtBytes = firstCompactionBytes
  }

  /** Bytes held; after `add` at most twice what the last states alone would take. */
  get bytes(): number {
    return this.#bytes + this.#states.size * keyBytes
  }
  get size(): number {
    return this.#states.size
  }
  /** By rowKey. */
  get states(): ReadonlyMap<string, number> {
    return this.#states
  }
  /** Whether rows of two different shapes came: their values cannot be joined. */
  get mixed(): boolean {
    return this.#mixed
  }
  pieceOf(entry: number): RowsChange {
    return this.pieces[this.#pieceOf[entry]!]!
  }
  rowOf(entry: number): number {
    return this.#rowOf[entry]!
  }
  /** The entry that has what this one was not sent; or `complete`, or `chunkRow`. */
  olderOf(entry: number): number {
    return this.#older[entry]!
  }

  /** Takes note of these rows of the change, which are in rising order. */
  add(change: RowsChange, rows: Int32Array): void {
    const { schema } = change.batch
    const common = this.#schema === null ? schema : commonSchema(this.#schema, schema)
    if (common === null) this.#mixed = true
    else this.#schema = common
    const piece = selectChange(change, rows)
    const place = this.pieces.length
    this.pieces.push(piece)
    this.#bytes += sizeOf(piece)
    for (let row = 0; row < rows.length; row++) {
      const key = rowKey(piece.batch, row)
      this.#states.set(
        key,
        piece.batch.weights[row]! < 0
          ? gone
          : this.#append(place, row, this.#restsOn(key, piece, row)),
      )
    }
    if (this.#bytes > this.#compactAtBytes) this.#compact()
  }

  /**
   * What the row rests on. One that came from another key has nothing of the key before it but, in the
   * chunk, itself: a row of the key that went in between leaves `gone` here.
   */
  #restsOn(key: string, piece: RowsChange, row: number): number | 'unknown' {
    if (!hasUnchanged(piece.unchanged, row)) return complete
    const before = this.#states.get(key) ?? chunkRow
    if (before === gone || this.#states.get(key) === unknown) return 'unknown'
    const edited = piece.edits?.some((edits) => edits?.has(row) === true) === true
    return edited && !this.#isKnown(piece, row, before) ? 'unknown' : before
  }

  /** Whether each edited value of the row is in the entries before it. */
  #isKnown({ edits }: RowsChange, row: number, before: number): boolean {
    for (const [field, map] of (edits ?? []).entries()) {
      if (map?.has(row) !== true) continue
      let at = before
      while (at >= 0 && isUnsent(this.pieceOf(at), field, this.rowOf(at))) at = this.#older[at]!
      if (at < 0) return false
    }
    return true
  }

  #append(piece: number, row: number, restsOn: number | 'unknown'): number {
    if (restsOn === 'unknown') return unknown
    const entry = this.#entries++
    if (entry === this.#pieceOf.length) {
      this.#pieceOf = grown(this.#pieceOf)
      this.#rowOf = grown(this.#rowOf)
      this.#older = grown(this.#older)
    }
    this.#pieceOf[entry] = piece
    this.#rowOf[entry] = row
    this.#older[entry] = restsOn
    return entry
  }

  /** Lets go of the rows that no state leads to, and joins what is left of small pieces. */
  #compact(): void {
    const live = this.#live()
    const order = live.sort(
      (a, b) => this.#pieceOf[a]! - this.#pieceOf[b]! || this.#rowOf[a]! - this.#rowOf[b]!,
    )
    const renamed = new Map<number, number>(order.map((entry, i) => [entry, i]))
    const rowsOf: number[][] = this.pieces.map(() => [])
    for (const entry of order) rowsOf[this.#pieceOf[entry]!]!.push(this.#rowOf[entry]!)
    const kept = this.pieces
      .map((piece, i) => selectChange(piece, Int32Array.from(rowsOf[i]!)))
      .filter((piece) => piece.batch.rows > 0)
    const pieceOf = new Int32Array(order.length + 16)
    const rowOf = new Int32Array(order.length + 16)
    const older = new Int32Array(order.length + 16)
    for (const [i, entry] of order.entries()) {
      const before = this.#older[entry]!
      older[i] = before < 0 ? before : renamed.get(before)!
    }
    this.pieces = []
    let next = 0
    for (const run of runsOfOneSchema(kept)) {
      const piece = concatChanges(run)
      for (let row = 0; row < piece.batch.rows; row++, next++) {
        pieceOf[next] = this.pieces.length
        rowOf[next] = row
      }
      this.pieces.push(piece)
    }
    for (const [key, state] of this.#states)
      if (state >= 0) this.#states.set(key, renamed.get(state)!)
    this.#pieceOf = pieceOf
    this.#rowOf = rowOf
    this.#older = older
    this.#entries = order.length
    this.#bytes = this.pieces.reduce((sum, piece) => sum + sizeOf(piece), 0)
    this.#compactAtBytes = Math.max(this.#firstCompactionBytes, this.#bytes * 2)
  }

  /** The last states, and of what they rest on that which gives them a value; the rest is passed over from now on. */
  #live(): number[] {
    const live: number[] = []
    for (const state of this.#states.values()) {
      if (state < 0) continue
      live.push(state)
      let newer = state
      let missing = this.#unsentFields(state)
      let at = this.#older[state]!
      while (at >= 0 && missing.length > 0) {
        const still = missing.filter((field) => isUnsent(this.pieceOf(at), field, this.rowOf(at)))
        if (still.length < missing.length || this.#edits(at, missing)) {
          this.#older[newer] = at
          live.push(at)
          newer = at
        }
        missing = still
        at = this.#older[at]!
      }
      this.#older[newer] = missing.length === 0 ? complete : chunkRow
    }
    return live
  }

  #unsentFields(entry: number): number[] {
    const piece = this.pieceOf(entry)
    const row = this.rowOf(entry)
    const fields = piece.unchanged?.keys() ?? []
    return [...fields].filter((field) => isUnsent(piece, field, row))
  }

  #edits(entry: number, fields: readonly number[]): boolean {
    const { edits } = this.pieceOf(entry)
    return edits !== undefined && fields.some((field) => edits[field]?.has(this.rowOf(entry)))
  }
}

/** Whether the value was not sent with the row, be it that it was edited. */
export function isUnsent({ unchanged }: RowsChange, field: number, row: number): boolean {
  const bits = unchanged?.[field] ?? null
  return bits !== null && bitAt(bits, row)
}

function sizeOf({ batch }: RowsChange): number {
  return batch.byteLength + pieceBytes + batch.columns.length * columnBytes
}

function grown(array: Int32Array): Int32Array {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}

function runsOfOneSchema(pieces: readonly RowsChange[]): RowsChange[][] {
  const runs: RowsChange[][] = []
  for (const piece of pieces) {
    const run = runs.at(-1)
    if (run?.[0]?.batch.schema.id === piece.batch.schema.id) run.push(piece)
    else runs.push([piece])
  }
  return runs
}
