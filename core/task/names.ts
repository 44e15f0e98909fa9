/**
 * Where things are in the log: each task has one chain, each topic lives on the chain of the task
 * that writes it.
 */

import { matchTopic } from '../connector/topic-pattern.ts'

export type TaskKind = 'ingest' | 'transform' | 'deliver'

/** The chain of a task: `shop.source.pg`, `shop.transform.revenue`, `shop.sink.warehouse`. */
export function chainName(pipeline: string, kind: TaskKind, name: string): string {
  const part = { ingest: 'source', transform: 'transform', deliver: 'sink' }[kind]
  return `${pipeline}.${part}.${name}`
}

/** A source's topic: `shop` + `public.orders`. */
export function sourceTopic(source: string, topic: string): string {
  return `${source}.${topic}`
}

/** Rows that a task set aside, a topic of its own chain. */
export function deadLetterTopic(task: string): string {
  return `${task}.dead_letters`
}

/** What came of each attempt to deliver, as far as the sink tells; a topic of its own chain. */
export function deliveriesTopic(sink: string): string {
  return `${sink}.deliveries`
}

/** What was decided about changes of topics' shapes, a topic of the sink's own chain. */
export function schemaChangesTopic(sink: string): string {
  return `${sink}.schema_changes`
}

/** Dead letters, decisions about schemas, logs of deliveries; keys of requests that a source has seen. */
const ownTopic = /^[^.]+\.(?:dead_letters|schema_changes|deliveries|[^.]+\.idempotency_keys)$/

/**
 * Whether a topic is meant by one entry of `from`: its full name, a unique tail of it (`orders`,
 * `public.orders`), or a pattern in which `*` stands for any characters (`shop.*`). What tasks write of
 * their own work is meant only when named in full.
 */
export function topicMatches(entry: string, topic: string): boolean {
  if (entry === topic) return true
  if (ownTopic.test(topic)) return false
  return entry.includes('*') ? matchTopic(entry, topic) : topic.endsWith(`.${entry}`)
}
