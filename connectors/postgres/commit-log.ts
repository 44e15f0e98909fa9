/**
 * Which transactions the stream has brought lately: a commit record is read from the WAL before its
 * transaction becomes visible to snapshots (with synchronous replication much before), so that a chunk
 * that has to show what the stream brought needs to know whose changes those are. What came before this
 * process is shown once all transactions have ended that were open at its beginning.
 */
import type { Visibility } from './snapshot-filter.ts'

export class CommitLog {
  /** In the order of commit: low 32 bits of the transaction id, and where its commit ends. */
  readonly #xids: number[] = []
  readonly #ends: bigint[] = []
  /** What the last snapshot showed need not be remembered: later ones show it too. */
  #shown: Visibility | null = null

  /** Called for each transaction decoded, with rising `end`. */
  committed(xid: number, end: bigint): void {
    if (this.#shown?.shows(xid) === true) return
    this.#xids.push(xid)
    this.#ends.push(end)
  }

  /** Whether the snapshot, a newer one than at the last call, shows everything that committed before `lsn`. */
  isShown(visibility: Visibility, lsn: bigint): boolean {
    let kept = 0
    let all = true
    for (let i = 0; i < this.#xids.length; i++) {
      if (visibility.shows(this.#xids[i]!)) continue
      if (this.#ends[i]! <= lsn) all = false
      this.#xids[kept] = this.#xids[i]!
      this.#ends[kept++] = this.#ends[i]!
    }
    this.#xids.length = kept
    this.#ends.length = kept
    this.#shown = visibility
    return all
  }
}
