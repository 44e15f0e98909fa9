/**
 * Which entities go in one call: as many as keep the server busy for a fraction of a millisecond, since
 * nothing else runs in it meanwhile; in a cluster, all of one slot.
 */
import type { FeatureRows } from '../target.ts'
import { slotOf } from './slot.ts'

/** From about here on larger calls gain nothing (bench P12), and this many keep a server busy for 0.4 ms. */
const entitiesMax = 64
const bytesMax = 64 * 1024

export interface PlannedCalls {
  /** Entities in the order of the calls. */
  readonly order: Int32Array
  /** Call i takes order[ends[i − 1], ends[i]). */
  readonly ends: Int32Array
  /** One a call. */
  readonly slots: Int32Array
}

/** Leaves out the entities marked in `skip`. */
export function planCalls(
  rows: FeatureRows,
  skip: Uint8Array | null,
  clusterProject: Uint8Array | null,
): PlannedCalls {
  const order = new Int32Array(rows.count)
  let count = 0
  for (let i = 0; i < rows.count; i++) if (skip === null || skip[i] === 0) order[count++] = i
  const kept = order.subarray(0, count)
  const slotOfEntity = clusterProject === null ? null : slotsOf(rows, clusterProject)
  if (slotOfEntity !== null) kept.sort((a, b) => slotOfEntity[a]! - slotOfEntity[b]! || a - b)
  const ends = new Int32Array(count)
  const slots = new Int32Array(count)
  let calls = 0
  let first = 0
  let bytes = 0
  for (let i = 0; i < count; i++) {
    const slot = slotOfEntity === null ? 0 : slotOfEntity[kept[i]!]!
    const size = entityBytes(rows, kept[i]!)
    const full = i - first === entitiesMax || bytes + size > bytesMax
    if (i > first && (full || slot !== slots[calls])) {
      ends[calls++] = i
      first = i
      bytes = 0
    }
    slots[calls] = slot
    bytes += size
  }
  if (count > 0) ends[calls++] = count
  return { order: kept, ends: ends.subarray(0, calls), slots: slots.subarray(0, calls) }
}

function entityBytes({ keyOffsets, values }: FeatureRows, at: number): number {
  let bytes = keyOffsets[at + 1]! - keyOffsets[at]!
  for (let i = 0; i < values.length; i++) {
    const { offsets } = values[i]!
    bytes += offsets[at + 1]! - offsets[at]!
  }
  return bytes
}

function slotsOf({ count, keys, keyOffsets }: FeatureRows, project: Uint8Array): Int32Array {
  const slots = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    slots[i] = slotOf({ bytes: keys, from: keyOffsets[i]!, end: keyOffsets[i + 1]! }, project)
  }
  return slots
}
