/**
 * What we tell the consumer group: how far the log is, for other people's lag tools. Nothing of ours is read
 * from it again, but where `start: group` says so; so a failure is a warning and the position of the log
 * alone counts (invariant 2). Stored at most once a second, after the commit, and once more at the end.
 */
import type { Clock, Logger } from '../../core/connector/context.ts'
import type { Position } from '../../core/connector/source.ts'
import { toSluiceError } from '../../core/errors/error.ts'
import type { KafkaDriver, PartitionOffset } from './driver.ts'
import { parsePosition } from './position.ts'
import { Wakeup } from './wakeup.ts'

export interface GroupOffsetsOptions {
  readonly driver: KafkaDriver
  readonly group: string
  /** Topics that are read now: of others, somebody else may tell. */
  readonly isFollowed: (topic: string) => boolean
  readonly clock: Clock
  readonly logger: Logger
}

const everyMs = 1000
/** Failures that may pass are told of when they did not. */
const saidAfter = 5
/** The last one, when the source ends, waits no longer. */
const lastMs = 2000

export class GroupOffsets {
  readonly #options: GroupOffsetsOptions
  readonly #wakeup: Wakeup
  /** Stored by partition, as the group has it from us. */
  readonly #stored = new Map<string, number>()
  #wanted: Position | null = null
  #done: Position | null = null
  /** Times in a row that it could not be stored, and why, when that was said. */
  #failures = 0
  #said = ''

  constructor(options: GroupOffsetsOptions) {
    this.#options = options
    this.#wakeup = new Wakeup(options.clock)
  }

  want(position: Position): void {
    this.#wanted = position
    this.#wakeup.wake()
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#wakeup.wait(signal, this.#failures > 0 ? everyMs : null)
      if (signal.aborted) return
      await this.#store(signal)
      await this.#options.clock.sleep(everyMs, signal)
    }
  }

  /** What was not stored yet, once. Never throws. */
  async last(): Promise<void> {
    const over = new AbortController()
    const time = new AbortController()
    const end = this.#options.clock.sleep(lastMs, over.signal).then(
      () => time.abort(new Error('it took too long')),
      () => {},
    )
    try {
      await this.#store(time.signal)
    } finally {
      over.abort()
      await end
    }
  }

  async #store(signal: AbortSignal): Promise<void> {
    const position = this.#wanted
    if (position === null || position === this.#done) return
    const { driver, group, logger } = this.#options
    const offsets = this.#changed(position)
    try {
      if (offsets.length > 0) await driver.commitOffsets(group, offsets, signal)
      for (const { topic, partition, offset } of offsets) {
        this.#stored.set(`${topic}/${partition}`, Number(offset))
      }
      this.#done = position
      this.#failures = 0
      this.#said = ''
    } catch (error) {
      const { code, message, fault } = toSluiceError(error)
      this.#failures++
      // A group that nobody used before has no coordinator for a second or two.
      const isEarly = fault === 'transient' && this.#failures < saidAfter
      if (isEarly || this.#said === code) return
      this.#said = code
      const fields = { group, code, reason: message }
      logger.warn('the group was not told how far the log is; that changes nothing here', fields)
    }
  }

  #changed(position: Position): readonly PartitionOffset[] {
    const offsets: PartitionOffset[] = []
    for (const [topic, { next }] of parsePosition(position).topics) {
      if (!this.#options.isFollowed(topic)) continue
      for (const [partition, offset] of next.entries()) {
        if (offset < 0 || this.#stored.get(`${topic}/${partition}`) === offset) continue
        offsets.push({ topic, partition, offset: BigInt(offset) })
      }
    }
    return offsets
  }
}
