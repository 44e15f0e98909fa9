/**
 * MariaDB's own formats of times with a fraction, from 5.3 to 10.0 and still under
 * mysql56_temporal_format=OFF. They hide under the old type bytes and have no metadata, so only the
 * catalog's type tells their digits.
 *
 *   time(f)       big-endian: the time in units of its last digit, + (3020400 s) in the same units
 *   datetime(f)   big-endian: ((((((year × 13 + month) × 32 + day) × 24 + hour) × 60 + minute) × 60 +
 *                 second) in units of the last digit
 *   timestamp(f)  4 bytes big-endian seconds, then the fraction in units of its last digit
 *
 * MariaDB 11.8, sql/field.cc: Field_time_hires, Field_datetime_hires, Field_timestamp_hires.
 */
import type { Moment } from './values-time.ts'
import { badImage } from './values.ts'

/** Bytes by digits of fraction. */
export const hiresBytes = {
  time: Uint8Array.of(3, 4, 4, 5, 5, 5, 6),
  datetime: Uint8Array.of(5, 6, 6, 7, 7, 7, 8),
} as const

/** One second beyond 838:59:59, so that no time is stored as a negative number. */
const timeBiasSeconds = 3_020_400

/** µs of a time(fraction) at `at`. */
export function readHiresTime(source: Uint8Array, at: number, fraction: number): number {
  const end = at + hiresBytes.time[fraction]!
  let value = 0
  for (let i = at; i < end; i++) value = value * 256 + source[i]!
  const units = 10 ** fraction
  value -= timeBiasSeconds * units
  if (Math.abs(value) >= timeBiasSeconds * units) throw badImage('time')
  return value * 10 ** (6 - fraction)
}

/** Reads a datetime(fraction) at `at`. */
export function readHiresDatetime(
  source: Uint8Array,
  at: number,
  fraction: number,
  moment: Moment,
): void {
  const end = at + hiresBytes.datetime[fraction]!
  let value = 0n
  for (let i = at; i < end; i++) value = value * 256n + BigInt(source[i]!)
  const units = 10n ** BigInt(fraction)
  const seconds = Number(value / units)
  const days = Math.floor(seconds / 86_400)
  const months = Math.floor(days / 32)
  moment.year = Math.floor(months / 13)
  moment.month = months % 13
  moment.day = days % 32
  moment.clockUs = (seconds - days * 86_400) * 1e6 + Number(value % units) * 10 ** (6 - fraction)
  if (moment.year > 9999) throw badImage('datetime')
}
