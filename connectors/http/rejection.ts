/** Why a request is refused for its rows: which of them, which field, and what it should have been. */
import type { SluiceError } from '../../core/errors/error.ts'
import { withoutPlace } from './record-place.ts'
import type { Refusal } from './push-body.ts'

/** More than these would tell nothing new. */
const namedMax = 10

export interface BadRow {
  /** Of the request's records, from 0. */
  readonly index: number
  readonly error: SluiceError
}

export function refusalOf(rows: readonly BadRow[]): Refusal {
  const [first] = rows
  // A body that is not written in its format at all is malformed; one that does not fit the schema is not.
  const malformed = rows.every(({ error }) => error.code === 'format.value')
  const errors = rows.slice(0, namedMax).map(({ index, error }) => ({
    index,
    code: error.code,
    detail: withoutPlace(error.message),
  }))
  const many = rows.length > 1 ? `${rows.length} rows do not fit; the first: ` : ''
  return {
    status: malformed ? 400 : 422,
    code: first?.error.code ?? 'format.value',
    detail: `${many}row ${first?.index ?? 0}: ${errors[0]?.detail ?? ''}`,
    more: { errors, bad_rows: rows.length },
  }
}
