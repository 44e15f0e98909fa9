/**
 * Which transactional batches are not to be seen: the broker tells, with each fetch, the producers whose
 * transaction was aborted and its first offset; it ends with the producer's abort marker. As Kafka's own consumer
 * does it (CompletedFetch.java, 4.1): by the last offset of a batch, since compaction may have taken the first.
 */
import type { FetchedPartition } from './driver.ts'
import type { BatchHead } from './record-batch.ts'

const abortMarker = 0
type ControlType = (bytes: Uint8Array, at: number, end: number) => number
type Aborted = FetchedPartition['aborted'][number]

export class AbortedTransactions {
  /** Not begun yet, the next one last. */
  #coming: Aborted[] = []
  readonly #open = new Set<bigint>()

  begin(aborted: FetchedPartition['aborted']): void {
    this.#open.clear()
    this.#coming = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? 1 : -1))
  }

  /** Called for every batch in order; whether its records are to be seen. */
  see(
    head: BatchHead,
    bytes: Uint8Array,
    at: number,
    end: number,
    controlType: ControlType,
  ): boolean {
    if (head.producerId < 0n) return !head.isControl
    for (let next = this.#coming.at(-1); next !== undefined; next = this.#coming.at(-1)) {
      if (next.firstOffset > head.lastOffset) break
      this.#open.add(next.producerId)
      this.#coming.pop()
    }
    if (head.isControl) {
      const isAbort = head.count > 0 && controlType(bytes, at, end) === abortMarker
      if (isAbort) this.#open.delete(head.producerId)
      return false
    }
    return !(head.isTransactional && this.#open.has(head.producerId))
  }
}
