/**
 * Where things are in the log: each task has one chain, each topic lives on the chain of the task
 * that writes it.
 */

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

/** The other way round: `public.orders` of `shop.public.orders`. */
export function topicInSource(source: string, topic: string): string {
  return topic.slice(source.length + 1)
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
