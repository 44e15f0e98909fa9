/**
 * Which types hold which: a partial order, so that a target that was widened twice is as wide as one
 * that was widened at once.
 *
 *   int16 ≤ int32 ≤ int64 ≤ decimal(p, s) with p − s ≥ 5, 10, 19 digits before the point; uint64: 20
 *   int16 ≤ float32 ≤ float64, int32 ≤ float64: 24 and 53 bits are exact (IEEE 754 §3.6)
 *   decimal(p, s) ≤ decimal(p', s') when neither side of the point gets shorter; all ≤ decimal
 *   integers, uuid, json, other ≤ text: each value has one text, and targets write the same one
 *   list<a> ≤ list<b> when a ≤ b
 *
 * Left out with care: date ≤ timestamp (PostgreSQL's dates reach year 5,874,897, timestamps 294,276),
 * timestamp ≤ timestamptz (it takes a zone), int64 ≤ float64 (above 2^53), decimals, floats and times
 * ≤ text (a target that converts what it has may write another text of the same value: 1.5 for 1.50).
 */
import { sameType, type LogicalType } from './types.ts'

/** Decimal digits of the largest value. */
const integerDigits: Readonly<Record<string, number>> = {
  int16: 5,
  int32: 10,
  int64: 19,
  uint64: 20,
}

const wider: Readonly<Record<string, readonly string[]>> = {
  int16: ['int32', 'int64', 'float32', 'float64', 'text'],
  int32: ['int64', 'float64', 'text'],
  int64: ['text'],
  uint64: ['text'],
  float32: ['float64'],
  uuid: ['text'],
  json: ['text'],
  other: ['text'],
}

/** Whether every value of `from` has an exact place in `to`. */
export function holdsType(to: LogicalType, from: LogicalType): boolean {
  if (sameType(to, from)) return true
  if (to.kind === 'list') return from.kind === 'list' && holdsType(to.element, from.element)
  if (to.kind !== 'decimal') return wider[from.kind]?.includes(to.kind) === true
  const digits = from.kind === 'decimal' ? null : integerDigits[from.kind]
  if (digits === undefined) return false
  if (to.precision === null) return true
  const scale = to.scale ?? 0
  const whole = to.precision - scale
  if (digits !== null) return scale >= 0 && whole >= digits
  if (from.kind !== 'decimal' || from.precision === null) return false
  return scale >= (from.scale ?? 0) && whole >= from.precision - (from.scale ?? 0)
}
