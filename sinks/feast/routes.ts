/** Which views take the rows of which topic. */
import { SluiceError } from '../../core/errors/error.ts'
import type { FeastConfig } from './config.ts'

export class Routes {
  readonly #config: FeastConfig
  readonly #topics: Set<string>

  /** `topics`: full names of those known now. */
  constructor(config: FeastConfig, topics: readonly string[]) {
    this.#config = config
    this.#topics = new Set(topics)
  }

  /** Names of the views that take a topic; at least one. Throws `sink.feast.topic`. */
  viewsOf(topic: string): readonly string[] {
    this.#topics.add(topic)
    const views = Object.entries(this.#config.views)
    const taking = views.filter(([, view]) => view.topic !== undefined && means(view.topic, topic))
    for (const [name, view] of taking) this.#refuseAmbiguous(name, view.topic!)
    if (taking.length > 0) return taking.map(([name]) => name)
    const bare = views.filter(([, view]) => view.topic === undefined).map(([name]) => name)
    if (bare.length === 0) {
      throw new SluiceError('sink.feast.topic', {
        message: `No view takes the rows of topic ${topic}.`,
      })
    }
    if (this.#topics.size > 1) {
      const topics = [...this.#topics].join(', ')
      throw new SluiceError('sink.feast.topic', {
        message: `View ${bare.join(', ')} names no topic, and the sink takes several: ${topics}.`,
      })
    }
    return bare
  }

  #refuseAmbiguous(view: string, name: string): void {
    if (this.#topics.has(name)) return
    const meant = [...this.#topics].filter((topic) => means(name, topic))
    if (meant.length < 2) return
    throw new SluiceError('sink.feast.topic', {
      message: `View ${view}: ${name} may be any of ${meant.join(', ')}.`,
      remedy: 'Write the full name of the topic.',
    })
  }
}

/** As under `from`: the full name or a tail of it. */
function means(name: string, topic: string): boolean {
  return name === topic || topic.endsWith(`.${name}`)
}
