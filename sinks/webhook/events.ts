/**
 * From the rows of a batch to events, and the order they are sent in.
 *
 *   +1                          one event: insert, update or snapshot, as the source said
 *   −1                          a delete event
 *   retract: −1 update, +1 update of the same key     one update event that also has the old row
 *   key change: −1 update old key, +1 update new key   a delete event and an update event
 *
 * A key change stays two events in every kind of topic: each belongs to the order of its own key, and
 * an endpoint that applies them in any order across keys still ends with the right rows.
 *
 * Events are grouped in lanes: one after the other within a lane, lanes side by side. Rows of an
 * append topic without a key have no order to keep. Rows of a retract topic without a key do (an
 * update names its old row by its values alone), so that they all share one lane.
 */
import { Op, opNames, type Batch } from '../../core/record/batch.ts'
import { rowKey } from '../../core/record/key.ts'
import type { EventKind } from './config.ts'

export interface ChangeEvent {
  readonly kind: EventKind
  /** The row that `data` shows, and whose offset and time are the event's. */
  readonly row: number
  /** The row with the old values; −1 when there is none. */
  readonly previous: number
}

export interface Lane {
  /** What its order is kept by, also towards other batches; null where there is none to keep. */
  readonly key: string | null
  readonly events: readonly ChangeEvent[]
}

export type Order = 'per-key' | 'strict' | 'none'

export function planLanes(
  batch: Batch,
  order: Order,
  wanted: ReadonlySet<EventKind>,
): readonly Lane[] {
  const events = planEvents(batch).filter((event) => wanted.has(event.kind))
  const { key, changelog } = batch.schema
  const oneLane = (): readonly Lane[] => (events.length === 0 ? [] : [{ key: '', events }])
  const apart = (): readonly Lane[] => events.map((event) => ({ key: null, events: [event] }))
  if (order === 'strict') return oneLane()
  if (order === 'none') return apart()
  if (key.length === 0) return changelog === 'append' ? apart() : oneLane()
  const lanes = new Map<string, ChangeEvent[]>()
  for (const event of events) {
    const text = rowKey(batch, event.row)
    const lane = lanes.get(text)
    if (lane === undefined) lanes.set(text, [event])
    else lane.push(event)
  }
  return [...lanes].map(([key, events]) => ({ key, events }))
}

/** The events of a batch in the order of their rows. */
export function planEvents(batch: Batch): readonly ChangeEvent[] {
  const pairs = batch.schema.changelog === 'retract' ? pairUpdates(batch) : null
  const taken = new Set(pairs?.values())
  const events: ChangeEvent[] = []
  for (let row = 0; row < batch.rows; row++) {
    if (taken.has(row)) continue
    events.push({ kind: kindOf(batch, row), row, previous: pairs?.get(row) ?? -1 })
  }
  return events
}

function kindOf(batch: Batch, row: number): EventKind {
  if (batch.weights[row]! < 0) return 'delete'
  const op = batch.ops[row]!
  // A transform's output row can appear because an input row was deleted (a count went down): to the
  // endpoint that is a new value.
  return op === Op.delete ? 'update' : opNames[op]!
}

/** Per +1 row of an update, the −1 row with the old values of the same key. */
function pairUpdates(batch: Batch): Map<number, number> {
  const keyed = batch.schema.key.length > 0
  const pairs = new Map<number, number>()
  /** Old rows that wait for their new one, by key. Without a key: only the row just before counts. */
  const open = new Map<string, number>()
  for (let row = 0; row < batch.rows; row++) {
    const key = keyed ? rowKey(batch, row) : ''
    const previous = open.get(key)
    open.delete(key)
    if (batch.ops[row] !== Op.update) continue
    if (batch.weights[row]! < 0) open.set(key, row)
    else if (previous !== undefined) pairs.set(row, previous)
  }
  return pairs
}
