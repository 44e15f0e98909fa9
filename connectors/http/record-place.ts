/**
 * Where a record stands that is set aside, for those who look for it at its sender or its server. `partition`
 * and `offset` of its dead letter say the same: the page of a run, counted from 1 (0: there are none), and
 * the record's place in the request, the page or the stream, counted from 0.
 */
import type { PlaceOf } from '../../core/connector/format/record-decoder.ts'

export const rowOfRequest: PlaceOf = (records, index) =>
  `row ${records.offsets[index]!} of a request`

export const recordOfAnswer: PlaceOf = ({ partition, offsets }, index) =>
  partition === 0
    ? `record ${offsets[index]!} of an answer`
    : `page ${partition}, record ${offsets[index]!}`

export const recordOfStream: PlaceOf = (records, index) => `record ${records.offsets[index]!}`

/** The message of a row of a request without what its sender cannot know or is told beside it. */
export function withoutPlace(message: string): string {
  return message.replace(/^[^:]*, row \d+ of a request: /, '')
}
