/**
 * What is known of the topics and partitions that are read: how far each one is asked for, decoded, and
 * how far it goes. Plain state; fetcher.ts, follow-topics.ts and source-run.ts work on it.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { LastRecord } from './last-record.ts'
import type { TopicPlace } from './position.ts'

export class Partition {
  readonly topic: FollowedTopic
  readonly partition: number
  /** Node id; null while there is none, or it is not believed any more. */
  leader: number | null = null
  /** Offset of the next record to ask for. */
  asked: number
  /** Offset of the next record to decode: what the position says. */
  next: number
  /** Begun at its first record, and nothing has come yet: that this record is gone by now loses nothing. */
  fresh: boolean
  /** A request that has it is on its way. */
  inFlight = false
  /** Bytes that came and are not decoded. */
  waitingBytes = 0
  /** One after the last record that is replicated, and of no open transaction; −1 = not known. */
  highWatermark = -1
  stableEnd = -1
  /** When a broker answered about it, and whether its topic had been asked for by id. */
  heardMs = 0
  isById = false
  /** A broker refused it, which is being looked into; no request meanwhile. */
  held = false
  /** Counts up when it goes on elsewhere: what was asked for before is void. */
  era = 0
  /** Of those that were decoded; null = not known. */
  last: LastRecord | null = null
  /** The record that has to be found again before anything else counts; null = none. */
  doubt: LastRecord | null = null

  constructor(topic: FollowedTopic, partition: number, next: number, fresh: boolean) {
    this.topic = topic
    this.partition = partition
    this.asked = next
    this.next = next
    this.fresh = fresh
  }

  get name(): string {
    return `${this.topic.name}/${this.partition}`
  }

  /** Where the next record is that was not asked for, or is to be read again from the last one on. */
  get reached(): number {
    return Math.max(this.asked, this.next)
  }

  /**
   * Something may have become of it while nobody looked: it is asked for again from the last record on, by which it
   * is known. False where no record is known.
   */
  suspect(): boolean {
    if (this.last === null) return false
    this.era++
    this.asked = this.last[0]
    this.doubt = this.last
    return true
  }

  /** Records that are there and not decoded; 0 where nobody knows. */
  get backlog(): number {
    return Math.max(0, this.highWatermark - this.next)
  }
}

export class FollowedTopic {
  readonly name: string
  /** By number, without a gap. */
  readonly partitions: Partition[] = []
  cluster: string | null
  id: string | null
  restarts: number
  restart: string | null
  /** Its decoder asks for something, and nothing of it may come before that is there. */
  stalled = false
  /** Whose next record asked: it comes before those of the others. null = none did. */
  asking: Partition | null = null

  constructor(name: string, place: Omit<TopicPlace, 'next' | 'last'>) {
    this.name = name
    this.cluster = place.cluster
    this.id = place.id
    this.restarts = place.restarts
    this.restart = place.restart
  }

  add(next: number, fresh: boolean): Partition {
    const partition = new Partition(this, this.partitions.length, next, fresh)
    this.partitions.push(partition)
    return partition
  }

  get place(): TopicPlace {
    const { cluster, id, restarts, restart } = this
    const next = this.partitions.map((partition) => partition.next)
    const last = this.partitions.map((partition) => partition.last)
    return { cluster, id, restarts, restart, next, last }
  }
}

/** An offset as this source counts: exact up to 2^53. Throws `source.kafka.position`. */
export function offsetNumber(offset: bigint | number, { name }: Partition): number {
  const number = Number(offset)
  if (Number.isSafeInteger(number)) return number
  throw new SluiceError('source.kafka.position', {
    message: `The offset ${offset} of ${name} is beyond 2^53.`,
  })
}
