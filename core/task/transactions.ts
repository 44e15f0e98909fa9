/**
 * Open transactions: rows of source transactions that have not ended yet. Postgres sends large ones
 * before they commit, interleaved with others; each is gathered apart, so that a commit only has to
 * name what is there and an abort only has to forget it (invariant 3: a source transaction is never
 * split between visible commits).
 *
 * Rows wait in memory until there are enough for a segment, which is written to the store while more
 * rows come: when the transaction commits, nearly all of it is durable already. What is in memory,
 * segments on their way included, stays below a bound; at the bound the source waits.
 */
import type { LogEntry, StagedSegment } from '../log/types.ts'

export type Stage = (entries: readonly LogEntry[]) => Promise<StagedSegment>

export interface TransactionLimits {
  /** A transaction with this much in memory has it written out. */
  readonly segmentBytes: number
  /** For all transactions together. */
  readonly memoryBytesMax: number
}

interface Piece {
  /** The sub-transaction of each entry, which is that of each block of the segment. */
  readonly parts: readonly string[]
  readonly content: { readonly entries: LogEntry[] } | { readonly staging: Promise<StagedSegment> }
}

class OpenTransaction {
  readonly pieces: Piece[] = []
  readonly aborted = new Set<string>()
  memoryEntries: LogEntry[] = []
  memoryParts: string[] = []
  memoryBytes = 0
  /** Why a segment could not be written: the transaction cannot go on. */
  failure: { readonly error: unknown } | null = null
}

export class Transactions implements AsyncDisposable {
  readonly #stage: Stage
  readonly #limits: TransactionLimits
  readonly #open = new Map<string, OpenTransaction>()
  /** Segments on their way; these promises never reject. */
  readonly #staging = new Set<Promise<void>>()
  #memoryBytes = 0

  constructor(stage: Stage, limits: TransactionLimits) {
    this.#stage = stage
    this.#limits = limits
  }

  /** Transactions that have begun and not ended. */
  get count(): number {
    return this.#open.size
  }
  /** Rows in memory, those of segments on their way included. */
  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /**
   * Adds rows to a transaction. Waits while memory is full; what comes in one call may exceed the
   * bound by its own size. Throws what writing an earlier segment of the transaction threw.
   */
  async add(id: string, part: string, entries: readonly LogEntry[]): Promise<void> {
    let open = this.#open.get(id)
    if (open === undefined) this.#open.set(id, (open = new OpenTransaction()))
    for (const entry of entries) {
      open.memoryEntries.push(entry)
      open.memoryParts.push(part)
      const bytes = entryBytes(entry)
      open.memoryBytes += bytes
      this.#memoryBytes += bytes
      if (open.memoryBytes >= this.#limits.segmentBytes) this.#spill(open)
    }
    while (this.#memoryBytes > this.#limits.memoryBytesMax) {
      // Many small transactions can fill the memory without one of them being worth a segment.
      if (this.#staging.size === 0) this.#spillLargest()
      if (this.#staging.size > 0) await Promise.race(this.#staging)
    }
    if (open.failure !== null) throw open.failure.error
  }

  /** Forgets a sub-transaction, or, with part '', the whole transaction. */
  abort(id: string, part: string): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    if (part === '') {
      this.#memoryBytes -= open.memoryBytes
      this.#open.delete(id)
    } else open.aborted.add(part)
  }

  /** The rows of a transaction that has committed, in order, once its segments are written; forgets it. */
  async commit(id: string): Promise<LogEntry[]> {
    const open = this.#open.get(id)
    if (open === undefined) return []
    this.#open.delete(id)
    this.#memoryBytes -= open.memoryBytes
    const last: Piece = { parts: open.memoryParts, content: { entries: open.memoryEntries } }
    const pieces = await Promise.all(
      [...open.pieces, last].map((piece) => survivors(piece, open.aborted)),
    )
    return pieces.flat()
  }

  /** Waits for the segments on their way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#staging)
  }

  #spillLargest(): void {
    let largest: OpenTransaction | null = null
    for (const open of this.#open.values()) {
      if (largest === null || open.memoryBytes > largest.memoryBytes) largest = open
    }
    if (largest !== null) this.#spill(largest)
  }

  /** Begins to write what the transaction has in memory; the memory counts until it is written. */
  #spill(open: OpenTransaction): void {
    const { memoryBytes: bytes, memoryEntries, memoryParts } = open
    // Rows of parts that are already rolled back need not be written.
    const alive = (_: unknown, i: number): boolean => !open.aborted.has(memoryParts[i]!)
    const entries = memoryEntries.filter(alive)
    const parts = memoryParts.filter(alive)
    open.memoryBytes = 0
    open.memoryEntries = []
    open.memoryParts = []
    if (entries.length === 0) {
      this.#memoryBytes -= bytes
      return
    }
    const staging = this.#stage(entries)
    open.pieces.push({ parts, content: { staging } })
    const settled = this.#settle(open, staging, bytes).finally(() => {
      this.#staging.delete(settled)
    })
    this.#staging.add(settled)
  }

  async #settle(
    open: OpenTransaction,
    staging: Promise<StagedSegment>,
    bytes: number,
  ): Promise<void> {
    try {
      await staging
    } catch (error) {
      open.failure ??= { error }
    }
    this.#memoryBytes -= bytes
  }
}

/** The piece without the blocks of rolled-back parts. */
async function survivors(piece: Piece, aborted: ReadonlySet<string>): Promise<LogEntry[]> {
  const alive = (_: unknown, i: number): boolean => !aborted.has(piece.parts[i]!)
  if ('entries' in piece.content) return piece.content.entries.filter(alive)
  const segment = await piece.content.staging
  const blocks = segment.blocks.filter(alive)
  return blocks.length === 0 ? [] : [{ kind: 'staged', segment: { ...segment, blocks } }]
}

export function entryBytes(entry: LogEntry): number {
  if (entry.kind === 'rows') return entry.batch.byteLength
  return entry.kind === 'staged' ? entry.segment.bytes : 64
}
