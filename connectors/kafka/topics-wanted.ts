/**
 * Which topics are read: names and patterns of the pipeline file, each with its settings. A topic's own
 * name comes before all patterns; of several patterns the first one that fits counts.
 */
import { matchTopic } from '../../core/connector/topic-pattern.ts'

export class TopicsWanted<Settings> {
  /** Listed by name. */
  readonly names: readonly string[]
  readonly patterns: readonly string[]
  readonly #settings: ReadonlyMap<string, Settings>

  constructor(settings: ReadonlyMap<string, Settings>) {
    this.#settings = settings
    this.names = [...settings.keys()].filter((name) => !isPattern(name))
    this.patterns = [...settings.keys()].filter(isPattern)
  }

  /** What to ask brokers for; null = all topics. */
  get asked(): readonly string[] | null {
    return this.patterns.length === 0 ? this.names : null
  }

  /** The settings of a topic; null when it is not wanted. */
  settingsOf(topic: string): Settings | null {
    const own = this.#settings.get(topic)
    if (own !== undefined) return own
    const pattern = this.patternOf(topic)
    return pattern === null ? null : this.#settings.get(pattern)!
  }

  /** The pattern that a topic is found by where its name is not listed. */
  patternOf(topic: string): string | null {
    return this.patterns.find((each) => matchTopic(each, topic)) ?? null
  }
}

function isPattern(name: string): boolean {
  return name.includes('*')
}

/** Kafka's own rule (Topic.java, LEGAL_CHARS): a pattern is one with stars. */
const legal = /^[A-Za-z0-9._*-]{1,249}$/

/** Why this is no name or pattern of topics; null when it is one. */
export function topicNameFault(name: string): string | null {
  if (name === '.' || name === '..') return 'no topic can be called so'
  if (legal.test(name)) return null
  return 'a name of a topic has letters, digits, dots, underscores and hyphens, at most 249; * stands for any of them'
}

/** Whether a pattern leaves the topic out: those that Kafka and Connect keep for themselves. */
export function isInternal(topic: string): boolean {
  return topic.startsWith('__')
}
