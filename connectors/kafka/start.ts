/**
 * Where a topic is begun that the log has nothing of, as the pipeline file says it: at a place, a time, what
 * a consumer group has stored, or given offsets. Partitions of which that tells nothing begin at their first
 * record, so that nothing is lost.
 */
import type { KafkaDriver, PartitionOffset, TopicPartition } from './driver.ts'

export type Start =
  | { readonly kind: 'earliest' | 'latest' | 'group' }
  | { readonly kind: 'time'; readonly timeMs: number }
  /** By partition. */
  | { readonly kind: 'offsets'; readonly offsets: ReadonlyMap<number, number> }

export interface StartWanted extends TopicPartition {
  readonly start: Start
}

export interface StartFound extends TopicPartition {
  readonly offset: number
  /** It is the first record that was there. */
  readonly first: boolean
}

/** One for each that is wanted, in their order. Rejects with what the driver says. */
export async function findStarts(
  driver: KafkaDriver,
  group: string | null,
  wanted: readonly StartWanted[],
  signal: AbortSignal,
): Promise<readonly StartFound[]> {
  const found = new Map<string, StartFound>()
  const keep = (offsets: readonly PartitionOffset[], first: boolean): void => {
    for (const { topic, partition, offset } of offsets) {
      if (offset < 0n) continue
      found.set(`${topic}/${partition}`, { topic, partition, offset: Number(offset), first })
    }
  }
  for (const each of wanted) {
    if (each.start.kind !== 'offsets') continue
    const offset = each.start.offsets.get(each.partition)
    if (offset !== undefined) keep([{ ...each, offset: BigInt(offset) }], false)
  }
  const stored = wanted.filter(({ start }) => start.kind === 'group')
  if (stored.length > 0 && group !== null) {
    keep(await driver.committedOffsets(group, stored.map(placeOf), signal), false)
  }
  for (const timeMs of new Set(
    wanted.map(({ start }) => (start.kind === 'time' ? start.timeMs : null)),
  )) {
    if (timeMs === null) continue
    const there = wanted.filter(({ start }) => start.kind === 'time' && start.timeMs === timeMs)
    keep(await driver.offsets(there.map(placeOf), timeMs, signal), false)
  }
  const isMissing = ({ topic, partition }: StartWanted): boolean =>
    !found.has(`${topic}/${partition}`)
  // No record so young: the next one to come is.
  const last = wanted.filter(
    (each) => (each.start.kind === 'latest' || each.start.kind === 'time') && isMissing(each),
  )
  if (last.length > 0) keep(await driver.offsets(last.map(placeOf), 'latest', signal), false)
  const rest = wanted.filter(isMissing)
  if (rest.length > 0) keep(await driver.offsets(rest.map(placeOf), 'earliest', signal), true)
  return wanted.map(({ topic, partition }) => {
    const start = found.get(`${topic}/${partition}`)
    if (start === undefined) throw new TypeError(`no offset of ${topic}/${partition} was given`)
    return start
  })
}

function placeOf({ topic, partition }: StartWanted): TopicPartition {
  return { topic, partition }
}
