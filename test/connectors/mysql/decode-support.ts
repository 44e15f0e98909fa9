/** Decoders fed with events made by hand, and what comes out of them as words. */
import { textAt } from '../../../core/record/value.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import type { Decoder } from '../../../connectors/mysql/binlog/decode.ts'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import { decoderFor, feed, FileDirectory, rotateTo, taken } from './binlog-files.ts'
import { gtid, query, tableMap, writeRows, xid, type Row } from './event-bytes.ts'

export const start: StreamPlace = { flavour: 'mysql', gtids: '', server: 's', file: '', offset: 4 }

export async function run(decoder: Decoder, events: readonly Buffer[]): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = []
  for (const one of events) batches.push(...(await feed(decoder, one)))
  decoder.flush()
  return [...batches, ...taken(decoder)]
}

export function begun(from: StreamPlace = start, directory = new FileDirectory(['shop'])): Decoder {
  const decoder = decoderFor(directory, from)
  const rotate = rotateTo('binlog.000001')
  decoder.event(rotate, 0, rotate.length)
  return decoder
}

export function transaction(number: number, rows: readonly Row[]): Buffer[] {
  return [gtid(number), query('BEGIN'), tableMap(), writeRows(rows), xid]
}

/** `+1 4 a`: weight and values. */
export function rowsOf(batches: readonly SourceBatch[]): string[] {
  return batches.flatMap(({ changes }) =>
    changes.flatMap((change) => {
      if (!('batch' in change)) return [`truncate ${change.topic}`]
      const { batch } = change
      return Array.from({ length: batch.rows }, (_, row) => {
        const values = batch.columns.map((column, i) =>
          textAt(batch.schema.fields[i]!.type, column, row),
        )
        return `${batch.weights[row]! > 0 ? '+' : '-'} ${values.join(' ')}`
      })
    }),
  )
}

/** Not only a position. */
export function isOfInterest({ changes, transaction: of }: SourceBatch): boolean {
  return changes.length > 0 || of !== null
}

export function lastPlace(batches: readonly SourceBatch[]): StreamPlace {
  const position = batches.findLast((batch) => batch.position !== null)?.position
  return JSON.parse(position!) as StreamPlace
}
