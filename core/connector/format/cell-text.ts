/**
 * Cells that are no numbers and no times.
 *
 *   bool     = 'true' | 'false' | 't' | 'f' | 'yes' | 'no' | 'y' | 'n' | 'on' | 'off' | '1' | '0', in any case
 *   text     = any UTF-8
 *   bytes    = base64, with or without padding, in either alphabet (RFC 4648 §4, §5)
 *   uuid     = 32 hex digits, plain or as 8-4-4-4-12 (RFC 9562 §4)
 *   interval = [ sign ] 'P' [ n 'Y' ] [ n 'M' ] [ n 'W' ] [ n 'D' ] [ 'T' [ n 'H' ] [ n 'M' ] [ n [ '.' digits ] 'S' ] ]
 *            | 'infinity' | '-infinity'              n = [ sign ] digits (ISO 8601-2 §4.4.1.9)
 */
import type { AnyBuilder, BoolBuilder, Fixed16Builder } from '../../record/builder.ts'
import type { BytesBuilder } from '../../record/bytes-builder.ts'
import { timestampInfinity, timestampNegativeInfinity } from '../../record/types.ts'
import { latin1, type CellReader } from './cell.ts'
import { hexDigit, look, minus, sequenceLength } from './json-scan.ts'

const truths = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const falsehoods = new Set(['false', 'f', 'no', 'n', 'off', '0'])

export class BoolCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const word = latin1(bytes, start, Math.min(end, start + 6)).toLowerCase()
    const truth = truths.has(word)
    if (!truth && !falsehoods.has(word)) return false
    ;(builder as BoolBuilder).append(truth ? 1 : 0)
    return true
  }
}

/** Whether bytes[start, end) is UTF-8 (RFC 3629). */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  const view = look(bytes)
  for (let at = start; at < end;) {
    // Four at once where all of them are ASCII.
    while (at <= end - 4 && (view.getInt32(at, true) & 0x8080_8080) === 0) at += 4
    if (at === end) return true
    if (bytes[at]! < 0x80) at++
    else {
      const length = sequenceLength(bytes, at, end)
      if (length === 0) return false
      at += length
    }
  }
  return true
}

/** text, other. */
export class TextCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    if (!isUtf8(bytes, start, end)) return false
    ;(builder as BytesBuilder).append(bytes, start, end)
    return true
  }
}

const base64Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
/** Value of each base64 digit in either alphabet; 64 = none. */
const base64Digits = new Uint8Array(256).fill(64)
for (let i = 0; i < 64; i++) base64Digits[base64Alphabet.charCodeAt(i)] = i
base64Digits[minus] = 62
base64Digits[0x5f] = 63

export class Base64Cell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const padding = 0x3d
    let last = end
    if ((end - start) % 4 === 0) {
      while (last > start && end - last < 2 && bytes[last - 1] === padding) last--
    }
    const blobs = builder as BytesBuilder
    const from = blobs.reserve(((last - start) * 3) >> 2)
    const into = blobs.bytes
    let to = from
    let bits = 0
    let held = 0
    for (let at = start; at < last; at++) {
      const digit = base64Digits[bytes[at]!]!
      if (digit === 64) return false
      held = (held << 6) | digit
      bits += 6
      if (bits >= 8) {
        bits -= 8
        into[to++] = (held >> bits) & 0xff
        held &= (1 << bits) - 1
      }
    }
    // Bits left over that are set, or a digit alone: something is missing.
    if (held !== 0 || bits === 6) return false
    blobs.commit(to - from)
    return true
  }
}

export class UuidCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const hyphens = end - start === 36
    if (!hyphens && end - start !== 32) return false
    const uuids = builder as Fixed16Builder
    const row = uuids.length
    let to = uuids.reserve()
    const into = uuids.bytes
    let at = start
    for (let i = 0; i < 16; i++) {
      if (hyphens && (i === 4 || i === 6 || i === 8 || i === 10) && bytes[at++] !== minus) break
      const high = hexDigit(bytes[at]!)
      const low = hexDigit(bytes[at + 1]!)
      if (high < 0 || low < 0) break
      into[to++] = high * 16 + low
      at += 2
    }
    if (at === end) return true
    uuids.rewind(row)
    return false
  }
}

const count = String.raw`(?:([+-]?\d{1,18})`
const durationText = new RegExp(
  String.raw`^([+-]?)P${count}Y)?${count}M)?${count}W)?${count}D)?` +
    String.raw`(?:T${count}H)?${count}M)?(?:([+-]?)(\d{1,18})(?:[.,](\d+))?S)?)?$`,
)
const int32Min = -0x8000_0000n
const int32Max = 0x7fff_ffffn

export class IntervalCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const text = latin1(bytes, start, end)
    if (text === 'infinity' || text === '-infinity') {
      const positive = text === 'infinity'
      const whole = positive ? int32Max : int32Min
      write(builder, [whole, whole, positive ? timestampInfinity : timestampNegativeInfinity])
      return true
    }
    const interval = durationOf(text)
    if (interval === null) return false
    write(builder, interval)
    return true
  }
}

type Interval = readonly [months: bigint, days: bigint, us: bigint]

/** null: none, or beyond what 32 bits of months and days and 64 of microseconds hold. */
function durationOf(text: string): Interval | null {
  const parts = durationText.exec(text)
  if (parts === null || /[PT]$/.test(text)) return null
  const whole = (part: number): bigint => BigInt(parts[part] ?? 0)
  const sign = parts[1] === '-' ? -1n : 1n
  const months = sign * (whole(2) * 12n + whole(3))
  const days = sign * (whole(4) * 7n + whole(5))
  const fraction = (parts[10] ?? '').padEnd(6, '0')
  const seconds = BigInt(parts[9] ?? 0) * 1_000_000n + BigInt(fraction.slice(0, 6))
  const rounded = seconds + (fraction.charAt(6) >= '5' ? 1n : 0n)
  const us =
    sign *
    (whole(6) * 3_600_000_000n + whole(7) * 60_000_000n + (parts[8] === '-' ? -rounded : rounded))
  const fits =
    fitsInt32(months) && fitsInt32(days) && us > timestampNegativeInfinity && us < timestampInfinity
  return fits ? [months, days, us] : null
}

function fitsInt32(value: bigint): boolean {
  return value >= int32Min && value <= int32Max
}

function write(builder: AnyBuilder, [months, days, us]: Interval): void {
  const intervals = builder as Fixed16Builder
  const at = intervals.reserve()
  const view = new DataView(intervals.bytes.buffer, intervals.bytes.byteOffset + at, 16)
  view.setInt32(0, Number(months), true)
  view.setInt32(4, Number(days), true)
  view.setBigInt64(8, us, true)
}
