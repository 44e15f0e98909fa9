/** How a test knows that a copy is over: by the position, as the source itself does. */
import type { PgPosition } from '../../../connectors/postgres/position.ts'
import { isComplete } from '../../../connectors/postgres/snapshot-progress.ts'

/**
 * Whether each of the topics was copied, at first or beside the stream, and none is being copied again;
 * `schema.*` is any topic of the schema. True where nothing is to be copied.
 */
export function hasCopied({ snapshot, beside }: PgPosition, topics: readonly string[]): boolean {
  if (snapshot === null) return true
  const copied = new Set(Object.keys(snapshot.done))
  const underWay = new Set<string>()
  for (const [topic, table] of Object.entries(snapshot.tables)) {
    if (isComplete(table)) copied.add(topic)
    // One without ranges is void, and has yet to begin.
    else if (table.ranges.length > 0) underWay.add(topic)
    else copied.delete(topic)
  }
  for (const [topic, { upTo, waiting }] of Object.entries(beside?.tables ?? {})) {
    if (upTo === undefined && waiting === undefined) copied.add(topic)
    else underWay.add(topic)
  }
  return topics.every((topic) => {
    if (!topic.endsWith('.*')) return copied.has(topic) && !underWay.has(topic)
    const isOf = (one: string): boolean => one.startsWith(topic.slice(0, -1))
    return [...copied].some(isOf) && ![...underWay].some(isOf)
  })
}
