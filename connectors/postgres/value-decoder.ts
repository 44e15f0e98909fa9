/** What reads one column's values; values.ts makes one for a logical type. */
import { SluiceError } from '../../core/errors/error.ts'
import { typeName, type LogicalType } from '../../core/record/types.ts'
import type { ColumnBuilder } from '../../core/record/validity.ts'

export interface ValueDecoder {
  readonly type: LogicalType
  readonly builder: ColumnBuilder
  /** Appends the value whose text is source[start, end). Throws `source.postgres.value`. */
  append(source: Uint8Array, start: number, end: number): void
  appendNull(): void
}

export function badValue(type: LogicalType): SluiceError {
  return new SluiceError('source.postgres.value', {
    message: `A ${typeName(type)} value is not written in the form that the session settings ask for.`,
  })
}
