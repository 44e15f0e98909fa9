/**
 * Positions of this source: for each topic, the offset of the next record of each partition, and which
 * topic of which cluster that is, since offsets mean nothing in another topic of the same name.
 *
 *   position = JSON {"topics": [[name, place], …], "patterns"?: [pattern, …]}
 *   place    = {"next": [offset, …], "last"?: [[offset, checksum] | null, …], "cluster"?, "id"?,
 *               "restarts"?, "restart"?}
 *
 * Both are by partition number; −1 = that partition is not known yet.
 */
import { position, type Position } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { LastRecord } from './last-record.ts'

export interface TopicPlace {
  /** null where the broker does not tell it. */
  readonly cluster: string | null
  readonly id: string | null
  /** How often it was read anew on somebody's order; counts before everything else. */
  readonly restarts: number
  /** The text of that order; null = there never was one. */
  readonly restart: string | null
  /** By partition; −1 = not known. */
  readonly next: readonly number[]
  /** By partition, the last record that was read; null or missing = not known. Not compared. */
  readonly last: readonly (LastRecord | null)[]
}

export interface KafkaPosition {
  readonly topics: ReadonlyMap<string, TopicPlace>
  /** In force when the topics were last looked for: one that they find later was made since. Not compared. */
  readonly patterns: readonly string[]
}

interface PlaceText {
  readonly next: readonly number[]
  readonly last?: readonly (LastRecord | null)[]
  readonly cluster?: string
  readonly id?: string
  readonly restarts?: number
  readonly restart?: string
}

/** Every batch is compared with the one before: neither is to be parsed again. */
const remembered = new Map<string, KafkaPosition>()
const rememberedMax = 4

export function formatPosition(content: KafkaPosition): Position {
  const topics = [...content.topics].map(([name, place]) => [name, textOf(place)])
  const { patterns } = content
  const text = JSON.stringify(patterns.length === 0 ? { topics } : { topics, patterns })
  remember(text, content)
  return position(text)
}

function textOf({ next, last, cluster, id, restarts, restart }: TopicPlace): PlaceText {
  return {
    next,
    ...(last.every((record) => record === null) ? {} : { last }),
    ...(cluster === null ? {} : { cluster }),
    ...(id === null ? {} : { id }),
    ...(restarts === 0 ? {} : { restarts }),
    ...(restart === null ? {} : { restart }),
  }
}

/** Throws `internal.bug`: a position comes from our own log, and from nowhere else. */
export function parsePosition(text: Position): KafkaPosition {
  const known = remembered.get(text)
  if (known !== undefined) return known
  try {
    const content = JSON.parse(text) as {
      readonly topics: readonly (readonly [string, PlaceText])[]
      readonly patterns?: readonly string[]
    }
    const topics = new Map(content.topics.map(([name, place]) => [name, placeOf(name, place)]))
    const parsed = { topics, patterns: content.patterns ?? [] }
    remember(text, parsed)
    return parsed
  } catch (cause) {
    throw new SluiceError('internal.bug', {
      message: 'The position in the log is not one of a Kafka source.',
      cause,
    })
  }
}

function placeOf(
  name: string,
  { next, last, cluster, id, restarts, restart }: PlaceText,
): TopicPlace {
  if (typeof name !== 'string' || !next.every((offset) => Number.isSafeInteger(offset))) {
    throw new TypeError('no offsets')
  }
  return {
    next,
    last: last ?? [],
    cluster: cluster ?? null,
    id: id ?? null,
    restarts: restarts ?? 0,
    restart: restart ?? null,
  }
}

function remember(text: string, content: KafkaPosition): void {
  remembered.set(text, content)
  if (remembered.size <= rememberedMax) return
  for (const oldest of remembered.keys()) {
    remembered.delete(oldest)
    return
  }
}

/**
 * Whether everything that `b` says is done, `a` says too: componentwise, so a partial order. A topic read
 * anew comes after all that was read of it before; topics that are not the same cannot be compared.
 */
export function atOrAfter(a: Position, b: Position): boolean {
  if (a === b) return true
  const left = parsePosition(a).topics
  for (const [name, place] of parsePosition(b).topics) {
    const other = left.get(name)
    if (other === undefined || !placeAtOrAfter(other, place)) return false
  }
  return true
}

function placeAtOrAfter(a: TopicPlace, b: TopicPlace): boolean {
  if (a.restarts !== b.restarts) return a.restarts > b.restarts
  if (b.cluster !== null && a.cluster !== b.cluster) return false
  if (b.id !== null && a.id !== b.id) return false
  return b.next.every((offset, partition) => (a.next[partition] ?? -1) >= offset)
}
