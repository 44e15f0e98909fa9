/** How far the source is behind its topics: records for the metrics, bytes (by what came so far) for the status. */
import type { Context } from '../../core/connector/context.ts'
import type { Fetcher } from './fetcher.ts'
import type { TopicFollower } from './follow-topics.ts'

const everyMs = 1000

export class Backlog {
  readonly #follower: TopicFollower
  readonly #fetcher: Fetcher
  readonly #ctx: Pick<Context, 'clock' | 'metrics' | 'name'>
  #measuredMs = 0

  constructor(
    follower: TopicFollower,
    fetcher: Fetcher,
    ctx: Pick<Context, 'clock' | 'metrics' | 'name'>,
  ) {
    this.#follower = follower
    this.#fetcher = fetcher
    this.#ctx = ctx
  }

  /** On the wire, about; null = not known yet. */
  get bytes(): number | null {
    const each = this.#fetcher.bytesPerRecord
    let records = 0
    for (const { backlog, highWatermark } of this.#follower.partitions()) {
      if (highWatermark < 0) return null
      records += backlog
    }
    if (records === 0) return 0
    return each === null ? null : Math.round(records * each)
  }

  /** Into the metrics, at most once a second. */
  measure(): void {
    const { clock, metrics, name } = this.#ctx
    const nowMs = clock.nowMs()
    if (nowMs - this.#measuredMs < everyMs) return
    this.#measuredMs = nowMs
    for (const { name: topic, partitions } of this.#follower.topics.values()) {
      const records = partitions.reduce((sum, { backlog }) => sum + backlog, 0)
      metrics.gauge('source_backlog_records', records, { source: name, topic })
    }
  }
}
