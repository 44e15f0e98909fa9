/** PollSource: the topics of `poll`, each by itself; their steps in the order they come. */
import type { SourceContext } from '../../core/connector/context.ts'
import type { Decoded } from '../../core/connector/format/format.ts'
import { Troubles } from '../../core/connector/troubles.ts'
import type { Batch } from '../../core/record/batch.ts'
import { merged } from './merged.ts'
import type { PollTopicConfig } from './poll-config.ts'
import { PollPatience } from './poll-patience.ts'
import { pollSetup } from './poll-setup.ts'
import { stateFor, type PollStates } from './poll-state.ts'
import type { PollStep } from './poll-step.ts'
import { PollTopic } from './poll-topic.ts'

type Topics = Readonly<Record<string, PollTopicConfig>>

export class PollSource implements AsyncDisposable {
  readonly #setups
  readonly #ctx: SourceContext
  readonly #topics = new Map<string, PollTopic>()
  readonly #troubles: Troubles

  readonly #isAlone: boolean

  /**
   * `besides`: the source does something else too. Throws SluiceError of fault `config` where the settings
   * of a topic do not fit together.
   */
  constructor(topics: Topics, ctx: SourceContext, besides: boolean) {
    this.#isAlone = !besides && Object.keys(topics).length === 1
    this.#setups = Object.entries(topics).map(([name, config]) => pollSetup(name, config, ctx))
    this.#ctx = ctx
    this.#troubles = new Troubles(ctx)
  }

  /** Goes on from the states; called once. */
  read(states: PollStates, signal: AbortSignal): AsyncGenerator<PollStep> {
    for (const setup of this.#setups) {
      const { name, config } = setup
      const state = stateFor(config, states[name])
      const options = { topic: name, troubles: this.#troubles, isAlone: this.#isAlone }
      const patience = new PollPatience(options, this.#ctx)
      this.#topics.set(name, new PollTopic(setup, state, this.#ctx, patience))
    }
    const topics = [...this.#topics.values()]
    return merged(
      topics.map((topic) => (stop: AbortSignal) => topic.run(stop)),
      signal,
    )
  }

  /** null: the topic is none of these. */
  decodeAgain(topic: string, batch: Batch): Decoded | null {
    return this.#topics.get(topic)?.decodeAgain(batch) ?? null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#troubles[Symbol.dispose]()
    for (const { client } of this.#setups) await client[Symbol.asyncDispose]()
  }
}
