/**
 * Which transactions the stream has brought lately: a commit record is read from the WAL before its
 * transaction becomes visible to snapshots (with synchronous replication much before), so that a chunk
 * that has to show what the stream brought needs to know whose changes those are.
 */
import type { Visibility } from './snapshot-filter.ts'

export class CommitLog {
  /** In the order of commit: low 32 bits of the transaction id, and where its commit ends. */
  #xids: number[] = []
  #ends: bigint[] = []

  /** Called for each transaction decoded, with rising `end`. */
  committed(xid: number, end: bigint): void {
    this.#xids.push(xid)
    this.#ends.push(end)
  }

  /** Whether the snapshot shows everything that committed before `lsn`; what it shows is not asked about again. */
  isShown(visibility: Visibility, lsn: bigint): boolean {
    let kept = 0
    let all = true
    for (let i = 0; i < this.#xids.length; i++) {
      const shown = visibility.shows(this.#xids[i]!)
      if (shown) continue
      if (this.#ends[i]! <= lsn) all = false
      this.#xids[kept] = this.#xids[i]!
      this.#ends[kept++] = this.#ends[i]!
    }
    this.#xids.length = kept
    this.#ends.length = kept
    return all
  }
}
