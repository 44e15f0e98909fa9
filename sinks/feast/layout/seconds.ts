/** Moments as whole seconds and the rest, exact over all the years that a column can hold. */
import type { Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { numberAt } from '../../../core/record/value.ts'

const secondsADay = 86_400

/** Seconds since 1970 of a date, timestamp or timestamptz, rounded down; what screen.ts let pass. */
export function secondsAt(type: LogicalType, column: Column, row: number): number {
  const value = numberAt(column, row)
  if (type.kind === 'date') return Number(value) * secondsADay
  if (typeof value === 'number') return (value - restOfNumber(value)) / 1e6
  return Number((value - restOf(value)) / 1_000_000n)
}

/** The µs within that second, 0 to 999 999. */
export function microsAt(type: LogicalType, column: Column, row: number): number {
  if (type.kind === 'date') return 0
  const value = numberAt(column, row)
  return typeof value === 'number' ? restOfNumber(value) : Number(restOf(value))
}

/** By the remainder, which is exact; a quotient would be rounded. */
function restOfNumber(us: number): number {
  const rest = us % 1e6
  return rest < 0 ? rest + 1e6 : rest
}

function restOf(us: bigint): bigint {
  const rest = us % 1_000_000n
  return rest < 0n ? rest + 1_000_000n : rest
}
