/**
 * KafkaClient: the driver over whichever library carries the links. Knows the cluster's brokers and who leads
 * what, as the last answers said; tries nothing again, but forgets what turned out to be wrong.
 */
import { abortable } from '../../core/errors/abortable.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { addressOf, type Address } from './broker-address.ts'
import type {
  FetchedPartition,
  FetchLimits,
  FetchPosition,
  KafkaDriver,
  KafkaTopic,
  PartitionOffset,
  TopicPartition,
} from './driver.ts'
import { brokerError, type About } from './errors.ts'
import { fetchFrom } from './fetch-call.ts'
import { BrokerCalls, Links } from './links.ts'
import type { Transport } from './link.ts'
import { errorName } from './wire/error-names.ts'
import { findCoordinator, heartbeat, offsetCommit, offsetFetch } from './wire/groups.ts'
import { metadata, type MetadataAnswer, type TopicMetadata } from './wire/metadata.ts'
import {
  byTopic,
  earliestTime,
  latestTime,
  listOffsets,
  type OffsetAnswer,
} from './wire/offsets.ts'
import { describeConfigs, type TopicConfig } from './wire/configs.ts'

export interface ClientOptions {
  readonly transport: Transport
  readonly bootstrap: readonly Address[]
  /** Who logs in, as ACLs name it; null = not known, or nobody. */
  readonly user: string | null
  readonly logsIn: boolean
}

/** Below it, asking for a topic that is not there may create it. */
const noAutoCreateFrom = 4
const absent: ReadonlySet<string | null> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
])

export class KafkaClient implements KafkaDriver {
  readonly #options: ClientOptions
  readonly #links: Links
  /** As advertised, by node. */
  readonly #brokers = new Map<number, Address>()
  readonly #leaders = new Map<string, number>()
  readonly #ids = new Map<string, string | null>()
  readonly #coordinators = new Map<string, Address>()

  constructor(options: ClientOptions) {
    this.#options = options
    this.#links = new Links(options.transport, options.logsIn)
  }

  /** As the last answer advertised them. */
  get brokers(): ReadonlyMap<number, Address> {
    return this.#brokers
  }

  /** Who logs in, as ACLs name it; null = not known, or nobody. */
  get user(): string | null {
    return this.#options.user
  }

  async clusterId(signal: AbortSignal): Promise<string | null> {
    return (await this.#metadata([], signal)).clusterId
  }

  async topics(
    names: readonly string[] | null,
    signal: AbortSignal,
  ): Promise<readonly KafkaTopic[]> {
    const { topics } = await this.#metadata(names, signal)
    const wanted = names === null ? null : new Set(names)
    const found: KafkaTopic[] = []
    for (const topic of topics) {
      if (wanted === null ? topic.isInternal : !wanted.has(topic.name)) continue
      const error = errorName(topic.error)
      if (absent.has(error)) continue
      // With all topics asked for, brokers leave out what the user may not see.
      if (error !== null && (error !== 'LEADER_NOT_AVAILABLE' || topic.partitions.length === 0)) {
        if (wanted === null) continue
        throw this.#error(error, { what: `look at topic ${topic.name}`, topic: topic.name })
      }
      found.push(topicOf(topic))
    }
    return found
  }

  async offsets(
    partitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
    signal: AbortSignal,
  ): Promise<readonly PartitionOffset[]> {
    const time = at === 'earliest' ? earliestTime : at === 'latest' ? latestTime : BigInt(at)
    const found: PartitionOffset[] = []
    for (const [node, own] of await this.#byLeader(partitions, signal)) {
      const calls = await this.#to(node, signal)
      const request = { topics: byTopic(own), time }
      const answers = await abortable(calls.call(listOffsets, request), signal)
      for (const answer of answers) found.push(this.#offsetOf(answer))
    }
    // Nothing is as late as that: what comes next is.
    const late = found.filter(({ offset }) => offset < 0n)
    if (late.length === 0) return found
    const ends = await this.offsets(late, 'latest', signal)
    return [...found.filter(({ offset }) => offset >= 0n), ...ends]
  }

  async fetch(
    broker: number,
    partitions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): Promise<readonly FetchedPartition[]> {
    signal.throwIfAborted()
    const address = this.#addressOf(broker)
    // An answer that nobody waits for would still have to be waited for by the next request.
    const end = (): void => this.#links.end(address, 'fetch')
    signal.addEventListener('abort', end, { once: true })
    try {
      const calls = await abortable(this.#links.to(address, 'fetch'), signal)
      return await abortable(fetchFrom(calls, partitions, limits, this.#ids), signal)
    } finally {
      signal.removeEventListener('abort', end)
    }
  }

  async commitOffsets(
    group: string,
    offsets: readonly PartitionOffset[],
    signal: AbortSignal,
  ): Promise<void> {
    const answers = await this.#askCoordinator(group, signal, (calls) =>
      calls.call(offsetCommit, { group, offsets }),
    )
    for (const { error, topic } of answers) {
      this.#failGroup(error, { what: `store offsets of group ${group}`, group, topic })
    }
  }

  async committedOffsets(
    group: string,
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<readonly PartitionOffset[]> {
    const request = { group, topics: byTopic(partitions) }
    const { error, offsets } = await this.#askCoordinator(group, signal, (calls) =>
      calls.call(offsetFetch, request),
    )
    const about = { what: `read the offsets of group ${group}`, group }
    this.#failGroup(error, about)
    const found: PartitionOffset[] = []
    for (const { error, topic, partition, offset } of offsets) {
      this.#failGroup(error, { ...about, topic })
      if (offset >= 0n) found.push({ topic, partition, offset })
    }
    return found
  }

  /** What the cluster says of these topics, by Kafka's own names of errors; null = nothing is wrong. */
  async topicErrors(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string | null>> {
    const { topics } = await this.#metadata(names, signal)
    const said = new Map(topics.map(({ name, error }) => [name, errorName(error)]))
    return new Map(names.map((name) => [name, said.get(name) ?? missingUnless(said, name)]))
  }

  /** Kafka's own name of why the group's offsets could not be stored; null = they could. */
  async groupRefusal(group: string, signal: AbortSignal): Promise<string | null> {
    const error = errorName(
      await this.#askCoordinator(group, signal, (calls) => calls.call(heartbeat, group)),
    )
    // A heartbeat of nobody: whoever gets so far may read the group.
    return error === 'GROUP_AUTHORIZATION_FAILED' ? error : null
  }

  /** Of topics that exist; a broker before 0.11 tells none. */
  async topicConfigs(
    topics: readonly string[],
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly TopicConfig[]> {
    const calls = await this.#any(signal)
    if (calls.version(describeConfigs) < 0) return []
    return abortable(calls.call(describeConfigs, { topics, keys }), signal)
  }

  /** Whether the broker can be talked to, logged in, at what is advertised of it; throws why not. */
  async reach(address: Address, signal: AbortSignal): Promise<void> {
    const calls = await abortable(this.#links.to(address, 'other'), signal)
    await abortable(calls.call(metadata, { topics: [] }), signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#links[Symbol.asyncDispose]()
  }

  async #metadata(names: readonly string[] | null, signal: AbortSignal): Promise<MetadataAnswer> {
    const calls = await this.#any(signal)
    const creates = calls.version(metadata) < noAutoCreateFrom && names !== null && names.length > 0
    const request = { topics: creates ? null : names }
    const answer = await abortable(calls.call(metadata, request), signal)
    this.#learn(answer)
    return answer
  }

  #learn({ brokers, topics }: MetadataAnswer): void {
    // Old ones stay: one that restarts is left out, and has its partitions again when it is back.
    for (const { node, host, port } of brokers) this.#brokers.set(node, { host, port })
    for (const topic of topics) {
      this.#ids.set(topic.name, topic.id)
      for (const { partition, leader } of topic.partitions) {
        this.#leaders.set(nameOf(topic.name, partition), leader)
      }
    }
  }

  /** Any broker that answers: those that are known, then those of the configuration. */
  async #any(signal: AbortSignal): Promise<BrokerCalls> {
    const known = new Map([...this.#brokers.values()].map((at) => [addressOf(at), at]))
    for (const at of this.#options.bootstrap) known.set(addressOf(at), at)
    const failures: SluiceError[] = []
    for (const address of known.values()) {
      try {
        return await abortable(this.#links.to(address, 'other'), signal)
      } catch (error) {
        if (signal.aborted || !(error instanceof SluiceError)) throw error
        this.#askLast(address)
        failures.push(error)
      }
    }
    // One that could be reached and refused says more than those that could not.
    const refused = failures.find(({ fault }) => fault !== 'transient')
    if (refused !== undefined) throw refused
    if (failures.length === 1) throw failures[0]!
    throw new SluiceError('source.kafka.unreachable', {
      message: `No broker answers. ${failures.map(({ message }) => message).join(' ')}`,
    })
  }

  /** One that is gone for good may take its ten seconds each time to say so. */
  #askLast(address: Address): void {
    const where = addressOf(address)
    const there = [...this.#brokers].filter(([, known]) => addressOf(known) === where)
    for (const [node, known] of there) {
      this.#brokers.delete(node)
      this.#brokers.set(node, known)
    }
  }

  async #to(node: number, signal: AbortSignal): Promise<BrokerCalls> {
    return abortable(this.#links.to(this.#addressOf(node), 'other'), signal)
  }

  #addressOf(node: number): Address {
    const address = this.#brokers.get(node)
    if (address !== undefined) return address
    throw this.#error('LEADER_NOT_AVAILABLE', { what: `ask broker ${node}, which nobody names` })
  }

  async #byLeader(
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, readonly TopicPartition[]>> {
    const isUnknown = ({ topic, partition }: TopicPartition): boolean =>
      (this.#leaders.get(nameOf(topic, partition)) ?? -1) < 0
    const unknown = partitions.filter(isUnknown)
    if (unknown.length > 0) {
      await this.#metadata([...new Set(unknown.map(({ topic }) => topic))], signal)
    }
    const found = new Map<number, TopicPartition[]>()
    for (const place of partitions) {
      if (isUnknown(place)) throw this.#error('LEADER_NOT_AVAILABLE', aboutOffsets(place))
      const leader = this.#leaders.get(nameOf(place.topic, place.partition))!
      const own = found.get(leader)
      if (own === undefined) found.set(leader, [place])
      else own.push(place)
    }
    return found
  }

  #offsetOf({ topic, partition, error, offset }: OffsetAnswer): PartitionOffset {
    const name = errorName(error)
    if (name === null) return { topic, partition, offset }
    this.#leaders.delete(nameOf(topic, partition))
    throw this.#error(name, aboutOffsets({ topic, partition }))
  }

  /** One that does not answer need not be the coordinator any more: the next call looks for it anew. */
  async #askCoordinator<T>(
    group: string,
    signal: AbortSignal,
    ask: (calls: BrokerCalls) => Promise<T>,
  ): Promise<T> {
    try {
      return await abortable(ask(await this.#coordinator(group, signal)), signal)
    } catch (error) {
      this.#coordinators.delete(group)
      throw error
    }
  }

  async #coordinator(group: string, signal: AbortSignal): Promise<BrokerCalls> {
    const known = this.#coordinators.get(group)
    if (known !== undefined) return abortable(this.#links.to(known, 'other'), signal)
    const calls = await this.#any(signal)
    const { error, host, port } = await abortable(calls.call(findCoordinator, group), signal)
    this.#failGroup(error, { what: `find who keeps the offsets of group ${group}`, group })
    const address = { host, port }
    this.#coordinators.set(group, address)
    return abortable(this.#links.to(address, 'other'), signal)
  }

  #failGroup(error: number, about: About & { readonly group: string }): void {
    const name = errorName(error)
    if (name === null) return
    this.#coordinators.delete(about.group)
    throw this.#error(name, about)
  }

  #error(name: string, about: Omit<About, 'user'>): SluiceError {
    return brokerError(name, { ...about, user: this.#options.user })
  }
}

/** A topic that nobody tells of is not there: of all topics, old brokers name only those that are. */
function missingUnless(said: ReadonlyMap<string, string | null>, name: string): string | null {
  return said.has(name) ? null : 'UNKNOWN_TOPIC_OR_PARTITION'
}

function topicOf({ name, id, partitions }: TopicMetadata): KafkaTopic {
  return {
    name,
    id,
    partitions: partitions
      .map(({ partition, leader }) => ({ partition, leader: leader < 0 ? null : leader }))
      .sort((a, b) => a.partition - b.partition),
  }
}

function aboutOffsets({ topic, partition }: TopicPartition): About {
  return { what: `read the offsets of ${topic} partition ${partition}`, topic }
}

function nameOf(topic: string, partition: number): string {
  return `${partition}/${topic}`
}
