/** A commit as its readers see it, made from its footer. */
import type { Schema } from '../record/schema.ts'
import { SluiceError } from '../errors/error.ts'
import type { CommitFooter } from './codec-commit.ts'
import type { BlockInfo, Commit } from './types.ts'

/** Where a block's bytes are. Plain data: a commit may cross to another thread and be read there. */
export interface BlockPlace {
  readonly key: string
  readonly byteStart: number
  readonly byteEnd: number
  readonly crc32c: number
}

interface PlacedBlock extends BlockInfo {
  readonly place: BlockPlace
}

/** `key` and `size` are the commit object's. */
export function viewCommit(
  footer: CommitFooter,
  key: string,
  size: number,
  schemaOf: (id: string) => Schema,
): Commit {
  const blocks = footer.blocks.map((block): PlacedBlock => ({
    topic: block.topic,
    kind: block.kind,
    baseOffset: block.baseOffset,
    rows: block.rows,
    schema: block.schemaId === null ? null : schemaOf(block.schemaId),
    timeMinUs: block.timeMinUs,
    timeMaxUs: block.timeMaxUs,
    byteLength: block.byteLength,
    place: {
      key: block.segment < 0 ? key : footer.segments[block.segment]!.key,
      byteStart: block.byteStart,
      byteEnd: block.byteEnd,
      crc32c: block.crc32c,
    },
  }))
  return {
    chain: footer.chain,
    seq: footer.seq,
    epoch: footer.epoch,
    writer: footer.writer,
    commitId: footer.id,
    timeMs: footer.timeMs,
    position: footer.position,
    cursors: footer.cursors,
    notes: footer.notes,
    blocks,
    bytes: footer.segments.reduce((sum, segment) => sum + segment.bytes, size),
  }
}

export function placeOf(block: BlockInfo): BlockPlace {
  if ('place' in block) return (block as PlacedBlock).place
  throw new SluiceError('internal.bug', {
    message: `a block of ${block.topic} did not come from the log's reader`,
  })
}
