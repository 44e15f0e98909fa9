/**
 * What the live status says of a deliver task: the troubles of each topic beside each other, and as a
 * whole what its worst topic makes of it.
 */
import type { SluiceError } from '../errors/error.ts'
import type { TaskContext } from './context.ts'

/** What a topic knows of itself. */
export interface TopicLag {
  /** Commit time of its oldest row that was not delivered; null = there is none, undefined = not known yet. */
  readonly waitsSinceMs: number | null | undefined
  readonly backlogBytes: number
}

type TopicState = 'retrying' | 'parked'

export class DeliveryStatus {
  readonly #ctx: TaskContext
  readonly #topics: TopicLag[] = []
  /** Those that do not get on. */
  readonly #states = new Map<string, TopicState>()

  constructor(ctx: TaskContext) {
    this.#ctx = ctx
    ctx.report({ lagMs: () => this.#lagMs(), backlogBytes: () => this.#backlogBytes() })
  }

  /** The topic counts from now on. */
  add(topic: TopicLag): void {
    this.#topics.push(topic)
  }

  failed(topic: string, state: TopicState, error: SluiceError): void {
    this.#ctx.trouble(error, topic)
    if (this.#states.get(topic) === state) return
    this.#states.set(topic, state)
    this.#report()
  }

  well(topic: string): void {
    this.#ctx.trouble(null, topic)
    if (this.#states.delete(topic)) this.#report()
  }

  /** Something that happened, on show until something else does; what needs somebody stays in front of it. */
  note(detail: string): void {
    if (this.#states.size === 0) this.#ctx.report({ detail })
  }

  #report(): void {
    const parked = this.#named('parked')
    if (parked.length > 0) return this.#ctx.report({ state: 'parked', detail: whichOf(parked) })
    const retrying = this.#named('retrying')
    const state = retrying.length > 0 ? 'retrying' : 'running'
    this.#ctx.report({ state, detail: whichOf(retrying) })
  }

  #named(state: TopicState): string[] {
    return [...this.#states.keys()].filter((topic) => this.#states.get(topic) === state)
  }

  #lagMs(): number | null {
    let oldestMs = Infinity
    let known = this.#topics.length === 0
    for (const { waitsSinceMs } of this.#topics) {
      if (waitsSinceMs !== undefined) known = true
      if (typeof waitsSinceMs === 'number') oldestMs = Math.min(oldestMs, waitsSinceMs)
    }
    if (!known) return null
    return oldestMs === Infinity ? 0 : Math.max(0, this.#ctx.clock.nowMs() - oldestMs)
  }

  /** How many topics have rows in memory. */
  get holding(): number {
    return this.#topics.reduce((sum, { backlogBytes }) => sum + (backlogBytes > 0 ? 1 : 0), 0)
  }

  #backlogBytes(): number {
    return this.#topics.reduce((sum, { backlogBytes }) => sum + backlogBytes, 0)
  }
}

/** Which they are stands with their troubles. */
function whichOf(names: readonly string[]): string {
  return names.length > 1 ? `${names.length} topics` : (names[0] ?? '')
}
