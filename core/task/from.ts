/**
 * Which topics an entry of `from`, or a table in SQL, means: a full name, a unique tail of one (`orders`,
 * `public.orders`), or a pattern in which `*` stands for any characters (`shop.*`).
 *
 * Side topics are meant only when named in full: what tasks write of their own work, beside the rows they are there
 * for. Who writes a topic tells which they are, and never its name alone: a table or a Kafka topic may be called
 * `deliveries` or `idempotency_keys` too, and a pattern that passed over it would lose its rows.
 */
import type { SourceConnector } from '../connector/source.ts'
import { matchTopic } from '../connector/topic-pattern.ts'
import { deadLetterTopic, topicInSource } from './names.ts'

/** Whether a topic is a side topic. */
export type IsSide = (topic: string) => boolean

export interface TopicWriters {
  readonly sources: readonly {
    readonly name: string
    readonly connector: SourceConnector<unknown>
  }[]
  /** Their names. */
  readonly sinks: readonly string[]
}

/** A topic's name begins with that of the task that writes it, and no two tasks of a pipeline share one. */
export function sideTopics({ sources, sinks }: TopicWriters): IsSide {
  const connectors = new Map(sources.map(({ name, connector }) => [name, connector]))
  return (topic) => {
    const writer = topic.slice(0, Math.max(0, topic.indexOf('.')))
    if (sinks.includes(writer) || topic === deadLetterTopic(writer)) return true
    return connectors.get(writer)?.isBookkeeping?.(topicInSource(writer, topic)) ?? false
  }
}

export function isMeant(
  from: readonly string[],
  topic: string,
  isSide: IsSide = () => false,
): boolean {
  if (from.includes(topic)) return true
  if (isSide(topic)) return false
  return from.some((entry) =>
    entry.includes('*') ? matchTopic(entry, topic) : topic.endsWith(`.${entry}`),
  )
}
