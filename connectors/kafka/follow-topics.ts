/**
 * The topics that are there, followed: found at a start, looked for again every `metadata_interval` and
 * whenever a broker says that something moved. Topics and partitions that were made since begin at their
 * first record. A topic that is gone, or another one of the same name, stops the source (suspicions.ts):
 * offsets mean nothing in it, and going on at its beginning would be a guess.
 */
import type { Clock, Logger } from '../../core/connector/context.ts'
import type { KafkaDriver, KafkaTopic } from './driver.ts'
import { FollowedTopic, type Partition } from './partitions.ts'
import type { KafkaPosition, TopicPlace } from './position.ts'
import { findStarts, type Start, type StartFound, type StartWanted } from './start.ts'
import { Suspicions } from './suspicions.ts'
import { differenceOf, topicGone, topicMissing, topicRecreated } from './topic-identity.ts'
import { isInternal, type TopicsWanted } from './topics-wanted.ts'

export interface FollowSettings {
  readonly startOf: (topic: string) => Start
  /** Its rows have a key: where it is read anew, it is emptied first. */
  readonly keyed: boolean
}

export interface FollowOptions {
  readonly driver: KafkaDriver
  readonly wanted: TopicsWanted<FollowSettings>
  readonly group: string | null
  readonly onDeleted: 'stop' | 'keep'
  /** Orders to read a topic anew: any text, by topic. */
  readonly restart: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly logger: Logger
}

/** What stops the source has to be seen for so long. */
export const believed = { forMs: 10_000, times: 3 }
/** While something is suspected, the brokers are asked again after so long. */
export const suspectMs = 1000

/** A topic to begin with, and how. */
interface Beginning {
  readonly found: KafkaTopic
  readonly place: TopicPlace
  /** For partitions that `place` does not know. */
  readonly start: Start
  readonly empty: boolean
}

const earliest: Start = { kind: 'earliest' }

export class TopicFollower {
  readonly #options: FollowOptions
  readonly #topics = new Map<string, FollowedTopic>()
  /** In the log, and not followed: not found yet, not wanted any more, or gone. */
  readonly #carried: Map<string, TopicPlace>
  readonly #patternsBefore: readonly string[]
  readonly #suspicions = new Suspicions(believed)
  #cluster: string | null = null
  #begun = false
  #emptied: string[] = []

  constructor(options: FollowOptions, after: KafkaPosition | null) {
    this.#options = options
    this.#carried = new Map(after?.topics)
    this.#patternsBefore = after?.patterns ?? []
  }

  get topics(): ReadonlyMap<string, FollowedTopic> {
    return this.#topics
  }

  *partitions(): Generator<Partition, void, undefined> {
    for (const topic of this.#topics.values()) yield* topic.partitions
  }

  get position(): KafkaPosition {
    const topics = new Map(this.#carried)
    for (const [name, topic] of this.#topics) topics.set(name, topic.place)
    return { topics, patterns: this.#options.wanted.patterns }
  }

  /** Whether anything is doubtful, and to be asked for again soon. */
  get suspects(): boolean {
    return this.#suspicions.any
  }

  /** Topics that are read anew and have to be emptied, before or with the next position; each is told once. */
  takeEmptied(): readonly string[] {
    const emptied = this.#emptied
    if (emptied.length > 0) this.#emptied = []
    return emptied
  }

  /** Finds the topics for the first time, and asks until nothing is doubtful. Throws what stops the source. */
  async begin(signal: AbortSignal): Promise<void> {
    this.#cluster = await this.#options.driver.clusterId(signal)
    await this.look(signal)
    while (this.suspects) {
      await this.#options.clock.sleep(suspectMs, signal)
      await this.look(signal)
    }
    this.#begun = true
    const fields = { topics: this.#topics.size, partitions: [...this.partitions()].length }
    this.#options.logger.info('topics are followed', fields)
  }

  /** Asks the brokers once. Throws what stops the source. One at a time. */
  async look(signal: AbortSignal): Promise<void> {
    const { driver, wanted } = this.#options
    const found = new Map<string, KafkaTopic>()
    for (const topic of await driver.topics(wanted.asked, signal)) {
      if (wanted.settingsOf(topic.name) === null || topic.partitions.length === 0) continue
      if (isInternal(topic.name) && !wanted.names.includes(topic.name)) continue
      found.set(topic.name, topic)
    }
    this.#judgeMissing(found)
    const beginnings: Beginning[] = []
    for (const topic of found.values()) {
      if (!this.#isBelieved(topic)) continue
      const followed = this.#topics.get(topic.name)
      if (followed === undefined) beginnings.push(this.#beginningOf(topic))
      else await this.#update(followed, topic, signal)
    }
    await this.#begin(beginnings, signal)
  }

  #judgeMissing(found: ReadonlyMap<string, KafkaTopic>): void {
    const { wanted, clock, onDeleted, logger } = this.#options
    const known = [...this.#topics.keys(), ...this.#carried.keys()]
    for (const name of new Set([...wanted.names, ...known])) {
      const suspicion = `missing ${name}`
      const followed = this.#topics.get(name)
      const isRead = followed !== undefined || this.#carried.has(name)
      const isKept = this.#begun && followed === undefined && onDeleted === 'keep'
      if (found.has(name) || wanted.settingsOf(name) === null || isKept) {
        this.#suspicions.clear(suspicion)
        continue
      }
      forgetLeaders(followed)
      if (!this.#suspicions.see(suspicion, clock.nowMs())) continue
      if (!isRead) throw topicMissing(name)
      if (onDeleted === 'stop') throw topicGone(name)
      this.#suspicions.clear(suspicion)
      logger.warn('a topic is gone; its rows stay', { topic: name })
      if (followed !== undefined) this.#carried.set(name, followed.place)
      this.#topics.delete(name)
    }
  }

  /** Whether it is the topic that was read, or was never read, or is to be read anew. */
  #isBelieved(found: KafkaTopic): boolean {
    const { name } = found
    const followed = this.#topics.get(name)
    const place = followed?.place ?? this.#carried.get(name)
    const why = place === undefined ? null : differenceOf(place, found, this.#cluster)
    const suspicion = `other ${name}`
    if (why === null || (followed === undefined && this.#isAnew(name))) {
      this.#suspicions.clear(suspicion)
      return true
    }
    // Its records would be taken for the old one's.
    forgetLeaders(followed)
    if (this.#suspicions.see(suspicion, this.#options.clock.nowMs()))
      throw topicRecreated(name, why)
    return false
  }

  /** Whether there is an order to read the topic anew that was not carried out yet. */
  #isAnew(name: string): boolean {
    const order = this.#options.restart[name]
    return order !== undefined && order !== this.#carried.get(name)?.restart
  }

  #beginningOf(found: KafkaTopic): Beginning {
    const { name, id } = found
    const before = this.#carried.get(name)
    const cluster = this.#cluster
    const { startOf, keyed } = this.#options.wanted.settingsOf(name)!
    const start = startOf(name)
    const restart = this.#options.restart[name] ?? null
    if (before === undefined) {
      const place = { cluster, id, restarts: 0, restart, next: [], last: [] }
      return { found, place, start: this.#isNew(name) ? earliest : start, empty: false }
    }
    if (this.#isAnew(name)) {
      const restarts = before.restarts + 1
      const place = { cluster, id, restarts, restart, next: [], last: [] }
      return { found, place, start, empty: keyed }
    }
    const place = { ...before, cluster: cluster ?? before.cluster, id: id ?? before.id }
    return { found, place, start: earliest, empty: false }
  }

  /** Whether the topic was made since a pattern that finds it was first in force. */
  #isNew(name: string): boolean {
    const { wanted } = this.#options
    if (this.#begun) return true
    if (wanted.names.includes(name)) return false
    return this.#patternsBefore.includes(wanted.patternOf(name) ?? '')
  }

  async #begin(beginnings: readonly Beginning[], signal: AbortSignal): Promise<void> {
    const { driver, group, logger } = this.#options
    const wanted = beginnings.flatMap(({ found, place, start }) =>
      numbersOf(found)
        .filter((partition) => !isKnown(place, partition))
        .map((partition): StartWanted => ({ topic: found.name, partition, start })),
    )
    const starts = new Map<string, StartFound>()
    for (const start of await findStarts(driver, group, wanted, signal)) {
      starts.set(`${start.topic}/${start.partition}`, start)
    }
    for (const { found, place, empty } of beginnings) {
      const { name } = found
      const topic = new FollowedTopic(name, place)
      const isAnew = this.#carried.has(name) && place.next.length === 0
      for (const partition of numbersOf(found)) {
        const start = starts.get(`${name}/${partition}`)
        const known = topic.add(start?.offset ?? place.next[partition]!, start?.first ?? false)
        known.last = start === undefined ? (place.last[partition] ?? null) : null
      }
      lead(topic, found)
      this.#topics.set(name, topic)
      this.#carried.delete(name)
      if (empty) this.#emptied.push(name)
      const fields = { topic: name, partitions: topic.partitions.length }
      if (isAnew) logger.info('a topic is read anew', fields)
      else if (this.#begun) logger.info('a topic is followed', fields)
    }
  }

  async #update(topic: FollowedTopic, found: KafkaTopic, signal: AbortSignal): Promise<void> {
    const { driver, logger } = this.#options
    topic.cluster ??= this.#cluster
    topic.id ??= found.id
    const numbers = numbersOf(found).slice(topic.partitions.length)
    if (numbers.length > 0) {
      const wanted = numbers.map((partition) => {
        return { topic: topic.name, partition, start: earliest }
      })
      for (const { offset, first } of await findStarts(driver, null, wanted, signal)) {
        topic.add(offset, first)
      }
      logger.info('a topic has new partitions', { topic: topic.name, partitions: numbers.length })
    }
    lead(topic, found)
  }
}

function isKnown({ next }: TopicPlace, partition: number): boolean {
  return (next[partition] ?? -1) >= 0
}

/** Kafka numbers partitions from 0 without a gap; an answer that leaves some out is about a lesser number. */
function numbersOf({ partitions }: KafkaTopic): readonly number[] {
  return Array.from({ length: partitions.length }, (_, i) => i)
}

function lead(topic: FollowedTopic, found: KafkaTopic): void {
  for (const { partition, leader } of found.partitions) {
    const known = topic.partitions[partition]
    if (known === undefined) continue
    // The one before may have had more records, and nobody looked meanwhile.
    if (leader !== null && leader !== known.leader) known.suspect()
    known.leader = leader
  }
}

function forgetLeaders(topic: FollowedTopic | undefined): void {
  for (const partition of topic?.partitions ?? []) partition.leader = null
}
