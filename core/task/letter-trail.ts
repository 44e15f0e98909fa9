/**
 * The trail of a task's dead letters: each commit that holds some names the one before it that did, in
 * its notes, so that letters are found from the newest back without looking at any other commit.
 *
 *   notes.letters = { last: this commit, before: the one before it or 0,
 *                     open: letters open after it; null where the task does not count them,
 *                     unlinked: commits up to this one may hold letters without a trail }
 *
 * `unlinked` is where a chain stood when it was first written with a trail; older letters are found by
 * reading the chain from its first one.
 */
import { SluiceError } from '../errors/error.ts'
import { locate } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { ChainHead, Commit } from '../log/types.ts'
import type { Batch } from '../record/batch.ts'

export interface Trail {
  readonly last: number
  readonly before: number
  readonly unlinked: number
}
export interface LetterTrail extends Trail {
  readonly open: number | null
}

export interface LetterTopic {
  readonly log: Log
  readonly chain: string
  /** `<task>.dead_letters`. */
  readonly topic: string
}

/** The dead letters of one commit. */
export interface LetterBlock {
  readonly seq: number
  /** Offset of the first row. */
  readonly base: number
  readonly batch: Batch
}

/** Where the trail of a chain begins; `open` is null while the chain has letters and no trail yet. */
export function trailOf(head: ChainHead | null, topic: string): LetterTrail {
  const kept = (head?.notes as { readonly letters?: LetterTrail } | null)?.letters
  if (kept !== undefined) return kept
  const unlinked = head !== null && head.topics.has(topic)
  return {
    last: 0,
    before: 0,
    open: unlinked ? null : 0,
    unlinked: unlinked ? head.seq : 0,
  }
}

/** The trail once a commit with letters is written as `seq`. */
export function nextTrail(trail: Trail, seq: number): Trail {
  return { last: seq, before: trail.last, unlinked: trail.unlinked }
}

/** Every commit with dead letters, the newest first. `wanted`: columns to read; all when null. */
export async function* letterBlocks(
  { log, chain, topic }: LetterTopic,
  head: ChainHead | null,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): AsyncGenerator<LetterBlock> {
  const trail = trailOf(head, topic)
  for (let seq = trail.last; seq > 0;) {
    await using reader = ChainReader.open(log, chain, seq)
    const commit = await commitAt(reader, signal)
    const block = await blockOf(reader, commit, topic, wanted, signal)
    if (block !== null) yield block
    const notes = commit.notes as { readonly letters?: LetterTrail } | null
    seq = notes?.letters?.before ?? 0
  }
  if (trail.unlinked > 0) {
    for (const seq of (
      await unlinkedSeqs({ log, chain, topic }, trail.unlinked, signal)
    ).toReversed()) {
      yield await letterBlock({ log, chain, topic }, seq, wanted, signal)
    }
  }
}

/** The dead letters of commit `seq`, which has some. */
export async function letterBlock(
  { log, chain, topic }: LetterTopic,
  seq: number,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): Promise<LetterBlock> {
  await using reader = ChainReader.open(log, chain, seq)
  const commit = await commitAt(reader, signal)
  const block = await blockOf(reader, commit, topic, wanted, signal)
  if (block !== null) return block
  throw new SluiceError('internal.bug', {
    message: `${chain}: commit ${seq} holds no dead letters`,
  })
}

/** One that is there: the trail names no other. */
async function commitAt(reader: ChainReader, signal: AbortSignal): Promise<Commit> {
  const commit = await reader.tryNext(signal)
  if (commit !== null) return commit
  throw new SluiceError('log.object_missing', {
    message: `${reader.chain}: commit ${reader.seq}, which holds dead letters, is not there any more`,
  })
}

async function blockOf(
  reader: ChainReader,
  commit: Commit,
  topic: string,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): Promise<LetterBlock | null> {
  const index = commit.blocks.findIndex((block) => block.topic === topic && block.rows > 0)
  if (index < 0) return null
  const batch = await reader.readBlock(commit, index, signal, wanted)
  return batch === null ? null : { seq: commit.seq, base: commit.blocks[index]!.baseOffset, batch }
}

async function unlinkedSeqs(
  { log, chain, topic }: LetterTopic,
  until: number,
  signal: AbortSignal,
): Promise<number[]> {
  const { seq } = await locate(log, chain, topic, 'start', signal)
  const seqs: number[] = []
  await using reader = ChainReader.open(log, chain, seq)
  while (reader.seq <= until) {
    const commit = await reader.tryNext(signal)
    if (commit === null) break
    if (commit.blocks.some((block) => block.topic === topic && block.rows > 0))
      seqs.push(commit.seq)
  }
  return seqs
}
