/**
 * Which tables are copied beside the stream at this start: those added since the first copy, those that
 * are to be copied again, and those whose copy is not over. Tables without a key that can be read in
 * ranges stay with the copy in front of the stream (snapshot.ts).
 */
import {
  isCopyOf,
  nothingCopied,
  voidTable,
  withTable,
  type SnapshotProgress,
  type TableProgress,
} from '../../core/connector/snapshot/progress.ts'
import { topicName, type TableInfo } from './catalog.ts'
import { orderNames, type KeyOrder } from './key-order.ts'
import type { PgPosition } from './position.ts'
import { isComplete } from './snapshot-progress.ts'
import { hasRanges } from './snapshot-reader.ts'

export interface BesidePlan {
  readonly progress: SnapshotProgress
  /** To be copied beside the stream. */
  readonly tables: readonly TableInfo[]
  /** Topics that the copy in front of the stream has nothing to do with. */
  readonly topics: ReadonlySet<string>
  /** Topics that the copy in front of the stream has to copy again. */
  readonly again: readonly string[]
}

export interface PlanOptions {
  readonly tables: readonly TableInfo[]
  /** Topics whose changes were not sent until now. */
  readonly added: ReadonlySet<string>
  /** By topic: what the configuration says under `resnapshot`. */
  readonly asked: Readonly<Record<string, string>>
  readonly snapshot: 'initial' | 'never'
  readonly orderOf: (table: TableInfo) => Promise<KeyOrder>
}

export async function planBeside(place: PgPosition, options: PlanOptions): Promise<BesidePlan> {
  const { tables, asked } = options
  let progress = withoutLost(place.beside ?? nothingCopied, options)
  const wanted: TableInfo[] = []
  const topics = new Set(Object.keys(progress.tables))
  const again: string[] = []
  for (const table of tables) {
    const topic = topicName(table)
    const before = progress.tables[topic]
    const text = asked[topic]
    const copied = copiedBefore(place, topic)
    const isNew = copied === 'not' && options.snapshot === 'initial' && !isResumed(place)
    if (before === undefined && text === undefined && !isNew) continue
    const order = await options.orderOf(table)
    const now = { id: String(table.oid), key: orderNames(order) }
    if (!hasRanges(order)) {
      topics.delete(topic)
      if (isOver(before, now, text) || (before === undefined && text === undefined)) continue
      if (copied === 'whole' || before !== undefined) again.push(topic)
      progress = withTable(progress, topic, text === undefined ? now : { ...now, asked: text })
    } else if (before !== undefined) {
      if (!isOver(before, now, text)) wanted.push(table)
    } else if (isNew) {
      wanted.push(table)
      topics.add(topic)
    } else if (copied === 'whole' || options.snapshot === 'never') {
      // Whatever the topic holds is of a copy that was not asked for by this text.
      progress = withTable(progress, topic, voidTable)
      wanted.push(table)
      topics.add(topic)
    } else progress = withTable(progress, topic, { ...now, asked: text! })
  }
  return { progress, tables: wanted, topics, again }
}

/** The progress when a first copy begins: it is the copy that these texts ask for. */
export async function askedAtFirst(
  tables: readonly TableInfo[],
  asked: Readonly<Record<string, string>>,
  orderOf: PlanOptions['orderOf'],
): Promise<SnapshotProgress> {
  let progress = nothingCopied
  for (const table of tables) {
    const text = asked[topicName(table)]
    if (text === undefined) continue
    const key = orderNames(await orderOf(table))
    progress = withTable(progress, topicName(table), { id: String(table.oid), key, asked: text })
  }
  return progress
}

/** Whether nothing is left to do for the table as it is now. */
function isOver(
  before: TableProgress | undefined,
  now: Pick<TableProgress, 'id' | 'key'>,
  asked: string | undefined,
): boolean {
  if (before === undefined || before.upTo !== undefined || before.waiting !== undefined)
    return false
  return isCopyOf(before, now, asked)
}

/** What the copy in front of the stream did of the topic. */
function copiedBefore({ snapshot }: PgPosition, topic: string): 'not' | 'partly' | 'whole' {
  const copying = snapshot?.tables[topic]
  if (copying !== undefined) return isComplete(copying) ? 'whole' : 'partly'
  return snapshot?.done[topic] === undefined ? 'not' : 'whole'
}

/** Whether a first copy is not over: it goes on in front of the stream, with all tables that it lacks. */
function isResumed({ snapshot }: PgPosition): boolean {
  return Object.values(snapshot?.tables ?? {}).some(
    (table) => table.ranges.length > 0 && !isComplete(table),
  )
}

/** Tables whose changes were not followed for a while, because the configuration or the publication left them out. */
function withoutLost(
  before: SnapshotProgress,
  { tables, added }: Pick<PlanOptions, 'tables' | 'added'>,
): SnapshotProgress {
  const followed = new Set(tables.map(topicName))
  let progress = before
  for (const [topic, table] of Object.entries(before.tables)) {
    if (table.id === '' || (followed.has(topic) && !added.has(topic))) continue
    progress = withTable(progress, topic, { ...voidTable, ...askedOf(table) })
  }
  return progress
}

function askedOf({ asked }: TableProgress): Pick<TableProgress, 'asked'> {
  return asked === undefined ? {} : { asked }
}
