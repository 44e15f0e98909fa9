/**
 * A truncate in the offline log: a deletion for every entity that has values from before it, so that a
 * join as of a later time finds none. They stand at the offset of the truncate, which no row has.
 */
import type { FileStore } from '../../../core/connector/file-store.ts'
import type { OfflineLayout } from './layout.ts'
import { contentTag, topicTag, type LogFile } from './names.ts'
import { ParquetOut } from './parquet-file.ts'
import { physicalValues, type PhysicalValue } from './physical.ts'
import { latestAsOf, type KeyPlace, type OfflinePage } from './read.ts'
import { groupRows } from './rows.ts'

/** Later than any event time. */
const everUs = 1n << 62n
const entitiesAtOnce = 20_000
const secondsADay = 86_400

export interface Truncate {
  readonly offset: number
  readonly order: 'time' | 'log'
  readonly nowMs: number
}

export interface DeletionFile {
  readonly day: number
  readonly file: LogFile
  readonly bytes: Uint8Array
}

/**
 * The files to write, one a page of entities. Each is to be durable before the next is asked for; when the
 * truncate is told again, only entities that are not deleted yet are in them.
 */
export async function* deletionFiles(
  files: FileStore,
  layout: OfflineLayout,
  truncate: Truncate,
  signal: AbortSignal,
): AsyncGenerator<DeletionFile> {
  let after: KeyPlace | null = null
  // Rows of one offset are told apart by when they were made.
  let madeUs = truncate.nowMs * 1000
  do {
    const page: OfflinePage = await latestAsOf(
      files,
      layout.view,
      { asOfUs: everUs, order: truncate.order, seed: 0, limit: entitiesAtOnce, after },
      signal,
    )
    const alive = Int32Array.from({ length: page.count }, (_, i) => i).filter(
      (i) => page.deleted[i] === 0 && page.offsets[i]! < truncate.offset,
    )
    if (alive.length > 0) yield deletionFile(layout, page, alive, { ...truncate, madeUs })
    madeUs += alive.length
    after = page.next
  } while (after !== null)
}

function deletionFile(
  layout: OfflineLayout,
  page: OfflinePage,
  alive: Int32Array,
  { offset, nowMs, madeUs }: Truncate & { readonly madeUs: number },
): DeletionFile {
  const { view, fields } = layout
  const out = new ParquetOut(layout.elements, layout.schemaId)
  const step = groupRows(fields.length)
  for (let from = 0; from < alive.length; from += step) {
    const rows = alive.subarray(from, from + step)
    const own = (value: (i: number) => PhysicalValue): PhysicalValue[] =>
      Array.from(rows, (_, i) => value(from + i))
    out.rowGroup([
      ...page.entities.map(({ logical, column }, f) =>
        physicalValues({ logical, column }, fields[f]!.type, rows),
      ),
      own(() => BigInt(nowMs) * 1000n),
      own((i) => BigInt(madeUs + i)),
      ...view.features.map(() => own(() => null)),
      own(() => BigInt(offset)),
      own(() => true),
    ])
  }
  const offsets = new Float64Array(alive.length).fill(offset)
  const createdUs = Float64Array.from(alive, (_, i) => madeUs + i)
  const file: LogFile = {
    topic: topicTag(view.topic),
    from: offset,
    to: offset + 1,
    rows: alive.length,
    content: contentTag(layout.schemaId, [{ offsets, createdUs }]),
  }
  return { day: Math.floor(nowMs / 1000 / secondsADay), file, bytes: out.finish() }
}
