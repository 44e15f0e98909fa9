/**
 * Consolidation of a step's output: a row that was given and taken back within the step, in whatever
 * order, is not mentioned at all. A row that is updated three times between two commits would
 * otherwise appear and go twice in the sink.
 *
 * Rows are found by a hash per row, computed column by column, and compared by value before anything
 * is dropped. Equal values that two batches encode differently may hash differently: then a pair
 * stays, which is no error, only work for the sink.
 */
import { makeBatch, Op, type Batch } from '../../record/batch.ts'
import { selectRows } from '../../record/batch-ops.ts'
import { isNull, type Column } from '../../record/column.ts'
import type { LogicalType } from '../../record/types.ts'
import { textAt } from '../../record/value.ts'

/** Whether two values of a column are the same, to the last digit shown. */
export function sameInColumn(type: LogicalType, column: Column, i: number, j: number): boolean {
  const none = isNull(column, i)
  if (none || isNull(column, j)) return none && isNull(column, j)
  if (column.encoding === 'dictionary' && column.codes[i] === column.codes[j]) return true
  if ('values' in column) return Object.is(column.values[i], column.values[j])
  return textAt(type, column, i) === textAt(type, column, j)
}

/** The batches of one retract topic without rows that add up to nothing. */
export function consolidate(batches: readonly Batch[]): readonly Batch[] {
  if (!batches.some(({ weights }) => weights.includes(-1))) return batches
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
  const dropped = new Pairs(batches, rows).find()
  if (dropped === null) return batches
  let base = 0
  return batches.flatMap((batch) => {
    const kept = new Int32Array(batch.rows)
    let count = 0
    for (let row = 0; row < batch.rows; row++) if (dropped[base + row] === 0) kept[count++] = row
    base += batch.rows
    if (count === 0) return []
    return count === batch.rows ? [batch] : [repaired(selectRows(batch, kept.slice(0, count)))]
  })
}

/** Finds the rows to drop. A row's number counts through all batches. */
class Pairs {
  readonly #batches: readonly Batch[]
  readonly #batchOf: Uint32Array
  readonly #rowOf: Uint32Array
  readonly #hashes: Int32Array
  /** First open row of each bucket, and the next one of the same bucket; −1 for none. */
  readonly #heads: Int32Array
  readonly #next: Int32Array

  constructor(batches: readonly Batch[], rows: number) {
    this.#batches = batches
    this.#batchOf = new Uint32Array(rows)
    this.#rowOf = new Uint32Array(rows)
    this.#hashes = new Int32Array(rows)
    this.#next = new Int32Array(rows)
    this.#heads = new Int32Array(1 << (32 - Math.clz32(rows))).fill(-1)
    let base = 0
    batches.forEach((batch, index) => {
      const hashes = this.#hashes.subarray(base, base + batch.rows)
      for (const column of batch.columns) hashColumn(column, hashes)
      this.#batchOf.fill(index, base, base + batch.rows)
      for (let row = 0; row < batch.rows; row++) this.#rowOf[base + row] = row
      base += batch.rows
    })
  }

  /** One byte a row, 1 for those to drop; null when there are none. */
  find(): Uint8Array | null {
    const dropped = new Uint8Array(this.#rowOf.length)
    let any = false
    for (let row = 0; row < dropped.length; row++) {
      const partner = this.#take(row)
      if (partner < 0) continue
      dropped[row] = 1
      dropped[partner] = 1
      any = true
    }
    return any ? dropped : null
  }

  /** The newest open row that this one undoes, no longer open; −1 when this row is open now. */
  #take(row: number): number {
    const hash = this.#hashes[row]!
    const bucket = hash & (this.#heads.length - 1)
    const weight = this.#weight(row)
    let before = -1
    let open = this.#heads[bucket]!
    while (open >= 0) {
      const next = this.#next[open]!
      if (this.#hashes[open] === hash && this.#same(open, row)) {
        // Open rows that are equal have the same sign: what undoes one does not wait behind it.
        if (this.#weight(open) === weight) break
        if (before < 0) this.#heads[bucket] = next
        else this.#next[before] = next
        return open
      }
      before = open
      open = next
    }
    this.#next[row] = this.#heads[bucket]!
    this.#heads[bucket] = row
    return -1
  }

  #weight(row: number): number {
    return this.#batches[this.#batchOf[row]!]!.weights[this.#rowOf[row]!]!
  }

  #same(a: number, b: number): boolean {
    const { length } = this.#batches[0]!.columns
    for (let field = 0; field < length; field++) if (!this.#sameField(field, a, b)) return false
    return true
  }

  #sameField(field: number, a: number, b: number): boolean {
    const batch = this.#batches[this.#batchOf[a]!]!
    const left = batch.columns[field]!
    const right = this.#batches[this.#batchOf[b]!]!.columns[field]!
    const i = this.#rowOf[a]!
    const j = this.#rowOf[b]!
    const { type } = batch.schema.fields[field]!
    if (left === right) return sameInColumn(type, left, i, j)
    const none = isNull(left, i)
    if (none || isNull(right, j)) return none && isNull(right, j)
    if (left.encoding === right.encoding && 'values' in left && 'values' in right)
      return Object.is(left.values[i], right.values[j])
    return textAt(type, left, i) === textAt(type, right, j)
  }
}

/** An update of which only one half is left is a delete or an insert. */
function repaired(batch: Batch): Batch {
  const { weights, schema, columns, timesUs, rows } = batch
  const ops = batch.ops.slice()
  for (let row = 0; row < rows; row++) {
    if (ops[row] !== Op.update) continue
    const paired =
      weights[row]! < 0 &&
      row + 1 < rows &&
      weights[row + 1]! > 0 &&
      ops[row + 1] === Op.update &&
      schema.key.every((i) => sameInColumn(schema.fields[i]!.type, columns[i]!, row, row + 1))
    if (paired) row++
    else ops[row] = weights[row]! < 0 ? Op.delete : Op.insert
  }
  return makeBatch(schema, columns, weights, ops, timesUs)
}

const double = new Float64Array(1)
const words = new Int32Array(double.buffer)
const prime = 0x01000193

/** Mixes each row's value into its hash. Numbers hash alike whatever array they are in. */
function hashColumn(column: Column, hashes: Int32Array): void {
  const entries = column.encoding === 'dictionary' ? hashesOf(column.dictionary) : null
  for (let row = 0; row < hashes.length; row++) {
    let hash = 0x9e3779b1
    if (!isNull(column, row))
      hash = entries === null ? hashAt(column, row) : entries[codeAt(column, row)]!
    const mixed = Math.imul(hashes[row]! ^ hash, 0x85ebca6b)
    hashes[row] = mixed ^ (mixed >>> 13)
  }
}

function codeAt(column: Column, row: number): number {
  return column.encoding === 'dictionary' ? column.codes[row]! : 0
}

function hashesOf(column: Column): Int32Array {
  const hashes = new Int32Array(column.length)
  for (let row = 0; row < hashes.length; row++) hashes[row] = hashAt(column, row)
  return hashes
}

function hashAt(column: Column, row: number): number {
  switch (column.encoding) {
    case 'bool':
    case 'int32':
    case 'float64':
      double[0] = column.values[row]!
      return Math.imul(words[0]! ^ 0x5bd1e995, prime) ^ words[1]!
    case 'int64':
    case 'uint64':
      double[0] = Number(column.values[row]!)
      return Math.imul(words[0]! ^ 0x5bd1e995, prime) ^ words[1]!
    case 'bytes':
      return hashBytes(column.data, column.offsets[row]!, column.offsets[row + 1]!)
    case 'fixed16':
      return hashBytes(column.data, row * 16, row * 16 + 16)
    case 'dictionary':
      return hashAt(column.dictionary, column.codes[row]!)
    case 'list':
      return column.offsets[row + 1]! - column.offsets[row]!
  }
}

/** FNV-1a. */
function hashBytes(data: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ data[i]!, prime)
  return hash
}
