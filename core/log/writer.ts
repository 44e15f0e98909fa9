/**
 * ChainWriter: the one writer of a chain. Opening it takes the chain over by a fence commit of the
 * next epoch; from then on whoever wrote before finds its next place taken. No clock is in that
 * argument: a writer may sleep for a day and will still be refused.
 *
 * A commit is one PUT (two when its blocks are large), and one PUT is in flight at a time; the next
 * commit's blocks are encoded meanwhile. Snapshots are written along with commits, so an idle chain
 * writes nothing.
 */
import { SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { ChainState } from './chain-state.ts'
import { commitJson, openCommit, type CommitFooter, type OpenedCommit } from './codec-commit.ts'
import { ObjectKind, sealObject } from './codec-object.ts'
import { encodeHint, encodeSnapshot } from './codec-snapshot.ts'
import { viewCommit } from './commit-view.ts'
import { createCommit } from './create-commit.ts'
import { draftBody, type DraftBody } from './draft.ts'
import { commitKey, hintKey, segmentKey, snapshotKey } from './keys.ts'
import { loadChain, loadHint } from './load.ts'
import { newId, type Log } from './log.ts'
import {
  encodeEntries,
  encodeRows,
  encodeState,
  freeBlocks,
  sealSegment,
  type FreshState,
  type StagedPiece,
} from './stage.ts'
import { loadState } from './state.ts'
import type {
  ChainHead,
  Commit,
  CommitDraft,
  EncodedRows,
  FreshBlock,
  LogEntry,
  StagedSegment,
} from './types.ts'

const snapshotCommits = 256
const snapshotMs = 60_000
/** Folding this few commits costs less than a snapshot, however old the last one is. */
const snapshotCommitsMin = 16
/** A writer that slept this long might find its next place free again after retention. */
const floorCheckMs = 6 * 60 * 60 * 1000
const emptyDraft: CommitDraft = { entries: [] }

export interface WriterOptions {
  /** Who writes, for people: `host:pid`, a worker's name. */
  readonly writer: string
  readonly signal: AbortSignal
  /**
   * Told what kept a snapshot from being written, once until one is. Commits go on without, and each tries it
   * again; taking the chain over takes longer meanwhile.
   */
  readonly onSnapshotProblem?: (problem: unknown) => void
}

export class ChainWriter implements AsyncDisposable {
  readonly chain: string
  readonly epoch: number
  readonly #log: Log
  readonly #writer: string
  readonly #state: ChainState
  /** Settles when the commit before is done, well or not. */
  #turn: Promise<void> = Promise.resolve()
  #broken: unknown = null
  readonly #onSnapshotProblem: (problem: unknown) => void
  #snapshotMs: number
  #snapshotFailed = false

  private constructor(log: Log, state: ChainState, options: WriterOptions) {
    const { writer, onSnapshotProblem = () => {} } = options
    this.chain = state.chain
    this.epoch = state.epoch
    this.#log = log
    this.#writer = writer
    this.#onSnapshotProblem = onSnapshotProblem
    this.#state = state
    this.#snapshotMs = log.nowMs()
  }

  /**
   * Takes the chain over. Throws `log.fenced` when another process did so at the same time and won,
   * or since this process held it last: the newcomer was started to replace us, so that taking it
   * back, which a restart after a lost connection would do, makes two processes fight for ever.
   * `log.commit_unresolved` and store errors (transient: open again).
   */
  static async open(log: Log, chain: string, options: WriterOptions): Promise<ChainWriter> {
    const { writer, signal } = options
    const state = await loadChain(log, chain, signal)
    const held = log.held.get(chain)
    if (held !== undefined && state.epoch > held) throw stepDown(state, held)
    // Beyond a fence of ours whose answer was lost: it may get into the chain only now, and is no other's.
    const epoch = Math.max(state.epoch, held ?? 0) + 1
    // Kept before the fence is written: a fence whose answer is lost may be in the chain all the same.
    log.held.set(chain, epoch)
    for (;;) {
      const fence = seal(log, state, {
        writer,
        epoch,
        draft: emptyDraft,
        body: draftBody([], null),
      })
      const other = await createCommit(log, chain, fence, signal)
      failpoint('log.fence.after_create')
      if (other === null) {
        state.apply(fence.opened)
        log.cache.set(commitKey(chain, state.seq), fence.bytes)
        log.wake.notify(chain, state.seq)
        const opened = new ChainWriter(log, state, options)
        await opened.#snapshotIfDue(signal)
        return opened
      }
      if (other.footer.epoch >= epoch) throw fenced(chain, other.footer)
      state.apply(other)
    }
  }

  /** What the chain says, this writer's commits included. */
  get head(): ChainHead {
    return this.#state.head()
  }

  /** The operator state: the last full one, if any, and the deltas after it. */
  async state(
    signal: AbortSignal,
  ): Promise<{ readonly full: Uint8Array | null; readonly deltas: readonly Uint8Array[] }> {
    return loadState(this.#log, this.#state, signal)
  }

  /**
   * Begins to encode rows that wait for their commit, so that the work is done by then, beside the commit before.
   * Whatever is wrong with them is told by the commit.
   */
  encode(entry: LogEntry): LogEntry | EncodedRows {
    if (entry.kind !== 'rows') return entry
    const block = encodeRows(entry)
    block.catch(() => {})
    return { kind: 'encoded', block }
  }

  /**
   * Writes rows to a segment of their own, which stays invisible until a commit names it as a
   * `staged` entry; forgetting it aborts it. May run beside `commit`.
   */
  async stage(entries: readonly LogEntry[], signal: AbortSignal): Promise<StagedSegment> {
    const pieces = await encodeEntries(entries)
    const fresh = pieces.filter((piece): piece is FreshBlock => piece.kind === 'fresh')
    if (fresh.length < pieces.length) {
      throw new SluiceError('internal.bug', { message: 'a staged segment cannot be staged again' })
    }
    const segment = await this.#putSegment(fresh, null, signal)
    freeBlocks(fresh)
    return segment
  }

  /**
   * Durable when it resolves. Calls may overlap; commits are made in the order of the calls.
   *
   * Throws `log.fenced`, what the store throws, and `log.commit_unresolved` or the abort's reason when
   * the outcome is open. Whatever it is, this writer then refuses all further work: a later commit may
   * say that rows are done which the one that failed was to hold. Opening the chain again settles what
   * happened.
   */
  async commit(draft: CommitDraft, signal: AbortSignal): Promise<Commit> {
    const before = this.#turn
    let done = (): void => {}
    this.#turn = new Promise((resolve) => {
      done = resolve
    })
    try {
      const encoded = Promise.all([
        encodeEntries(draft.entries),
        draft.state === undefined ? null : encodeState(draft.state),
      ])
      const [result] = await Promise.allSettled([encoded, before])
      if (result.status === 'rejected') throw result.reason
      const [pieces, state] = result.value
      return await this.#publish(draft, pieces, state, signal)
    } catch (error) {
      this.#broken ??= error
      throw error
    } finally {
      done()
    }
  }

  /** Waits for the commit in flight. Gives nothing up: the next writer takes over by its fence. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn
    this.#broken ??= new SluiceError('internal.bug', {
      message: `${this.chain}: writer was closed`,
    })
  }

  async #publish(
    draft: CommitDraft,
    pieces: readonly (FreshBlock | StagedPiece)[],
    state: FreshState | null,
    signal: AbortSignal,
  ): Promise<Commit> {
    if (this.#broken !== null) throw this.#broken
    signal.throwIfAborted()
    const log = this.#log
    await this.#checkFloor(signal)
    const body = await this.#place(pieces, state, signal)
    const sealed = seal(log, this.#state, { writer: this.#writer, epoch: this.epoch, draft, body })
    freeBlocks(pieces)
    failpoint('log.commit.before_create')
    const other = await createCommit(log, this.chain, sealed, signal)
    failpoint('log.commit.after_create')
    if (other !== null) throw this.#lost(other.footer, sealed.id)
    this.#state.apply(sealed.opened)
    const key = commitKey(this.chain, sealed.seq)
    log.cache.set(key, sealed.bytes)
    log.wake.notify(this.chain, sealed.seq)
    await this.#snapshotIfDue(signal)
    return viewCommit(sealed.opened.footer, key, sealed.bytes.length, (id) => {
      return this.#state.schemas.get(id)!.schema
    })
  }

  /** Blocks and state into the commit itself, or, when they are large, into a segment first. */
  async #place(
    pieces: readonly (FreshBlock | StagedPiece)[],
    state: FreshState | null,
    signal: AbortSignal,
  ): Promise<DraftBody> {
    const body = draftBody(pieces, state)
    if (!body.tooLarge) return body
    const fresh = pieces.filter((piece): piece is FreshBlock => piece.kind === 'fresh')
    return draftBody(pieces, state, await this.#putSegment(fresh, state, signal))
  }

  async #putSegment(
    blocks: readonly FreshBlock[],
    state: FreshState | null,
    signal: AbortSignal,
  ): Promise<StagedSegment> {
    const log = this.#log
    const timeMs = log.nowMs()
    const id = newId(log, timeMs)
    const key = segmentKey(this.chain, this.epoch, id)
    const common = { chain: this.chain, epoch: this.epoch, writer: this.#writer, id, timeMs }
    const { bytes, segment } = sealSegment(key, blocks, state, common)
    // The name is ours alone: `exists` means that a repeated request met our own object.
    await log.store.create(key, bytes, signal)
    failpoint('log.segment.after_put')
    log.cache.set(key, bytes)
    return segment
  }

  #lost(other: CommitFooter, id: string): SluiceError {
    if (other.epoch > this.epoch) return fenced(this.chain, other)
    return new SluiceError('log.commit_conflict', {
      message: `${this.chain}: commit ${other.seq} of epoch ${other.epoch} is ${other.id} by ${other.writer}, not ${id} of epoch ${this.epoch}`,
    })
  }

  /** Creation forgets names that were deleted, so after a long sleep the floor is looked at first. */
  async #checkFloor(signal: AbortSignal): Promise<void> {
    if (this.#log.nowMs() - this.#state.timeMs < floorCheckMs) return
    const { floor } = await loadHint(this.#log, this.chain, signal)
    if (floor <= this.#state.seq + 1) return
    throw new SluiceError('log.fenced', {
      message: `${this.chain}: went on to commit ${floor} and beyond while this writer slept at ${this.#state.seq}`,
    })
  }

  /** The commit holds already, so whatever goes wrong here is left for the next time. */
  async #snapshotIfDue(signal: AbortSignal): Promise<void> {
    const { seq, snapshotSeq } = this.#state
    const commits = seq - snapshotSeq
    const due =
      commits >= snapshotCommits ||
      (commits >= snapshotCommitsMin && this.#log.nowMs() - this.#snapshotMs >= snapshotMs)
    if (!due) return
    try {
      const { store } = this.#log
      await store.create(snapshotKey(this.chain, seq), encodeSnapshot(this.#state), signal)
      failpoint('log.snapshot.after_put')
      const hint = { snapshot: seq, floor: this.#state.floor }
      await store.put(hintKey(this.chain), encodeHint(this.chain, hint), signal)
      this.#state.snapshotSeq = seq
      this.#snapshotMs = this.#log.nowMs()
      this.#snapshotFailed = false
    } catch (error) {
      if (!this.#snapshotFailed && !signal.aborted) this.#onSnapshotProblem(error)
      this.#snapshotFailed = true
    }
  }
}

interface SealedCommit {
  readonly seq: number
  readonly id: string
  readonly bytes: Uint8Array
  readonly opened: OpenedCommit
}

/** The object of the commit after `state`. It is read back, so that nothing is written that cannot be read. */
function seal(
  log: Log,
  state: ChainState,
  what: {
    readonly writer: string
    readonly epoch: number
    readonly draft: CommitDraft
    readonly body: DraftBody
  },
): SealedCommit {
  const { draft, body, epoch, writer } = what
  const timeMs = log.nowMs()
  const id = newId(log, timeMs)
  const seq = state.seq + 1
  const footer: CommitFooter = {
    chain: state.chain,
    seq,
    epoch,
    writer,
    id,
    prev: state.hash,
    timeMs,
    floor: state.floor,
    position: draft.position ?? state.position,
    cursors: draft.cursors ?? state.cursors,
    notes: draft.notes === undefined ? state.notes : draft.notes,
    ...body.footerOf(state),
  }
  const { bytes } = sealObject(ObjectKind.commit, body.parts, commitJson(footer))
  const opened = openCommit({ key: commitKey(state.chain, seq), bytes, start: 0 }, state.chain, seq)
  return { seq, id, bytes, opened }
}

function stepDown({ chain, seq, epoch }: ChainState, held: number): SluiceError {
  return new SluiceError('log.fenced', {
    message: `${chain}: taken over by another process, which wrote epoch ${epoch} by commit ${seq}; this one held epoch ${held}`,
  })
}

function fenced(chain: string, by: CommitFooter): SluiceError {
  return new SluiceError('log.fenced', {
    message: `${chain}: taken over by ${by.writer} with epoch ${by.epoch} at commit ${by.seq}`,
  })
}
