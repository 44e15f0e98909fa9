/**
 * Open transactions: rows of source transactions that have not ended yet. Postgres sends large ones
 * before they commit, interleaved with others; each is gathered apart, in memory up to a bound and
 * then as encoded segments in the store, so that a commit only has to name them and an abort only
 * has to forget them (invariant 3: a source transaction is never split between visible commits).
 */
import type { LogEntry, StagedSegment } from '../log/types.ts'

export type Stage = (entries: readonly LogEntry[]) => Promise<StagedSegment>

interface Piece {
  /** The sub-transaction of each block, in block order. */
  readonly parts: readonly string[]
  readonly content: { readonly entries: LogEntry[] } | { readonly segment: StagedSegment }
}

class OpenTransaction {
  readonly pieces: Piece[] = []
  readonly aborted = new Set<string>()
  memoryEntries: LogEntry[] = []
  memoryParts: string[] = []
  memoryBytes = 0
}

export class Transactions {
  readonly #stage: Stage
  readonly #memoryBytesMax: number
  readonly #open = new Map<string, OpenTransaction>()
  #memoryBytes = 0

  constructor(stage: Stage, memoryBytesMax: number) {
    this.#stage = stage
    this.#memoryBytesMax = memoryBytesMax
  }

  /** Transactions that have begun and not ended. */
  get count(): number {
    return this.#open.size
  }
  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /** Adds rows to a transaction; writes the largest one out when memory is full. */
  async add(id: string, part: string, entries: readonly LogEntry[]): Promise<void> {
    let open = this.#open.get(id)
    if (open === undefined) this.#open.set(id, (open = new OpenTransaction()))
    for (const entry of entries) {
      open.memoryEntries.push(entry)
      open.memoryParts.push(part)
      const bytes = entryBytes(entry)
      open.memoryBytes += bytes
      this.#memoryBytes += bytes
    }
    while (this.#memoryBytes > this.#memoryBytesMax) await this.#spillLargest()
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

  /** The rows of a transaction that has committed, in order, and forgets it. */
  commit(id: string): LogEntry[] {
    const open = this.#open.get(id)
    if (open === undefined) return []
    this.#open.delete(id)
    this.#memoryBytes -= open.memoryBytes
    const pieces = [...open.pieces, memoryPiece(open)]
    return pieces.flatMap((piece) => survivors(piece, open.aborted))
  }

  async #spillLargest(): Promise<void> {
    let largest: OpenTransaction | null = null
    for (const open of this.#open.values()) {
      if (largest === null || open.memoryBytes > largest.memoryBytes) largest = open
    }
    if (largest === null) return
    // Rows of parts that are already rolled back need not be written.
    const entries = survivors(memoryPiece(largest), largest.aborted)
    const parts = largest.memoryParts.filter((part) => !largest.aborted.has(part))
    this.#memoryBytes -= largest.memoryBytes
    largest.memoryBytes = 0
    largest.memoryEntries = []
    largest.memoryParts = []
    if (entries.length > 0) {
      largest.pieces.push({ parts, content: { segment: await this.#stage(entries) } })
    }
  }
}

function memoryPiece(open: OpenTransaction): Piece {
  return { parts: open.memoryParts, content: { entries: open.memoryEntries } }
}

/** The piece without the blocks of rolled-back parts. */
function survivors(piece: Piece, aborted: ReadonlySet<string>): LogEntry[] {
  const alive = (_: unknown, i: number): boolean => !aborted.has(piece.parts[i]!)
  if ('entries' in piece.content) return piece.content.entries.filter(alive)
  const { segment } = piece.content
  const blocks = segment.blocks.filter(alive)
  return blocks.length === 0 ? [] : [{ kind: 'staged', segment: { ...segment, blocks } }]
}

export function entryBytes(entry: LogEntry): number {
  if (entry.kind === 'rows') return entry.batch.byteLength
  return entry.kind === 'staged' ? entry.segment.bytes : 64
}
