/**
 * Topics that have to be copied again, or for the first time, because the binlog does not have what
 * happened to their tables. Gathered while events are decoded; taken before anything is handed out.
 */
import type { SluiceError } from '../../../core/errors/error.ts'

export interface CopyWanted {
  readonly topic: string
  readonly reason: string
}

export class CopiesWanted {
  readonly #copiesLost: (topic: string) => boolean
  #wanted: CopyWanted[] = []

  /** `copiesLost`: whether a topic of which changes are lost is copied again by itself. */
  constructor(copiesLost: (topic: string) => boolean) {
    this.#copiesLost = copiesLost
  }

  /** What was wanted since the last call. */
  take(): readonly CopyWanted[] {
    const wanted = this.#wanted
    if (wanted.length > 0) this.#wanted = []
    return wanted
  }

  want(topic: string, reason: string): void {
    if (this.#wanted.some((wanted) => wanted.topic === topic)) return
    this.#wanted.push({ topic, reason })
  }

  /** Changes of these topics are in no event. Throws `error` where one of them is not to be copied by itself. */
  lost(error: SluiceError, topics: readonly string[]): void {
    if (!topics.every(this.#copiesLost)) throw error
    for (const topic of topics) this.want(topic, error.message)
  }
}
