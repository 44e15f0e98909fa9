/**
 * What goes on beside reading: topics are looked for again, leaders that moved are found, and partitions
 * that a broker refused are looked into. A refusal that passes holds its partition alone; the others go on.
 */
import { backoffMs } from '../../core/connector/backoff.ts'
import type { Context } from '../../core/connector/context.ts'
import type { Troubles } from '../../core/connector/troubles.ts'
import { SluiceError, toSluiceError } from '../../core/errors/error.ts'
import type { Background } from './background.ts'
import type { KafkaDriver } from './driver.ts'
import type { Fetcher } from './fetcher.ts'
import { suspectMs, type TopicFollower } from './follow-topics.ts'
import { beyondEnd, recordsLost, recordsReplaced, type LostPolicy } from './lost-records.ts'
import { offsetNumber, type Partition } from './partitions.ts'
import { believed } from './follow-topics.ts'
import { Suspicions } from './suspicions.ts'
import { Wakeup } from './wakeup.ts'

export interface ClusterWatchOptions {
  readonly driver: KafkaDriver
  readonly follower: TopicFollower
  readonly fetcher: Pick<Fetcher, 'assign' | 'look' | 'jump' | 'rewind'>
  readonly background: Background
  readonly troubles: Troubles
  readonly onLost: (topic: string) => LostPolicy
  /** Kafka's own name of an error as ours. */
  readonly errorOf: (name: string, partition: Partition) => SluiceError
  /** Topics or what is known of them changed. */
  readonly onChange: () => void
  readonly intervalMs: number
  readonly ctx: Pick<Context, 'clock' | 'random' | 'logger'>
}

/** Between two looks, however many ask for one; longer while nothing comes of them. */
const looks = { baseMs: 100, maxMs: 2000 }

export class ClusterWatch {
  readonly #options: ClusterWatchOptions
  readonly #wakeup: Wakeup
  /** Looks in a row that failed, or after which a partition was still without a leader that answers. */
  #vain = 0
  /** Partitions in which another record is where the last one was. */
  readonly #replaced = new Suspicions(believed)

  constructor(options: ClusterWatchOptions) {
    this.#options = options
    this.#wakeup = new Wakeup(options.ctx.clock)
  }

  /** The brokers are to be asked again. */
  lookSoon(): void {
    this.#wakeup.wake()
  }

  /** Assigns what was found so far, and looks again from time to time. Throws what ends the source. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options.ctx
    const { follower, intervalMs } = this.#options
    this.#assign()
    let isWell = this.#leaderless() === null && !follower.suspects
    while (!signal.aborted) {
      await this.#wakeup.wait(signal, isWell ? intervalMs : suspectMs)
      if (signal.aborted) return
      const isAnswered = await this.#look(signal)
      isWell = isAnswered && this.#leaderless() === null && !follower.suspects
      this.#vain = isWell ? 0 : this.#vain + 1
      const pause = looks.baseMs + backoffMs(this.#vain, looks, random)
      await clock.sleep(pause, signal)
    }
  }

  /** Whether the brokers answered. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { follower, troubles, onChange } = this.#options
    let isAnswered = true
    try {
      await follower.look(signal)
      troubles.clear('topics')
    } catch (error) {
      if (signal.aborted) return false
      const reason = toSluiceError(error)
      if (reason.fault !== 'transient') throw error
      troubles.set('topics', reason)
      isAnswered = false
    }
    this.#assign()
    onChange()
    return isAnswered
  }

  #assign(): void {
    const { follower, fetcher, troubles } = this.#options
    fetcher.assign(follower.partitions())
    const leaderless = this.#leaderless()
    if (leaderless === null) return troubles.clear('leaders')
    troubles.set('leaders', follower.suspects ? doubtful() : noLeader(leaderless))
  }

  #leaderless(): string | null {
    for (const partition of this.#options.follower.partitions()) {
      if (partition.leader === null) return partition.name
    }
    return null
  }

  /** Of a partition that is held; it goes on here, or the source ends. */
  refused(partition: Partition, error: string): void {
    if (error === 'OFFSET_OUT_OF_RANGE') {
      this.#options.background.run((signal) => this.#outOfRange(partition, signal))
      return
    }
    const reason = this.#options.errorOf(error, partition)
    if (reason.fault !== 'transient') throw reason
    // Whom to ask is to be found anew; a topic that was made again says so there.
    partition.leader = null
    partition.held = false
    this.lookSoon()
  }

  /** The broker does not have the offset that was asked for: what is it that it has? */
  async #outOfRange(partition: Partition, signal: AbortSignal): Promise<void> {
    const { driver, follower, fetcher, ctx, troubles } = this.#options
    const about = `offsets of ${partition.name}`
    const { topic, era } = partition
    const suspicions = new Suspicions(believed)
    const place = [{ topic: topic.name, partition: partition.partition }]
    while (follower.topics.get(topic.name) === topic && partition.era === era) {
      try {
        const [first] = await driver.offsets(place, 'earliest', signal)
        const [last] = await driver.offsets(place, 'latest', signal)
        const begin = offsetNumber(first?.offset ?? 0n, partition)
        const end = offsetNumber(last?.offset ?? 0n, partition)
        troubles.clear(about)
        // The last record that was read is gone, and with it what it could tell; those behind it may be there.
        if (partition.asked < begin && partition.doubt !== null) this.isSame(partition)
        if (partition.reached < begin) return this.#lost(partition, begin, end)
        if (partition.reached <= end) break
        const isBelieved = suspicions.see(about, ctx.clock.nowMs())
        // The topic's id says more than its end, where there is one.
        if (isBelieved && !follower.suspects) throw beyondEnd(partition, end)
      } catch (error) {
        signal.throwIfAborted()
        const reason = toSluiceError(error)
        if (reason.fault !== 'transient') throw error
        troubles.set(about, reason)
      }
      this.lookSoon()
      await ctx.clock.sleep(suspectMs, signal)
    }
    troubles.clear(about)
    if (partition.doubt === null && partition.asked < partition.next) {
      fetcher.rewind(partition, partition.next)
    }
    partition.held = false
    fetcher.look(partition)
  }

  /** Another record is where the last one was that was read of it: it is asked for again, or the source ends. */
  replaced(partition: Partition): void {
    const { background, fetcher, follower, troubles, ctx } = this.#options
    const { doubt } = partition
    if (doubt === null) return
    const about = `record of ${partition.name}`
    const isBelieved = this.#replaced.see(about, ctx.clock.nowMs())
    const reason = recordsReplaced(partition, doubt)
    // The topic's id says more, where there is one.
    if (isBelieved && !follower.suspects) throw reason
    troubles.set(about, doubtful())
    partition.held = true
    fetcher.rewind(partition, doubt[0])
    this.lookSoon()
    background.run(async (signal) => {
      await ctx.clock.sleep(suspectMs, signal)
      partition.held = false
      fetcher.look(partition)
    })
  }

  /** The last record was found again, or nobody can tell. */
  isSame(partition: Partition): void {
    const about = `record of ${partition.name}`
    partition.doubt = null
    this.#replaced.clear(about)
    this.#options.troubles.clear(about)
  }

  #lost(partition: Partition, begin: number, end: number): void {
    const { fetcher, ctx, onLost } = this.#options
    const policy = onLost(partition.topic.name)
    if (!partition.fresh) {
      const lost = recordsLost(partition, begin)
      if (policy === 'stop') throw lost
      ctx.logger.warn(lost.message, { code: lost.code, on_lost: policy })
    }
    fetcher.jump(partition, policy === 'latest' && !partition.fresh ? end : begin)
    partition.held = false
    fetcher.look(partition)
  }
}

function noLeader(partition: string): SluiceError {
  return new SluiceError('source.kafka.no_leader', { message: `${partition} has no leader.` })
}

/** Partitions of a doubtful topic are nobody's until it is sure what became of it. */
function doubtful(): SluiceError {
  return new SluiceError('source.kafka.no_leader', {
    message: 'The brokers say that a topic is gone or is another one.',
    remedy: 'They are asked again until that is sure; then Sluice goes on, or says what to do.',
  })
}
