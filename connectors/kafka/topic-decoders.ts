/**
 * The decoders of the topics that are read, and what they gathered. A decoder that has to ask for something
 * (a schema) holds its topic and no other: the chunk at which it stands waits for it, what came behind is
 * forgotten and asked for again, so that a registry that does not answer takes no memory.
 */
import type { RecordDecoder, RejectedRecords } from '../../core/connector/format/format.ts'
import type { TopicChange } from '../../core/connector/source.ts'
import type { FollowedTopic } from './partitions.ts'

export class TopicDecoders {
  readonly #make: (topic: string) => RecordDecoder
  readonly #decoders = new Map<string, RecordDecoder>()
  /** Those that may have something to hand over. */
  readonly #touched = new Map<string, RecordDecoder>()

  constructor(make: (topic: string) => RecordDecoder) {
    this.#make = make
  }

  /** Its rows go into the next `take`. */
  of({ name }: FollowedTopic): RecordDecoder {
    let decoder = this.#decoders.get(name)
    if (decoder === undefined) {
      decoder = this.#make(name)
      this.#decoders.set(name, decoder)
    }
    this.#touched.set(name, decoder)
    return decoder
  }

  /** What was gathered since the last time. `emptied`: topics to be emptied before their first row. */
  take(emptied: readonly string[]): {
    readonly changes: readonly TopicChange[]
    readonly rejected: readonly RejectedRecords[]
  } {
    const changes: TopicChange[] = []
    const rejected: RejectedRecords[] = []
    const hand = (decoder: RecordDecoder): void => {
      const taken = decoder.take()
      for (const change of taken.changes) {
        changes.push('batch' in change ? { ...change, owned: true } : change)
      }
      rejected.push(...taken.rejected)
    }
    for (const topic of emptied) {
      // Its schema comes before everything else of it, where it is known.
      const decoder = this.#touched.get(topic)
      if (decoder !== undefined && decoder.rows === 0) hand(decoder)
      changes.push({ topic, truncate: true })
    }
    for (const decoder of this.#touched.values()) hand(decoder)
    this.#touched.clear()
    return { changes, rejected }
  }
}
