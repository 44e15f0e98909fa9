/**
 * What the Postgres store remembers of an entity beside its features, in a row of the same table under
 * a feature name that no view has. Feast asks for features by name and never sees it, and if it did, it
 * would read a value of type BYTES.
 *
 *   entity_key, feature_name '_sluice_state', event_ts of the features or of the deletion,
 *   created_ts when it was written, value = 0x0a 0x10 · newest:u64 · deleted:u64      big-endian
 *
 *   newest  = 1 + offset of the row whose values the entity has; 0: none
 *   deleted = 1 + offset of the last deletion; 0: none
 *
 * Bytes compare as the numbers do, in SQL too. An entity has features as long as newest > deleted.
 * Under the empty entity key they are for the view as a whole: `deleted` is the last truncate, `newest`
 * the last row of the newest live batch (other-log.ts).
 */
import type { FeatureRows } from '../target.ts'
import { byteaArray, type Spans } from './arrays.ts'

export const stateFeature = '_sluice_state'
/** Tag and length of `bytes_val` in feast's Value.proto. */
const head = [0x0a, 0x10] as const
const stateBytes = 18
const two32 = 2 ** 32

/** A bytea[] of the states that the rows bring with them. */
export function stateArray({ offsets, deletedAt }: FeatureRows, rows: Int32Array): Buffer {
  const states = Buffer.alloc(rows.length * stateBytes)
  const from = new Int32Array(rows.length)
  for (const [i, row] of rows.entries()) {
    const at = i * stateBytes
    from[i] = at
    writeState(states, at, offsets[row]!, deletedAt[row]!)
  }
  const spans: Spans = { data: states, from, end: from.map((at) => at + stateBytes) }
  return byteaArray(spans)
}

/** One state; −1 for an offset that is not there. */
export function stateOf(newest: number, deleted: number): Buffer {
  const state = Buffer.alloc(stateBytes)
  writeState(state, 0, newest, deleted)
  return state
}

/** Offset behind the newest row and the last deletion; 0: there is neither. */
export function stateEnd(state: Buffer): number {
  return Math.max(readU64(state, 2), readU64(state, 10))
}

function writeState(into: Buffer, at: number, newest: number, deleted: number): void {
  into[at] = head[0]
  into[at + 1] = head[1]
  writeU64(into, at + 2, newest + 1)
  writeU64(into, at + 10, deleted + 1)
}

function writeU64(into: Buffer, at: number, value: number): void {
  into.writeUInt32BE(Math.floor(value / two32), at)
  into.writeUInt32BE(value % two32, at + 4)
}

function readU64(from: Buffer, at: number): number {
  return from.readUInt32BE(at) * two32 + from.readUInt32BE(at + 4)
}
