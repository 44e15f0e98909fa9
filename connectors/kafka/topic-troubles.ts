/**
 * TopicTroubles: topics that cannot go on by themselves: their schema cannot be had, or their columns
 * contradict each other. What passes is waited out. What the operator has to mend ends the source where every topic
 * waits for that; else it is on show and looked at again now and then, while the others go on: a topic that
 * somebody made yesterday, and that a pattern found, must not stop all that were there before.
 */
import { backoffMs } from '../../core/connector/backoff.ts'
import type { Context } from '../../core/connector/context.ts'
import type { Troubles } from '../../core/connector/troubles.ts'
import { toSluiceError } from '../../core/errors/error.ts'
import type { FollowedTopic } from './partitions.ts'

const pauses = { baseMs: 100, maxMs: 10_000 }
/** As long as a whole source waits for its cure. */
const cureMs = 60_000

export class TopicTroubles {
  readonly #followed: () => ReadonlyMap<string, FollowedTopic>
  readonly #troubles: Troubles
  readonly #ctx: Pick<Context, 'clock' | 'random'>
  readonly #names = new Set<string>()
  /** Of them those that wait for the operator, for all that is known. */
  readonly #uncured = new Set<string>()

  constructor(
    followed: () => ReadonlyMap<string, FollowedTopic>,
    troubles: Troubles,
    ctx: Pick<Context, 'clock' | 'random'>,
  ) {
    this.#followed = followed
    this.#troubles = troubles
    this.#ctx = ctx
  }

  /** Puts on show what the operator has to mend; throws anything else, and where no topic is left that can go on. */
  show(topic: string, error: unknown): void {
    const reason = toSluiceError(error)
    if (reason.fault !== 'config') throw error
    this.#uncured.add(topic)
    if ([...this.#followed().keys()].every((name) => this.#uncured.has(name))) throw error
    this.#names.add(topic)
    this.#troubles.set(aboutOf(topic), reason)
  }

  /** It goes on. */
  clear(topic: string): void {
    this.#uncured.delete(topic)
    if (this.#names.delete(topic)) this.#troubles.clear(aboutOf(topic))
  }

  /** Of topics that are not followed any more there is nothing to mend. */
  forgetGone(): void {
    for (const topic of this.#names) if (!this.#followed().has(topic)) this.clear(topic)
  }

  /** Does what the topic waits for, again and again, until it is done or nobody follows the topic. */
  async until(
    topic: FollowedTopic,
    work: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    for (let failures = 1; this.#isFollowed(topic); failures++) {
      try {
        return await work(signal)
      } catch (error) {
        signal.throwIfAborted()
        const reason = toSluiceError(error)
        if (reason.fault !== 'transient') {
          this.show(topic.name, error)
          await this.cure(topic, signal)
          continue
        }
        this.#uncured.delete(topic.name)
        this.#names.add(topic.name)
        this.#troubles.set(aboutOf(topic.name), reason)
        const pauseMs = backoffMs(failures, pauses, this.#ctx.random)
        await this.#ctx.clock.sleep(Math.max(reason.retryAfterMs ?? 0, pauseMs), signal)
      }
    }
  }

  /** Resolves when it may be mended by now; until that was tried it is one that can go on. */
  async cure(topic: FollowedTopic, signal: AbortSignal): Promise<void> {
    await this.#ctx.clock.sleep(cureMs, signal)
    this.#uncured.delete(topic.name)
  }

  #isFollowed(topic: FollowedTopic): boolean {
    return this.#followed().get(topic.name) === topic
  }
}

function aboutOf(topic: string): string {
  return `schema of ${topic}`
}
