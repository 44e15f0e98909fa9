/**
 * Entries of a commit -> encoded blocks, and blocks -> a segment object. Encoding knows no offsets
 * and no sequence, so it runs while the commit before is still on its way.
 */
import { freeBatch, freeMemory } from '../record/batch-memory.ts'
import type { Batch } from '../record/batch.ts'
import type { Schema } from '../record/schema.ts'
import { SluiceError } from '../errors/error.ts'
import { encodeBlock } from './codec-block.ts'
import {
  segmentJson,
  type SegmentFooter,
  type StatePart,
  type StoredBlock,
} from './codec-commit.ts'
import { align8, compressFrame } from './codec-frames.ts'
import { checksum, ObjectKind, sealObject } from './codec-object.ts'
import type { EncodedRows, FreshBlock, LogEntry, StagedBlock, StagedSegment } from './types.ts'

const topicLengthMax = 1000

export interface StagedPiece {
  readonly kind: 'staged'
  readonly segment: StagedSegment
}

export async function encodeEntries(
  entries: readonly (LogEntry | EncodedRows)[],
): Promise<(FreshBlock | StagedPiece)[]> {
  return Promise.all(entries.map((entry) => encodeEntry(entry)))
}

async function encodeEntry(entry: LogEntry | EncodedRows): Promise<FreshBlock | StagedPiece> {
  if (entry.kind === 'staged') return entry
  if (entry.kind === 'encoded') return entry.block
  return encodeRows(entry)
}

/** Up to the compression of large parts on other threads at once, before it gives a promise. */
export async function encodeRows(
  entry: Extract<LogEntry, { readonly topic: string }>,
): Promise<FreshBlock> {
  const { topic } = entry
  if (topic === '' || topic.length > topicLengthMax) {
    throw new SluiceError('log.name_invalid', {
      message: `topic ${JSON.stringify(topic.slice(0, 40))} has a name of ${topic.length} characters`,
    })
  }
  if (entry.kind === 'truncate') {
    const none = { schema: null, bytes: new Uint8Array(0), timeMinUs: 0, timeMaxUs: 0 }
    return { kind: 'fresh', topic, rows: 1, ...none }
  }
  const { batch } = entry
  const bytes = await encodeBlock(batch)
  const { schema, rows } = batch
  const piece: FreshBlock = { kind: 'fresh', topic, schema, rows, bytes, ...timeRange(batch) }
  if (entry.owned === true) freeBatch(batch)
  return piece
}

/** Finite bounds; a row without a sane time does not widen them. 0, 0 when there is none. */
function timeRange({ timesUs }: Batch): { timeMinUs: number; timeMaxUs: number } {
  let min = Infinity
  let max = -Infinity
  for (let i = 0; i < timesUs.length; i++) {
    const time = timesUs[i]!
    if (time < min && time !== -Infinity) min = time
    if (time > max && time !== Infinity) max = time
  }
  return min <= max ? { timeMinUs: min, timeMaxUs: max } : { timeMinUs: 0, timeMaxUs: 0 }
}

/** Gives the memory of blocks back that lie in an object now. */
export function freeBlocks(pieces: readonly (FreshBlock | StagedPiece)[]): void {
  for (const piece of pieces) if (piece.kind === 'fresh') freeMemory(piece.bytes)
}

/** Blocks laid one behind the other from `start` on, in the object with that segment index. */
export function placeBlocks(
  blocks: readonly FreshBlock[],
  start: number,
  segment: number,
): StoredBlock[] {
  let at = start
  return blocks.map((block) => {
    const byteStart = at
    at += block.bytes.length
    return {
      topic: block.topic,
      kind: block.schema === null ? 'truncate' : 'rows',
      baseOffset: 0,
      rows: block.rows,
      schemaId: block.schema?.id ?? null,
      segment,
      byteStart,
      byteEnd: at,
      crc32c: checksum(block.bytes),
      timeMinUs: block.timeMinUs,
      timeMaxUs: block.timeMaxUs,
      byteLength: block.bytes.length,
    }
  })
}

/** State bytes as stored, padded to a multiple of 8; the checksum covers the padding. */
export interface FreshState {
  readonly kind: 'full' | 'delta'
  readonly bytes: Uint8Array
  readonly storedBytes: number
  readonly rawBytes: number
}

export async function encodeState(state: {
  readonly kind: 'full' | 'delta'
  readonly bytes: Uint8Array
}): Promise<FreshState> {
  const { bytes: stored } = await compressFrame({ bytes: state.bytes, owned: false })
  const bytes = new Uint8Array(align8(stored.length))
  bytes.set(stored)
  return { kind: state.kind, bytes, storedBytes: stored.length, rawBytes: state.bytes.length }
}

export function placeState(state: FreshState, start: number, segment: number): StatePart {
  return {
    segment,
    byteStart: start,
    byteEnd: start + state.storedBytes,
    rawBytes: state.rawBytes,
    crc32c: checksum(state.bytes),
    kind: state.kind,
  }
}

/** The object of a segment and what a commit needs to know of it. */
export function sealSegment(
  key: string,
  blocks: readonly FreshBlock[],
  state: FreshState | null,
  common: Pick<SegmentFooter, 'chain' | 'epoch' | 'writer' | 'id' | 'timeMs'>,
): { readonly bytes: Uint8Array; readonly segment: StagedSegment } {
  const placed = placeBlocks(blocks, 0, -1)
  const blockBytes = placed.at(-1)?.byteEnd ?? 0
  const body = blocks.map((block) => block.bytes)
  if (state !== null) body.push(state.bytes)
  const schemas = new Map<string, Schema>()
  for (const { schema } of blocks) if (schema !== null) schemas.set(schema.id, schema)
  const { bytes } = sealObject(
    ObjectKind.segment,
    body,
    segmentJson({
      ...common,
      schemas: [...schemas.values()],
      blocks: placed,
      state: state === null ? null : placeState(state, blockBytes, -1),
      bodyBytes: blockBytes + (state?.bytes.length ?? 0),
    }),
  )
  const staged = blocks.map((block, i): StagedBlock => {
    const { topic, kind, rows, byteStart, byteEnd, crc32c, timeMinUs, timeMaxUs } = placed[i]!
    const { schema } = block
    return { topic, kind, rows, schema, byteStart, byteEnd, crc32c, timeMinUs, timeMaxUs }
  })
  return { bytes, segment: { key, bytes: bytes.length, blocks: staged } }
}
