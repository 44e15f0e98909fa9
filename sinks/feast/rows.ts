/**
 * What a batch leaves of each entity, encoded: of the rows behind the entity's last deletion the newest,
 * or the deletion. Hot.
 */
import type { Accepted } from './accept.ts'
import { BytesOut } from './bytes-out.ts'
import { KeyTable } from './key-table.ts'
import { writeValues, type Values } from './layout/value.ts'
import { FeatureOp, type EncodedValues, type FeatureRows } from './target.ts'

/** `except`: rows of the batch to leave out, 1 each. */
export function encodeRows(accepted: Accepted, except: Uint8Array | null = null): FeatureRows {
  return encodeLeft(accepted, newestOf(accepted, except), new RowBuffers())
}

/** What is kept for the next slice; more than this was for values of an unusual size. */
const keptBytesMax = 4 * 2 ** 20

/**
 * What keys and values are written into, and again when the store has taken them: with new ones for each
 * slice the collector takes a third of the sink's time.
 */
export class RowBuffers {
  readonly keys = new BytesOut()
  readonly values: BytesOut[] = []

  valuesOf(feature: number): BytesOut {
    return (this.values[feature] ??= new BytesOut())
  }

  get worthKeeping(): boolean {
    return this.values.reduce((sum, { bytes }) => sum + bytes.length, 0) <= keptBytesMax
  }
}

/** As `encodeRows`, so many entities at a time; each slice is encoded when it is asked for. */
export class RowSlices {
  readonly #accepted: Accepted
  readonly #left: Left
  readonly #entitiesMax: number
  #at = 0

  constructor(accepted: Accepted, except: Uint8Array | null, entitiesMax: number) {
    this.#accepted = accepted
    this.#left = newestOf(accepted, except)
    this.#entitiesMax = entitiesMax
  }

  /** Null after the last. What it gives is good until the buffers are given again. */
  next(buffers: RowBuffers): FeatureRows | null {
    const from = this.#at
    const left = this.#left
    if (from >= left.count) return null
    this.#at = Math.min(left.count, from + this.#entitiesMax)
    return encodeLeft(this.#accepted, slice(left, from, this.#at), buffers)
  }
}

function slice(left: Left, from: number, to: number): Left {
  return {
    count: to - from,
    rows: left.rows.subarray(from, to),
    ops: left.ops.subarray(from, to),
    offsets: left.offsets.subarray(from, to),
    deletedAt: left.deletedAt.subarray(from, to),
    seconds: left.seconds.subarray(from, to),
    nanos: left.nanos.subarray(from, to),
  }
}

function encodeLeft(accepted: Accepted, left: Left, buffers: RowBuffers): FeatureRows {
  const { view, sent } = accepted
  const values = view.features.map(({ index, logical, type }, feature) => {
    const column = sent.batch.columns[index]!
    return encodeValues({ column, logical, type }, left, buffers.valuesOf(feature))
  })
  const again = sent.origin !== undefined && sent.origin !== 'live'
  return { view, again, ...left, ...selectKeys(accepted, left, buffers.keys), values }
}

/** What of FeatureRows does not need the bytes of keys and values. */
type Left = Omit<FeatureRows, 'view' | 'again' | 'keys' | 'keyOffsets' | 'values'>

function newestOf(accepted: Accepted, except: Uint8Array | null): Left {
  const { rows, deleted, keys, sent } = accepted
  const table = new KeyTable(keys.bytes, keys.offsets)
  // Both by the entity's number, as indexes into `rows`.
  const newest = new Int32Array(rows.length).fill(-1)
  const lastGone = new Int32Array(rows.length).fill(-1)
  let count = 0
  for (let i = 0; i < rows.length; i++) {
    if (except !== null && except[rows[i]!] === 1) continue
    const entity = table.numberOf(rows[i]!)
    if (entity === count) count++
    if (deleted[i] === 1) {
      lastGone[entity] = i
      newest[entity] = -1
    } else if (newest[entity]! < 0 || !isOlder(accepted, i, newest[entity]!)) newest[entity] = i
  }
  const left = emptyLeft(count)
  for (let entity = 0; entity < count; entity++) {
    const gone = lastGone[entity]!
    const isGone = newest[entity]! < 0
    const i = isGone ? gone : newest[entity]!
    left.rows[entity] = rows[i]!
    left.ops[entity] = isGone ? FeatureOp.delete : FeatureOp.set
    left.offsets[entity] = sent.offset + rows[i]!
    left.deletedAt[entity] = gone < 0 ? -1 : sent.offset + rows[gone]!
    left.seconds[entity] = accepted.seconds[i]!
    left.nanos[entity] = accepted.nanos[i]!
  }
  return left
}

/** Whether row a, which comes later in the log, is older than row b. */
function isOlder({ view, seconds, nanos }: Accepted, a: number, b: number): boolean {
  if (view.order === 'log') return false
  return seconds[a] === seconds[b] ? nanos[a]! < nanos[b]! : seconds[a]! < seconds[b]!
}

function emptyLeft(count: number): Left {
  return {
    count,
    rows: new Int32Array(count),
    ops: new Uint8Array(count),
    offsets: new Float64Array(count),
    deletedAt: new Float64Array(count),
    seconds: new Float64Array(count),
    nanos: new Int32Array(count),
  }
}

function selectKeys(
  { keys: { bytes, offsets } }: Accepted,
  { rows, count }: Left,
  out: BytesOut,
): Pick<FeatureRows, 'keys' | 'keyOffsets'> {
  out.end = 0
  const keyOffsets = new Int32Array(count + 1)
  for (let i = 0; i < count; i++) {
    const row = rows[i]!
    out.ensure(offsets[row + 1]! - offsets[row]!)
    out.copy(bytes, offsets[row]!, offsets[row + 1]!)
    keyOffsets[i + 1] = out.end
  }
  return { keys: out.bytes, keyOffsets }
}

function encodeValues(values: Values, { rows, ops, count }: Left, out: BytesOut): EncodedValues {
  out.end = 0
  out.ensure(count * 12 + 64)
  const offsets = new Int32Array(count + 1)
  const valued = rows.slice()
  for (let i = 0; i < count; i++) if (ops[i] === FeatureOp.delete) valued[i] = -1
  writeValues(out, values, valued, offsets)
  return { data: out.bytes, offsets }
}
