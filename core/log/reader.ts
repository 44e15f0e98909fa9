/**
 * ChainReader: follows a chain commit by commit, with GETs of the next key and never a LIST. While
 * it is behind it fetches ahead; at the end it waits, woken by a writer in this process or by polling
 * that slows down to once a second.
 *
 * An object that should be there and is not is an error that names the floor, never a skip.
 */
import type { Batch } from '../record/batch.ts'
import type { Schema } from '../record/schema.ts'
import { abortable } from '../errors/abortable.ts'
import { SluiceError } from '../errors/error.ts'
import { isPaidFor } from '../store/store.ts'
import { decodeBlock } from './codec-block.ts'
import { corrupt } from './codec-bytes.ts'
import { checksum } from './codec-object.ts'
import { placeOf, viewCommit } from './commit-view.ts'
import { commitKey } from './keys.ts'
import {
  footerGuessBytes,
  loadCommit,
  loadHint,
  loadSnapshot,
  missing,
  type LoadedCommit,
} from './load.ts'
import { readObject, type Log } from './log.ts'
import { Projections } from './projection.ts'
import type { Commit } from './types.ts'

/** Commits on their way while the reader is behind; each is at most a little above 4 MiB. */
const aheadMax = 4
const pollMsMin = 10
const pollMsMax = 1000
/** Where looking costs nothing but a system call. */
const freePollMsMax = 100
/**
 * The writer is in this process and wakes its readers: a GET then only notices that another process
 * took the chain over. Each GET on S3 is paid for, by every reader of a quiet chain.
 */
const heldPollMs = 5000
/** While waiting, look this often whether the commit waited for is not long gone. */
const floorCheckMs = 60_000
/** Covers a commit with everything that may lie in it. */
const wholeObjectBytes = 16 * 1024 * 1024

export class ChainReader implements AsyncDisposable {
  readonly chain: string
  readonly #log: Log
  #seq: number
  /** Hash of the last commit read; null before the first. */
  #hash: string | null = null
  readonly #schemas = new Map<string, Schema>()
  readonly #projections = new Projections()
  readonly #ahead = new Map<number, Promise<Fetched>>()
  #aheadWanted = 0
  #suffixBytes = footerGuessBytes
  /** Of the last commits whose objects were large: how much of them was asked for. */
  #last: { readonly part: LoadedCommit['part']; readonly size: number; used: number } | null = null
  #floorCheckedMs = -Infinity
  readonly #closed = new AbortController()
  /** Tells this reader from others, and keeps nothing of it. */
  readonly #name = {}
  #atEnd = false

  private constructor(log: Log, chain: string, from: number) {
    this.#log = log
    this.chain = chain
    this.#seq = from
  }

  /** Reads from commit `from` on; the first commit of a chain is 1. Nothing is fetched yet. */
  static open(log: Log, chain: string, from: number): ChainReader {
    return new ChainReader(log, chain, Math.max(1, from))
  }

  /** The commit that `next` brings. */
  get seq(): number {
    return this.#seq
  }

  /** Whether all that was in the chain when it was looked at last has been read. */
  get atEnd(): boolean {
    return this.#atEnd
  }

  /**
   * The next commit, waiting for it if need be. Fence commits come too; they have no blocks.
   *
   * Right behind a writer in this process the store is not asked for what that writer has not said
   * yet, but only now and then, in case another process took the chain over.
   */
  async next(signal: AbortSignal): Promise<Commit> {
    const { wake, nowMs, store } = this.#log
    const pollMax = isPaidFor(store.url) ? pollMsMax : freePollMsMax
    const newest = wake.newest(this.chain)
    let pollMs = pollMsMin
    let look = newest === null || newest + 1 !== this.#seq
    for (;;) {
      const seen = wake.version(this.chain)
      const commit = look ? await this.tryNext(signal) : null
      if (commit !== null) {
        wake.found(this.chain, commit.seq)
        return commit
      }
      this.#atEnd = true
      if (look) {
        wake.missed(this.chain, this.#seq, nowMs(), this.#name)
        if (nowMs() - this.#floorCheckedMs >= floorCheckMs) await this.#checkFloor(signal)
      }
      const held = this.#log.held.has(this.chain)
      const waitMs = (held ? heldPollMs : pollMs) * (0.75 + this.#log.random() / 2)
      await wake.wait(this.chain, seen, (until) => this.#log.sleep(waitMs, until), signal)
      pollMs = Math.min(pollMax, pollMs * 2)
      // Every topic of a sink has its reader, and each look at an object store is paid for.
      const isNews = wake.version(this.chain) !== seen
      const during = { sinceMs: nowMs() - waitMs, nowMs: nowMs() }
      look = isNews || !wake.isLookedFor(this.chain, this.#seq, during, this.#name)
    }
  }

  /** The next commit if it is there already. */
  async tryNext(signal: AbortSignal): Promise<Commit | null> {
    signal.throwIfAborted()
    const seq = this.#seq
    const loaded = await this.#fetch(seq, signal)
    this.#atEnd = loaded === null
    if (loaded === null) {
      this.#aheadWanted = 0
      return null
    }
    const { footer, hash, part, size } = loaded
    if (this.#hash !== null && footer.prev !== this.#hash) {
      throw corrupt({ object: part.key, byte: 0 }, 0, 'it was written after another predecessor')
    }
    for (const schema of footer.schemas) this.#schemas.set(schema.id, schema)
    for (const [id, from] of Object.entries(footer.known)) await this.#learn(id, from, signal)
    const commit = viewCommit(footer, part.key, size, (id) => this.#schemaOf(id, part.key))
    this.#seq = seq + 1
    this.#hash = hash
    this.#tuneSuffix()
    this.#last = { part, size, used: 0 }
    this.#aheadWanted = Math.min(aheadMax, this.#aheadWanted + 1)
    for (let next = seq + 1; next < seq + this.#aheadWanted; next++) this.#fetchAhead(next)
    return commit
  }

  /**
   * The rows of a block; null for a truncate. May be called for several blocks at once. With
   * `wanted` (field names) the batch has a narrower schema: those fields and the key's, see
   * projection.ts. Give the same set each time: what follows from it is remembered by its identity.
   */
  async readBlock(
    commit: Commit,
    index: number,
    signal: AbortSignal,
    wanted: ReadonlySet<string> | null = null,
  ): Promise<Batch | null> {
    const block = commit.blocks[index]
    if (block === undefined) {
      throw new SluiceError('internal.bug', {
        message: `commit ${commit.seq} of ${commit.chain} has no block ${index}`,
      })
    }
    const { schema } = block
    if (schema === null) return null
    const { key, byteStart, byteEnd, crc32c } = placeOf(block)
    const bytes = await this.#bytesOf(key, byteStart, byteEnd, signal)
    const place = { object: key, byte: byteStart }
    if (bytes.length !== byteEnd - byteStart)
      throw corrupt(place, bytes.length, 'a block ends early')
    if (checksum(bytes) !== crc32c) throw corrupt(place, 0, 'the checksum of a block is wrong')
    const projection = wanted === null ? null : this.#projections.of(schema, wanted)
    const batch = await decodeBlock(schema, bytes, place, projection)
    if (batch.rows !== block.rows) throw corrupt(place, 0, `${batch.rows} rows, not ${block.rows}`)
    return batch
  }

  /** Gives up what is being fetched ahead. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.#ahead.values())
    this.#ahead.clear()
  }

  async #fetch(seq: number, signal: AbortSignal): Promise<LoadedCommit | null> {
    const ahead = this.#ahead.get(seq)
    // Still known while it is under way: whoever stops waiting for it has not ended it.
    const commit = ahead === undefined ? null : (await abortable(ahead, signal)).commit
    this.#ahead.delete(seq)
    // Not found, or failed, some time ago: that may have changed.
    return commit ?? loadCommit(this.#log, this.chain, seq, this.#suffixBytes, signal)
  }

  #fetchAhead(seq: number): void {
    if (this.#ahead.has(seq)) return
    const { signal } = this.#closed
    const loading = loadCommit(this.#log, this.chain, seq, this.#suffixBytes, signal)
    this.#ahead.set(
      seq,
      loading.then(
        (commit) => ({ commit }),
        () => ({ commit: null }),
      ),
    )
  }

  /** When most of the last large commit was wanted, the next one is read in one go. */
  #tuneSuffix(): void {
    const last = this.#last
    if (last === null || last.size <= footerGuessBytes) return
    this.#suffixBytes = last.used * 2 > last.size ? wholeObjectBytes : footerGuessBytes
  }

  async #bytesOf(
    key: string,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const last = this.#last
    if (last !== null && last.part.key === key) {
      last.used += end - start
      const { part } = last
      if (start >= part.start) return part.bytes.subarray(start - part.start, end - part.start)
    }
    const found = await readObject(this.#log, key, signal, { start, end })
    if (found !== null) return found.bytes
    const hint = await loadHint(this.#log, this.chain, signal)
    throw missing(this.#log, key, hint.floor)
  }

  #schemaOf(id: string, key: string): Schema {
    const schema = this.#schemas.get(id)
    if (schema !== undefined) return schema
    throw corrupt({ object: key, byte: 0 }, 0, `schema ${id} was never written`)
  }

  /** A schema from before this reader's start: in the commit that brought it, or in a snapshot. */
  async #learn(id: string, from: number, signal: AbortSignal): Promise<void> {
    if (this.#schemas.has(id)) return
    const commit = await loadCommit(this.#log, this.chain, from, footerGuessBytes, signal)
    for (const schema of commit?.footer.schemas ?? []) this.#schemas.set(schema.id, schema)
    if (this.#schemas.has(id)) return
    const hint = await loadHint(this.#log, this.chain, signal)
    const snapshot = await loadSnapshot(this.#log, this.chain, hint.snapshot, signal)
    for (const { schema } of snapshot?.schemas.values() ?? []) this.#schemas.set(schema.id, schema)
    if (!this.#schemas.has(id)) throw missing(this.#log, commitKey(this.chain, from), hint.floor)
  }

  /** Throws when the commit waited for was there once and is gone. */
  async #checkFloor(signal: AbortSignal): Promise<void> {
    this.#floorCheckedMs = this.#log.nowMs()
    const { floor, snapshot } = await loadHint(this.#log, this.chain, signal)
    if (this.#seq >= floor && this.#seq > snapshot) return
    // The chain may have grown past the hint between the two reads.
    const seq = this.#seq
    if ((await loadCommit(this.#log, this.chain, seq, footerGuessBytes, signal)) !== null) return
    throw missing(this.#log, commitKey(this.chain, seq), floor)
  }
}

interface Fetched {
  readonly commit: LoadedCommit | null
}
