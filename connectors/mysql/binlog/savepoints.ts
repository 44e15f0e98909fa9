/**
 * The savepoints of the open transaction. The server leaves out of the binlog what was rolled back to a
 * savepoint, except where a transaction did what cannot be rolled back (a statement that changes an
 * InnoDB and a MyISAM table, temporary tables): there the rows come, and ROLLBACK TO after them. So the
 * rows between two savepoints are a part of the transaction that can be dropped by itself.
 */
import type { TopicChange } from '../../../core/connector/source.ts'
import { splitChange } from '../../../core/connector/change-rows.ts'

/** Rows of the open transaction that were gathered before a savepoint: by topic, all its changes together. */
type Counts = ReadonlyMap<string, number>

interface Savepoint {
  readonly name: string
  /** The part that the rows after it belong to. */
  readonly part: string
  /** null: they were handed out. */
  counts: Counts | null
}

export interface Part {
  readonly part: string
  readonly changes: readonly TopicChange[]
}

export class Savepoints {
  #points: Savepoint[] = []
  #count = 0

  get isEmpty(): boolean {
    return this.#points.length === 0
  }

  /** A transaction begins. */
  clear(): void {
    if (this.#points.length > 0) this.#points = []
  }

  /** The part of the rows that come now. */
  get part(): string {
    return this.#points.at(-1)?.part ?? ''
  }

  /** A savepoint of a name that is there already takes its place at the end (SAVEPOINT, both servers). */
  set(name: string, counts: Counts): void {
    this.#points.push({ name, part: String(++this.#count), counts })
  }

  /** The rows handed out now belong to their parts; what comes is counted anew. */
  split(open: readonly TopicChange[]): readonly Part[] {
    const parts: Part[] = []
    let rest = open
    let done: Map<string, number> = new Map()
    let part = ''
    for (const point of this.#points) {
      if (point.counts !== null) {
        const [before, after] = cut(rest, point.counts, done)
        if (before.length > 0) parts.push({ part, changes: before })
        rest = after
        done = new Map(point.counts)
        point.counts = null
      }
      part = point.part
    }
    if (rest.length > 0) parts.push({ part, changes: rest })
    return parts
  }

  /**
   * ROLLBACK TO: the parts that are gone. The savepoint stays, with a new part for what comes after it.
   * Empty when there is no such savepoint here: then it was set before anything of interest.
   */
  rollBackTo(name: string): readonly string[] {
    const at = this.#points.findLastIndex((point) => point.name === name)
    if (at < 0) return []
    const gone = this.#points.slice(at).map(({ part }) => part)
    this.#points = this.#points.slice(0, at)
    this.#points.push({ name, part: String(++this.#count), counts: null })
    return gone
  }
}

/** The changes up to the counts, of which those in `done` were cut off before, and those from there on. */
function cut(
  changes: readonly TopicChange[],
  counts: Counts,
  done: ReadonlyMap<string, number>,
): [TopicChange[], TopicChange[]] {
  const before: TopicChange[] = []
  const after: TopicChange[] = []
  const left = new Map<string, number>()
  for (const change of changes) {
    const { topic } = change
    const room = left.get(topic) ?? (counts.get(topic) ?? 0) - (done.get(topic) ?? 0)
    // A truncate is DDL, which ends a transaction: one within cannot come after a savepoint.
    const rows = 'batch' in change ? change.batch.rows : 0
    left.set(topic, room - Math.min(room, rows))
    if (rows <= room) before.push(change)
    else if (room === 0) after.push(change)
    else if ('batch' in change) {
      const [first, second] = splitChange(change, room)
      before.push(first)
      after.push(second)
    }
  }
  return [before, after]
}
