/** What a view accepted of a batch (../accept.ts), as rows for the offline log. */
import type { Accepted } from '../accept.ts'
import type { FeatureView } from '../view.ts'
import type { OfflineView } from './layout.ts'
import type { OfflineRows } from './rows.ts'

export function offlineView({ stored, topic, entities, features }: FeatureView): OfflineView {
  return {
    name: stored,
    topic,
    entities: entities.map(({ name, index, logical, type }) => ({
      name,
      index,
      logical,
      type: { kind: 'scalar', name: type },
    })),
    features,
  }
}

/** `except`: rows of the batch to leave out. */
export function offlineRows(accepted: Accepted, except: ReadonlySet<number>): OfflineRows {
  const { batch, offset } = accepted.sent
  const { rows, deleted, seconds, nanos } = accepted
  if (except.size === 0) return { batch, offset, rows, deleted, seconds, nanos }
  const kept = Int32Array.from(rows.keys()).filter((i) => !except.has(rows[i]!))
  return {
    batch,
    offset,
    rows: kept.map((i) => rows[i]!),
    deleted: Uint8Array.from(kept, (i) => deleted[i]!),
    seconds: Float64Array.from(kept, (i) => seconds[i]!),
    nanos: kept.map((i) => nanos[i]!),
  }
}
