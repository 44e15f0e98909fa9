/**
 * The value of rows that are older than a column, as an expression for `ADD COLUMN … DEFAULT`: such
 * rows then read as if the source had sent them again, without one part being written anew. Exact, or
 * none: what the column cannot hold (a date before 1900) is NULL or the type's own default in them.
 *
 * Numbers and dates are cast from text, which the server reads digit by digit; floats are literals,
 * which it reads to the last bit, while a cast of text need not (`precise_float_parsing`).
 */
import type { Field } from '../../core/record/schema.ts'
import { quoteLiteral } from './identifiers.ts'
import type { ColumnType } from './types.ts'

/** null where the source said nothing, or what no value of the column is. */
export function oldRowsExpression({ type, oldRows }: Field, column: ColumnType): string | null {
  if (oldRows === undefined) return null
  const { storage } = column
  const cast = (text: string): string => `CAST(${quoteLiteral(text)}, ${quoteLiteral(column.name)})`
  switch (storage.kind) {
    case 'bool':
      return oldRows === 't' ? 'true' : 'false'
    case 'float32':
      return floatLiteral(Math.fround(Number(oldRows)))
    case 'float64':
      return floatLiteral(Number(oldRows))
    case 'int16':
    case 'int32':
    case 'uint64':
      return cast(oldRows)
    case 'int64':
      return cast(type.kind === 'time' ? microseconds(oldRows) : oldRows)
    case 'decimal':
      return /^-?\d+(\.\d+)?$/.test(oldRows) ? cast(oldRows) : null
    case 'uuid':
      return cast(oldRows)
    case 'date':
    case 'timestamp':
      return isHeld(oldRows) ? cast(oldRows.replace(/\+00$/, '')) : null
    case 'time':
      return cast(oldRows)
    // An added list has nothing to be cast from that the source's text is; rows from before have [].
    case 'array':
    case 'map':
      return null
    case 'json':
      return /^\s*\{/.test(oldRows) ? cast(oldRows) : null
    case 'string':
      return type.kind === 'bytes' ? `unhex('${oldRows.slice(2)}')` : quoteLiteral(oldRows)
  }
}

function floatLiteral(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return Object.is(value, -0) ? '-0.' : String(value)
}

/** `HH:MM:SS[.ffffff]`, with more hours and a sign where it is MySQL's. */
function microseconds(text: string): string {
  const [, sign, hours, minutes, seconds, fraction = ''] =
    /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text)!
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)
  const us = whole * 1e6 + Number(fraction.padEnd(6, '0'))
  return us === 0 ? '0' : `${sign}${us}`
}

/** Dates and times from 1900 to 2299, as screen.ts lets pass. */
function isHeld(text: string): boolean {
  return /^(?:19|20|21|22)\d\d-[^B]*$/.test(text)
}
