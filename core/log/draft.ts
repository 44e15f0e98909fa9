/**
 * The body of a commit in the making: which blocks go where, and what the footer says of them. Pure;
 * offsets are given only when the place in the chain is known.
 */
import type { Schema } from '../record/schema.ts'
import type { ChainState } from './chain-state.ts'
import type { CommitFooter, SegmentRef, StatePart, StoredBlock } from './codec-commit.ts'
import { placeBlocks, placeState, type FreshState, type StagedPiece } from './stage.ts'
import type { FreshBlock, StagedBlock, StagedSegment } from './types.ts'

/** Blocks and state of more than this go to a segment, so that a commit object stays quick to read. */
const bodyBytesMax = 4 * 1024 * 1024

type BodyFooter = Pick<
  CommitFooter,
  'schemas' | 'known' | 'segments' | 'blocks' | 'state' | 'bodyBytes'
>

export interface DraftBody {
  /** True when the parts must go to a segment first; never with `spilled`. */
  readonly tooLarge: boolean
  /** What lies in the commit object itself, in order. */
  readonly parts: readonly Uint8Array[]
  footerOf(state: ChainState): BodyFooter
}

/** `spilled`, if given, is the segment that holds all fresh blocks, in their order, and the state. */
export function draftBody(
  pieces: readonly (FreshBlock | StagedPiece)[],
  state: FreshState | null,
  spilled: StagedSegment | null = null,
): DraftBody {
  const fresh = pieces.filter((piece): piece is FreshBlock => piece.kind === 'fresh')
  const parts = spilled === null ? fresh.map((block) => block.bytes) : []
  if (spilled === null && state !== null) parts.push(state.bytes)
  const bodyBytes = parts.reduce((sum, part) => sum + part.length, 0)
  return {
    tooLarge: bodyBytes > bodyBytesMax,
    parts,
    footerOf: (chain) => {
      const layout = layOut(pieces, fresh, spilled)
      const stateStart = fresh.reduce((sum, block) => sum + block.bytes.length, 0)
      return {
        ...schemasOf(pieces, chain),
        segments: layout.segments,
        blocks: withOffsets(layout.blocks, chain),
        state: stateOf(state, stateStart, spilled === null ? -1 : 0),
        bodyBytes,
      }
    },
  }
}

function stateOf(state: FreshState | null, start: number, segment: number): StatePart | null {
  return state === null ? null : placeState(state, start, segment)
}

function layOut(
  pieces: readonly (FreshBlock | StagedPiece)[],
  fresh: readonly FreshBlock[],
  spilled: StagedSegment | null,
): { readonly segments: SegmentRef[]; readonly blocks: StoredBlock[] } {
  const segments: SegmentRef[] =
    spilled === null ? [] : [{ key: spilled.key, bytes: spilled.bytes }]
  const own = placeBlocks(fresh, 0, spilled === null ? -1 : 0).values()
  const blocks: StoredBlock[] = []
  for (const piece of pieces) {
    if (piece.kind === 'fresh') {
      blocks.push(own.next().value!)
      continue
    }
    const index = segments.push({ key: piece.segment.key, bytes: piece.segment.bytes }) - 1
    for (const block of piece.segment.blocks) blocks.push(storedBlock(block, index))
  }
  return { segments, blocks }
}

function storedBlock(block: StagedBlock, segment: number): StoredBlock {
  const { schema, ...rest } = block
  return {
    ...rest,
    schemaId: schema?.id ?? null,
    segment,
    baseOffset: 0,
    byteLength: block.byteEnd - block.byteStart,
  }
}

function withOffsets(blocks: readonly StoredBlock[], chain: ChainState): StoredBlock[] {
  const next = new Map<string, number>()
  return blocks.map((block) => {
    const baseOffset = next.get(block.topic) ?? chain.nextOffset(block.topic)
    next.set(block.topic, baseOffset + block.rows)
    return { ...block, baseOffset }
  })
}

/** The schemas that are new to the chain, and where the others came in. */
function schemasOf(
  pieces: readonly (FreshBlock | StagedPiece)[],
  chain: ChainState,
): { readonly schemas: Schema[]; readonly known: Record<string, number> } {
  const fresh = new Map<string, Schema>()
  const known: Record<string, number> = {}
  const used = pieces.flatMap((piece) =>
    piece.kind === 'fresh' ? [piece.schema] : piece.segment.blocks.map((block) => block.schema),
  )
  for (const schema of used) {
    if (schema === null) continue
    const found = chain.schemas.get(schema.id)
    if (found === undefined) fresh.set(schema.id, schema)
    else known[schema.id] = found.seq
  }
  return { schemas: [...fresh.values()], known }
}
