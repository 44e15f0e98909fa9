/**
 * The decoders of the topics that are read, and what they gathered. A decoder that has to ask for something
 * (a schema) holds its topic and no other: what came of it and was not decoded is forgotten and asked for
 * again, so that a registry that does not answer takes no memory.
 */
import type { Decoded, RecordDecoder, RejectedRecords } from '../../core/connector/format/format.ts'
import type { TopicChange } from '../../core/connector/source.ts'
import type { FollowedTopic } from './partitions.ts'

/** Told why the columns of a topic cannot be told; throws what ends the source. */
export type OnMisfit = (topic: string, error: unknown) => void

export class TopicDecoders {
  readonly #make: (topic: string) => RecordDecoder
  readonly #decoders = new Map<string, RecordDecoder>()
  /** Those that may have something to hand over, each with its topic. */
  readonly #touched = new Map<RecordDecoder, string>()

  constructor(make: (topic: string) => RecordDecoder) {
    this.#make = make
  }

  /** Its rows go into the next `take`. Throws `config` where the pipeline file wants what cannot be. */
  of({ name }: FollowedTopic): RecordDecoder {
    let decoder = this.#decoders.get(name)
    if (decoder === undefined) {
      decoder = this.#make(name)
      this.#decoders.set(name, decoder)
    }
    this.#touched.set(decoder, name)
    return decoder
  }

  /** The topic's next decoder knows nothing. What this one gathered comes before all of that one's. */
  renew({ name }: FollowedTopic): void {
    this.#decoders.delete(name)
  }

  /** What was gathered since the last time. `emptied`: topics to be emptied before their first row. */
  take(
    emptied: readonly string[],
    onMisfit: OnMisfit,
  ): {
    readonly changes: readonly TopicChange[]
    readonly rejected: readonly RejectedRecords[]
  } {
    const changes: TopicChange[] = []
    const rejected: RejectedRecords[] = []
    const hand = (decoder: RecordDecoder, topic: string): void => {
      const taken = takenOf(decoder, topic, onMisfit)
      for (const change of taken.changes) {
        changes.push('batch' in change ? { ...change, owned: true } : change)
      }
      rejected.push(...taken.rejected)
    }
    for (const topic of emptied) {
      // Its schema comes before everything else of it, where it is known.
      for (const [decoder, own] of this.#touched) {
        if (own === topic && decoder.rows === 0) hand(decoder, topic)
      }
      changes.push({ topic, truncate: true })
    }
    for (const [decoder, topic] of this.#touched) hand(decoder, topic)
    this.#touched.clear()
    return { changes, rejected }
  }
}

const nothing: Decoded = { changes: [], rejected: [] }

/** A decoder that throws has gathered nothing: nothing is lost. */
function takenOf(decoder: RecordDecoder, topic: string, onMisfit: OnMisfit): Decoded {
  try {
    return decoder.take()
  } catch (error) {
    onMisfit(topic, error)
    return nothing
  }
}
