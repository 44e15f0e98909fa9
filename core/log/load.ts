/**
 * Reading a chain without writing to it: one commit, the hint, a snapshot, and the fold of them all.
 */
import { SluiceError } from '../errors/error.ts'
import { openCommit, type OpenedCommit } from './codec-commit.ts'
import { footerReach, ObjectKind, tailBytes, type ObjectPart } from './codec-object.ts'
import { decodeHint, decodeSnapshot, type Hint } from './codec-snapshot.ts'
import { ChainState } from './chain-state.ts'
import { commitKey, hintKey, snapshotKey } from './keys.ts'
import { readObject, type Log } from './log.ts'

/** A first read of this many last bytes brings the footer of nearly every commit, and small ones whole. */
export const footerGuessBytes = 64 * 1024
/** Commits read at the same time while a chain is folded. */
const foldWidth = 8

/** A commit and what was read of it. */
export interface LoadedCommit extends OpenedCommit {
  readonly part: ObjectPart
  /** Bytes of the object. */
  readonly size: number
}

/** Commit `seq`, or null when there is none. At least its last `suffixBytes` are read. */
export async function loadCommit(
  log: Log,
  chain: string,
  seq: number,
  suffixBytes: number,
  signal: AbortSignal,
): Promise<LoadedCommit | null> {
  const key = commitKey(chain, seq)
  let found = await readObject(log, key, signal, { suffix: suffixBytes })
  if (found === null) return null
  let part = { key, bytes: found.bytes, start: found.size - found.bytes.length }
  const reach = footerReach(part, ObjectKind.commit)
  if (reach > part.bytes.length) {
    found = await readObject(log, key, signal, { suffix: reach })
    if (found === null) throw missing(log, key, null)
    part = { key, bytes: found.bytes, start: found.size - found.bytes.length }
  }
  return { ...opened(log, part, chain, seq), part, size: found.size }
}

/** Commits that are kept open: readers at the end of a chain, one for each topic of a sink, come for the same few. */
const openMax = 32
const openCommits = new WeakMap<Log, Map<string, OpenCommit>>()

interface OpenCommit {
  readonly commit: OpenedCommit
  readonly end: Uint8Array
}

/** The commit, opened once for all who come for it. That it is the same one is told by its end, where its checksum is. */
function opened(log: Log, part: ObjectPart, chain: string, seq: number): OpenedCommit {
  let known = openCommits.get(log)
  if (known === undefined) openCommits.set(log, (known = new Map<string, OpenCommit>()))
  const end = part.bytes.subarray(-tailBytes)
  const found = known.get(part.key)
  if (found !== undefined && Buffer.compare(found.end, end) === 0) return found.commit
  const commit = openCommit(part, chain, seq)
  known.set(part.key, { commit, end: end.slice() })
  if (known.size > openMax) known.delete(known.keys().next().value!)
  return commit
}

/** Zero snapshot and floor 1 when the chain has no hint yet. */
export async function loadHint(log: Log, chain: string, signal: AbortSignal): Promise<Hint> {
  const key = hintKey(chain)
  const found = await log.store.get(key, signal)
  if (found === null) return { snapshot: 0, floor: 1 }
  return decodeHint({ key, bytes: found.bytes, start: 0 }, chain)
}

/** The snapshot of `seq`; an empty chain for 0. */
export async function loadSnapshot(
  log: Log,
  chain: string,
  seq: number,
  signal: AbortSignal,
): Promise<ChainState | null> {
  if (seq === 0) return new ChainState(chain)
  const key = snapshotKey(chain, seq)
  const found = await log.store.get(key, signal)
  return found === null ? null : decodeSnapshot({ key, bytes: found.bytes, start: 0 }, chain, seq)
}

/** Everything that the chain's commits add up to: hint, its snapshot, then commits until none is found. */
export async function loadChain(log: Log, chain: string, signal: AbortSignal): Promise<ChainState> {
  const state = await loadNewestSnapshot(log, chain, signal)
  for (;;) {
    const seqs = Array.from({ length: foldWidth }, (_, i) => state.seq + 1 + i)
    const commits = await Promise.all(
      seqs.map((seq) => loadCommit(log, chain, seq, footerGuessBytes, signal)),
    )
    for (const commit of commits) {
      if (commit === null) return state
      state.apply(commit)
    }
  }
}

async function loadNewestSnapshot(
  log: Log,
  chain: string,
  signal: AbortSignal,
): Promise<ChainState> {
  let hint = await loadHint(log, chain, signal)
  for (;;) {
    const state = await loadSnapshot(log, chain, hint.snapshot, signal)
    if (state !== null) return state
    // Retention may have removed it since: then the hint names a newer one by now.
    const newer = await loadHint(log, chain, signal)
    if (newer.snapshot <= hint.snapshot) {
      throw missing(log, snapshotKey(chain, hint.snapshot), hint.floor)
    }
    hint = newer
  }
}

export function missing(log: Log, key: string, floor: number | null): SluiceError {
  const below = floor === null ? '' : `; the chain's floor is commit ${floor}`
  return new SluiceError('log.object_missing', {
    message: `${log.store.url}: ${key} is missing${below}`,
  })
}
