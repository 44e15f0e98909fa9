/** Looking at a chain from outside: its head, and where in it a reader should start. */
import { SluiceError } from '../errors/error.ts'
import type { ChainState } from './chain-state.ts'
import type { StoredBlock } from './codec-commit.ts'
import { seqOf, snapshotPrefix } from './keys.ts'
import { footerGuessBytes, loadChain, loadCommit, loadSnapshot } from './load.ts'
import type { Log } from './log.ts'
import { ChainReader } from './reader.ts'
import type { ChainHead } from './types.ts'

const listPage = 1000
/** Commits looked at together. */
const scanWidth = 8

/** A place in a topic: the commit that holds it, and the row's offset. */
export interface Location {
  readonly seq: number
  readonly offset: number
}

export type LocateAt = 'start' | 'end' | { readonly offset: number } | { readonly timeUs: number }

/** What the chain says now, without taking it over; null when it has no commit. */
export async function readHead(
  log: Log,
  chain: string,
  signal: AbortSignal,
): Promise<ChainHead | null> {
  const state = await loadChain(log, chain, signal)
  return state.seq === 0 ? null : state.head()
}

/**
 * Where to start reading a topic: at its first row still there, after its last, at an offset, or at
 * the first row whose time is `timeUs` or later. `seq` is the commit to read first; rows of it below
 * `offset` are to be skipped. Throws `log.offset_unknown` for an offset beyond the end or below the
 * floor; a topic without such a row (or not known yet) starts at the end.
 */
export async function locate(
  log: Log,
  chain: string,
  topic: string,
  at: LocateAt,
  signal: AbortSignal,
): Promise<Location> {
  const state = await loadChain(log, chain, signal)
  const end = { seq: state.seq + 1, offset: state.nextOffset(topic) }
  if (at === 'end') return end
  if (typeof at === 'object' && 'offset' in at) {
    if (at.offset === end.offset) return end
    if (at.offset > end.offset || at.offset < 0) throw unknownOffset(chain, topic, at.offset, end)
  }
  const wanted = matcher(at)
  if (!wanted.within(state, topic)) return end
  const from = await lastSnapshotBefore(log, state, topic, wanted, signal)
  const found = await scan(log, state, topic, { from, wanted }, signal)
  if (found === null) return end
  const { seq, block } = found
  if (typeof at === 'object' && 'offset' in at && at.offset < block.baseOffset) {
    throw unknownOffset(chain, topic, at.offset, { seq, offset: block.baseOffset })
  }
  return { seq, offset: await rowIn(log, chain, found, at, signal) }
}

/** Whether a chain's state, or a block, reaches the place that is looked for. */
interface Matcher {
  within(state: ChainState, topic: string): boolean
  in(block: StoredBlock): boolean
}

function matcher(at: Exclude<LocateAt, 'end'>): Matcher {
  if (at === 'start') {
    return { within: (state, topic) => state.topics.has(topic), in: () => true }
  }
  if ('offset' in at) {
    return {
      within: (state, topic) => state.nextOffset(topic) > at.offset,
      in: (block) => block.baseOffset + block.rows > at.offset,
    }
  }
  return {
    within: (state, topic) => (state.topics.get(topic)?.timeMaxUs ?? -Infinity) >= at.timeUs,
    in: (block) => block.kind === 'rows' && block.rows > 0 && block.timeMaxUs >= at.timeUs,
  }
}

/** Binary search over the snapshots: the place is after the one returned, and at most 256 commits on. */
async function lastSnapshotBefore(
  log: Log,
  state: ChainState,
  topic: string,
  wanted: Matcher,
  signal: AbortSignal,
): Promise<number> {
  const seqs: number[] = []
  const prefix = snapshotPrefix(state.chain)
  for (let after: string | undefined; ;) {
    const options = { limit: listPage, ...(after === undefined ? {} : { after }) }
    const keys = await log.store.list(prefix, options, signal)
    seqs.push(...keys.map(seqOf).filter((seq) => seq >= state.floor && seq <= state.seq))
    after = keys.at(-1)
    if (keys.length < listPage) break
  }
  seqs.sort((a, b) => a - b)
  let low = 0
  let high = seqs.length
  while (low < high) {
    const middle = (low + high) >> 1
    const snapshot = await loadSnapshot(log, state.chain, seqs[middle]!, signal)
    if (snapshot !== null && wanted.within(snapshot, topic)) high = middle
    else low = middle + 1
  }
  return low === 0 ? state.floor - 1 : seqs[low - 1]!
}

interface Found {
  readonly seq: number
  readonly block: StoredBlock
  readonly index: number
}

/** The first block of the topic, in commits after `from`, that matches. */
async function scan(
  log: Log,
  state: ChainState,
  topic: string,
  { from, wanted }: { readonly from: number; readonly wanted: Matcher },
  signal: AbortSignal,
): Promise<Found | null> {
  for (let first = from + 1; first <= state.seq; first += scanWidth) {
    const count = Math.min(scanWidth, state.seq - first + 1)
    const seqs = Array.from({ length: count }, (_, i) => first + i)
    const commits = await Promise.all(
      seqs.map((seq) => loadCommit(log, state.chain, seq, footerGuessBytes, signal)),
    )
    for (const commit of commits) {
      const blocks = commit?.footer.blocks ?? []
      const index = blocks.findIndex((block) => block.topic === topic && wanted.in(block))
      if (commit !== null && index >= 0) {
        return { seq: commit.footer.seq, block: blocks[index]!, index }
      }
    }
  }
  return null
}

async function rowIn(
  log: Log,
  chain: string,
  { seq, block, index }: Found,
  at: LocateAt,
  signal: AbortSignal,
): Promise<number> {
  if (typeof at === 'string') return block.baseOffset
  if ('offset' in at) return at.offset
  await using reader = ChainReader.open(log, chain, seq)
  const commit = await reader.tryNext(signal)
  const batch = commit === null ? null : await reader.readBlock(commit, index, signal)
  const row = batch?.timesUs.findIndex((timeUs) => timeUs >= at.timeUs) ?? 0
  return block.baseOffset + Math.max(0, row)
}

function unknownOffset(chain: string, topic: string, offset: number, to: Location): SluiceError {
  return new SluiceError('log.offset_unknown', {
    message: `${chain}: ${topic} has no offset ${offset}; the nearest is ${to.offset} in commit ${to.seq}`,
  })
}
