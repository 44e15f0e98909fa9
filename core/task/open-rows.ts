/**
 * Rows of one open transaction that are remembered: as batches in memory, and what there is no room
 * for in the row memory on disk. A part that is rolled back shows the rows before it again.
 */
import type { Place } from './recent-rows.ts'
import { blockBytes, type Block } from './recent-rows.ts'
import type { RowMemory, Scope } from './row-memory.ts'

interface Version extends Place {
  readonly part: string
  readonly older: Version | null
}

export class OpenRows implements Scope {
  readonly id: string
  readonly aborted = new Set<string>()
  /** Topics of which it has rows on disk. */
  readonly spilled = new Set<string>()
  /** Topics of which it has rows that nobody remembers. */
  readonly unremembered = new Set<string>()
  /** In the order of whole rows; set when it commits. */
  number = 0
  bytes = 0
  #blocks: { readonly part: string; readonly block: Block }[] = []
  #newest = new Map<string, Map<string, Version>>()

  constructor(id: string) {
    this.id = id
  }

  add(part: string, block: Block): void {
    this.#blocks.push({ part, block })
    this.bytes += blockBytes(block)
    let newest = this.#newest.get(block.topic)
    if (newest === undefined) this.#newest.set(block.topic, (newest = new Map<string, Version>()))
    for (let row = 0; row < block.keys.length; row++) {
      const key = block.keys[row]!
      newest.set(key, { block, row, part, older: newest.get(key) ?? null })
    }
  }

  /** The newest row of that key in memory whose part was not rolled back. */
  find(topic: string, key: string): Place | undefined {
    let version = this.#newest.get(topic)?.get(key) ?? null
    while (version !== null && this.aborted.has(version.part)) version = version.older
    return version ?? undefined
  }

  /** Moves what is in memory to disk. */
  async spill(memory: RowMemory): Promise<void> {
    for (const { part, block } of this.#blocks) {
      if (this.aborted.has(part)) continue
      await memory.putOpen(this, part, block)
      this.spilled.add(block.topic)
    }
    this.#blocks = []
    this.#newest = new Map()
    this.bytes = 0
  }

  /** The blocks in memory that were not rolled back, in order. */
  blocks(): Block[] {
    return this.#blocks.filter(({ part }) => !this.aborted.has(part)).map(({ block }) => block)
  }
}
