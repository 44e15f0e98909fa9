/**
 * Reading a chain without writing to it: one commit, the hint, a snapshot, and the fold of them all.
 */
import { SluiceError } from '../errors/error.ts'
import type { OpenedCommit } from './codec-commit.ts'
import { footerReach, ObjectKind, type ObjectPart } from './codec-object.ts'
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
  return { ...log.opened.of(part, chain, seq), part, size: found.size }
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
