import { openCommit, type OpenedCommit } from './codec-commit.ts'
import { tailBytes, type ObjectPart } from './codec-object.ts'

/** Commits that are kept: readers at the end of a chain, one for each topic of a sink, come for the same few. */
const commitsMax = 32

interface Known {
  readonly commit: OpenedCommit
  readonly end: Uint8Array
}

/** The newest commits, each opened once for all who come for it. That it is the same one is told by its end, where its checksum is. */
export class OpenedCommits {
  readonly #known = new Map<string, Known>()

  /** Throws what `openCommit` does. */
  of(part: ObjectPart, chain: string, seq: number): OpenedCommit {
    const end = part.bytes.subarray(-tailBytes)
    const found = this.#known.get(part.key)
    if (found !== undefined && Buffer.compare(found.end, end) === 0) return found.commit
    const commit = openCommit(part, chain, seq)
    this.#known.set(part.key, { commit, end: end.slice() })
    if (this.#known.size > commitsMax) this.#known.delete(this.#known.keys().next().value!)
    return commit
  }
}
