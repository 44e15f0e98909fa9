/**
 * One fetch loop a broker. A loop asks for all partitions that this broker leads, the one that has waited
 * longest first, and puts what comes into one inbox. Each broker has a share of the bytes that may wait or
 * be on their way; when it is used up the loop rests until something was decoded: that is how pulling is
 * the back-pressure. Requests go on from the heads of batches (fetched-end.ts), so that the next data is on
 * its way while these are decoded.
 */
import { backoffMs } from '../../core/connector/backoff.ts'
import type { Clock } from '../../core/connector/context.ts'
import type { SluiceError } from '../../core/errors/error.ts'
import type { FetchedPartition, FetchPosition, KafkaDriver } from './driver.ts'
import { fetchedEnd } from './fetched-end.ts'
import { isStillThere } from './last-record.ts'
import { offsetNumber, type Partition } from './partitions.ts'
import { Wakeup } from './wakeup.ts'

/** What came of one partition in one answer. */
export interface Chunk {
  readonly partition: Partition
  /** Where the partition goes on behind it, whether it holds records or not. */
  readonly end: number
  readonly fetched: Pick<FetchedPartition, 'records' | 'aborted' | 'memory'>
  readonly share: Share
  /** As the partition's when it was asked for: otherwise it was rewound meanwhile, and this is void. */
  readonly era: number
}

/** A broker's part of what may wait. */
interface Share {
  waiting: number
  readonly wakeup: Wakeup
}

export interface FetcherOptions {
  readonly driver: KafkaDriver
  readonly clock: Clock
  readonly random: () => number
  readonly limits: {
    /** Of everything that waits or is on its way, all brokers together. */
    readonly maxBytes: number
    readonly partitionBytes: number
    readonly minBytes: number
    readonly maxWaitMs: number
  }
  /** A request failed as a whole, for the `failures`th time in a row; throws what ends the source. */
  readonly onFailure: (error: unknown, broker: number, failures: number) => void
  /** Answers come again after failures. */
  readonly onWell: (broker: number) => void
  /** The broker refused one partition; it is held until somebody lets it go. */
  readonly onRefused: (partition: Partition, error: string) => void
  /** A doubtful partition is the one that was read, or nobody can tell: its doubt is over. */
  readonly onSame: (partition: Partition) => void
  /** Another record is where the last one was that was read. */
  readonly onReplaced: (partition: Partition) => void
  /** What ended a loop, and has to end the source. */
  readonly onEnd: (error: unknown) => void
}

const pauses = { baseMs: 100, maxMs: 5000 }
/** A topic is not deleted, made again and filled in less. */
const quietMs = 100
/** What was not asked for. */
const nothing = { partition: null, era: 0 } as const

interface BrokerLoop extends Share {
  readonly broker: number
  /** In the order in which they are asked for. */
  partitions: Partition[]
  /** Those of which nothing came but the last record that was read: they are asked for at once. */
  known: Set<Partition>
  readonly stop: AbortController
  ended: Promise<void>
}

export class Fetcher implements AsyncDisposable {
  readonly #options: FetcherOptions
  readonly #loops = new Map<number, BrokerLoop>()
  /** Loops of brokers that lead nothing any more, until they have ended. */
  readonly #leaving = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #inbox: Chunk[] = []
  #inboxAt = 0
  readonly #arrived: Wakeup
  /** Of all that came. */
  #bytes = 0
  #records = 0

  constructor(options: FetcherOptions) {
    this.#options = options
    this.#arrived = new Wakeup(options.clock)
  }

  /** Bytes that a record takes on the wire, of those that came; null before any did. */
  get bytesPerRecord(): number | null {
    return this.#records === 0 ? null : this.#bytes / this.#records
  }

  take(): Chunk | null {
    for (;;) {
      const chunk = this.#inbox[this.#inboxAt]
      if (chunk === undefined) {
        this.#inbox = []
        this.#inboxAt = 0
        return null
      }
      this.#inboxAt++
      if (chunk.era === chunk.partition.era) return chunk
      this.release(chunk)
    }
  }

  /** Forgets what came or is to come of the partition, and goes on at `to` when it is held no more. */
  rewind(partition: Partition, to: number): void {
    const { doubt } = partition
    partition.era++
    partition.asked = doubt === null ? to : Math.min(to, doubt[0])
  }

  /** Whether what was held back may be asked for again: its loop is to look. */
  look({ leader }: Partition): void {
    if (leader !== null) this.#loops.get(leader)?.wakeup.wake()
  }

  /** Resolves when there is something to take, on `wake`, or on abort. */
  async wait(signal: AbortSignal): Promise<void> {
    await this.#arrived.wait(signal)
  }

  wake(): void {
    this.#arrived.wake()
  }

  /** The chunk is decoded: its bytes make room for others. */
  release({ partition, share, fetched }: Chunk): void {
    partition.waitingBytes -= fetched.records.byteLength
    share.waiting -= fetched.records.byteLength
    fetched.memory?.release()
    share.wakeup.wake()
  }

  /** Passes over what is between `partition.asked` and `to`, behind everything that waits. */
  jump(partition: Partition, to: number): void {
    const fetched = { records: new Uint8Array(0), aborted: [] }
    const share = { waiting: 0, wakeup: this.#arrived }
    const { era } = partition
    this.#inbox.push({ partition, end: to, fetched, share, era })
    partition.asked = to
    this.#arrived.wake()
  }

  /** Who leads what, after it changed: loops begin and end, and the others look again. */
  assign(partitions: Iterable<Partition>): void {
    const led = new Map<number, Set<Partition>>()
    for (const partition of partitions) {
      if (partition.leader === null) continue
      const own = led.get(partition.leader)
      if (own === undefined) led.set(partition.leader, new Set([partition]))
      else own.add(partition)
    }
    for (const loop of this.#loops.values()) {
      const own = led.get(loop.broker)
      if (own === undefined) this.#end(loop)
      else {
        // Those that stay keep their turn.
        const stay = loop.partitions.filter((partition) => own.delete(partition))
        loop.partitions = [...own, ...stay]
        loop.wakeup.wake()
      }
    }
    for (const [broker, own] of led) if (!this.#loops.has(broker)) this.#begin(broker, [...own])
  }

  #begin(broker: number, partitions: Partition[]): void {
    const stop = new AbortController()
    const wakeup = new Wakeup(this.#options.clock)
    const loop: BrokerLoop = {
      broker,
      partitions,
      known: new Set(),
      waiting: 0,
      wakeup,
      stop,
      ended: Promise.resolve(),
    }
    this.#loops.set(broker, loop)
    const signal = AbortSignal.any([this.#stop.signal, stop.signal])
    // After all loops that begin with it are there: they share what may wait.
    loop.ended = Promise.resolve()
      .then(() => this.#run(loop, signal))
      .catch((error: unknown) => {
        if (!signal.aborted) this.#options.onEnd(error)
      })
  }

  #end(loop: BrokerLoop): void {
    this.#loops.delete(loop.broker)
    loop.stop.abort()
    this.#options.onWell(loop.broker)
    this.#leaving.add(loop.ended)
    void loop.ended.then(() => this.#leaving.delete(loop.ended))
  }

  async #run(loop: BrokerLoop, signal: AbortSignal): Promise<void> {
    const { clock, random, onFailure, onWell } = this.#options
    let failures = 0
    while (!signal.aborted) {
      try {
        await this.#once(loop, signal)
        if (failures > 0) onWell(loop.broker)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        onFailure(error, loop.broker, ++failures)
        // Nobody knows what becomes of them meanwhile.
        if (failures === 1) for (const partition of loop.partitions) partition.suspect()
        const wanted = (error as Partial<SluiceError>).retryAfterMs ?? 0
        await clock.sleep(Math.max(wanted, backoffMs(failures, pauses, random)), signal)
      }
    }
  }

  /** One request, or one rest. */
  async #once(loop: BrokerLoop, signal: AbortSignal): Promise<void> {
    const { limits, driver } = this.#options
    const perRequest = Math.max(1, Math.floor(limits.maxBytes / this.#loops.size / 2))
    // These are asked for though there is no room: until there is some, they would be doubtful again.
    const { known } = loop
    loop.known = new Set()
    if (known.size === 0 && loop.waiting > perRequest) return loop.wakeup.wait(signal)
    const asked: Partition[] = []
    let someRest = false
    for (const partition of loop.partitions) {
      if (partition.leader !== loop.broker || !isFree(partition)) continue
      const isTurn = known.size === 0 || known.has(partition)
      if (isTurn && partition.waitingBytes < limits.partitionBytes) asked.push(partition)
      else someRest = true
    }
    if (asked.length === 0) return known.size === 0 ? loop.wakeup.wait(signal) : undefined
    // What the known ones gave back is room for what they are asked for now.
    const maxBytes = Math.max(1, Math.min(perRequest, 2 * perRequest - loop.waiting))
    for (const partition of asked) if (this.#wasLeft(partition)) partition.suspect()
    const positions = asked.map((partition): FetchPosition => ({
      topic: partition.topic.name,
      id: partition.topic.id,
      partition: partition.partition,
      offset: BigInt(partition.asked),
      maxBytes: Math.min(limits.partitionBytes, maxBytes),
    }))
    const eras = new Map(
      asked.map((partition) => [partition.name, { partition, era: partition.era }]),
    )
    for (const partition of asked) partition.inFlight = true
    let got = 0
    try {
      // Were the broker to wait for data of the others, those that rest would wait with them.
      const maxWaitMs = someRest ? 0 : limits.maxWaitMs
      const bounds = { minBytes: limits.minBytes, maxBytes, maxWaitMs }
      const answers = await driver.fetch(loop.broker, positions, bounds, signal)
      if (!signal.aborted) got = this.#arrive(loop, eras, answers)
    } finally {
      for (const partition of asked) this.#landed(partition, loop)
    }
    const isFollowed = known.size + loop.known.size > 0
    if (got === 0 && someRest && !isFollowed) await loop.wakeup.wait(signal, limits.maxWaitMs)
  }

  /**
   * Whether nobody asked for so long, because the log is slower than Kafka, that the topic may be another one, and
   * all that came before is decoded. Asked for by its id it would say so; one that was read to its end is looked at
   * when records come.
   */
  #wasLeft({ isById, doubt, asked, next, stableEnd, heardMs }: Partition): boolean {
    if (isById || doubt !== null || asked !== next || asked >= stableEnd) return false
    return this.#options.clock.nowMs() - heardMs >= quietMs
  }

  /** A new leader waits until nobody else has the partition on the way: chunks stay in order. */
  #landed(partition: Partition, { broker }: BrokerLoop): void {
    partition.inFlight = false
    const { leader } = partition
    if (leader !== null && leader !== broker) this.#loops.get(leader)?.wakeup.wake()
  }

  /** Returns how many bytes came. */
  #arrive(
    loop: BrokerLoop,
    asked: ReadonlyMap<string, { readonly partition: Partition; readonly era: number }>,
    answers: readonly FetchedPartition[],
  ): number {
    const served = new Set<Partition>()
    let got = 0
    for (const answer of answers) {
      const { partition, era } = asked.get(`${answer.topic}/${answer.partition}`) ?? nothing
      if (partition === null || era !== partition.era) {
        answer.memory?.release()
        continue
      }
      if (answer.error !== null) {
        answer.memory?.release()
        partition.held = true
        this.#options.onRefused(partition, answer.error)
        continue
      }
      if (this.#isDoubtful(partition, answer)) {
        answer.memory?.release()
        continue
      }
      const end = offsetNumber(fetchedEnd(answer.records, partition.asked), partition)
      // Not one whole batch: next time it is asked for first, when a broker gives one whatever its size.
      if (end <= partition.asked) {
        answer.memory?.release()
        continue
      }
      if (!this.#isNews(loop, partition, answer, end)) {
        answer.memory?.release()
        continue
      }
      got += answer.records.byteLength
      this.#bytes += answer.records.byteLength
      this.#records += end - partition.asked
      served.add(partition)
      partition.fresh = false
      partition.waitingBytes += answer.records.byteLength
      loop.waiting += answer.records.byteLength
      this.#inbox.push({ partition, end, fetched: answer, share: loop, era })
      partition.asked = end
    }
    if (served.size > 0) {
      // A broker fills its answer in the order of the request (KIP-74): those who got nothing come first.
      const turn = loop.partitions
      loop.partitions = [
        ...turn.filter((partition) => !served.has(partition)),
        ...turn.filter((partition) => served.has(partition)),
      ]
      this.#arrived.wake()
    }
    return got
  }

  /**
   * Whether the partition ends before where it did, or before where it is read up to, or one that was asked for by name was quiet
   * for so long that it may be another one: then the answer is void. Brokers do not end a request that waits
   * for records where the topic is deleted, and answer it with those of the next one of that name (0.11).
   */
  #isDoubtful(partition: Partition, answer: FetchedPartition): boolean {
    const { highWatermark, stableEnd, heardMs } = partition
    const end = Number(answer.highWatermark)
    partition.highWatermark = end
    partition.stableEnd = Number(answer.lastStableOffset)
    partition.heardMs = this.#options.clock.nowMs()
    partition.isById = answer.isById
    if (partition.doubt === null) {
      const isQuiet = partition.asked >= stableEnd && partition.heardMs - heardMs >= quietMs
      const isNew = !answer.isById && isQuiet && answer.records.byteLength > 0
      return (isNew || end < highWatermark) && partition.suspect()
    }
    if (end >= partition.next) return false
    partition.held = true
    this.#options.onRefused(partition, 'OFFSET_OUT_OF_RANGE')
    return true
  }

  /**
   * Whether the partition is still the one that was read, as far as there was any doubt, and the answer goes on behind
   * what was read. Told when it comes and not when it is decoded: where the log is slow, an answer that waits for it
   * only to tell this is so old by then that the partition is doubtful again, and nothing else would ever be asked for.
   */
  #isNews(loop: BrokerLoop, partition: Partition, answer: FetchedPartition, end: number): boolean {
    const { doubt } = partition
    if (doubt === null) return true
    if (isStillThere(answer, partition.partition, doubt) === false) {
      this.#options.onReplaced(partition)
      return false
    }
    this.#options.onSame(partition)
    if (end > partition.next) return true
    // What lies between is read already, however much it is.
    partition.asked = partition.next
    if (partition.asked < partition.stableEnd) loop.known.add(partition)
    return false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#leaving, ...[...this.#loops.values()].map(({ ended }) => ended)])
    this.#loops.clear()
  }
}

function isFree(partition: Partition): boolean {
  const { held, inFlight, topic } = partition
  if (held || inFlight || topic.stalled) return false
  const { asking } = topic
  // One without a leader keeps nobody waiting.
  return asking === null || asking === partition || asking.leader === null
}
