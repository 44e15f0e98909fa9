/** Texts that Debezium writes in a way of its own, as cells. */
import { latin1, type CellReader } from '../../../core/connector/format/cell.ts'
import {
  colon,
  comma,
  endsHere,
  failed,
  quote,
  skipBlanks,
  stringEnd,
  valueEnd,
} from '../../../core/connector/format/json-scan.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'

const letterZ = 0x5a

/**
 * Days and wall clocks in ISO 8601 (IsoDate, IsoTime, IsoTimestamp), to which Debezium adds a Z that means
 * nothing: `2026-01-31T12:34:56Z` of a column without a zone.
 */
export class WallClockCell implements CellReader {
  readonly #cell: CellReader

  constructor(cell: CellReader) {
    this.#cell = cell
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const first = start < end ? bytes[start] : 0
    if (first === 0x2b || first === 0x2d) {
      const infinity = infinityIn(latin1(bytes, start, end))
      if (infinity !== null) return this.#cell.append(builder, infinity, 0, infinity.length)
    }
    const last = end > start && bytes[end - 1] === letterZ ? end - 1 : end
    return this.#cell.append(builder, bytes, start, last)
  }
}

const infinity = Buffer.from('infinity')
const negativeInfinity = Buffer.from('-infinity')

/**
 * PostgreSQL's ±infinity as Debezium 3.6 writes it: of timestamps the instants that pgjdbc has for them; of
 * dates the same (the year 292,269,055 is BC) in the first copy, and in the stream what becomes of the
 * server's 32 bits.
 */
function infinityIn(text: string): Uint8Array | null {
  if (text === '+294247-01-10T04:00:25.2Z' || /^\+292278994-08-1\dZ?$/.test(text)) return infinity
  if (text === '-290308-12-21T19:59:27.6Z' || /^\+292269055-12-0\dZ?$/.test(text))
    return negativeInfinity
  if (text === '-5877611-06-21Z') return infinity
  return text === '-5877611-06-22Z' ? negativeInfinity : null
}

/**
 * A time with a zone as PostgreSQL prints it: `10:00:00.5+00` of `10:00:00.5Z`. Debezium has moved it to
 * UTC, so that there is no other zone.
 */
export class ZonedTimeCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const isUtc = end > start && bytes[end - 1] === letterZ
    const texts = builder as BytesBuilder
    const at = texts.reserve(end - start + 2)
    const into = texts.bytes
    let to = at
    for (let from = start; from < (isUtc ? end - 1 : end); from++) {
      const byte = bytes[from]!
      const isClock = (byte >= 0x30 && byte <= 0x3a) || byte === 0x2e
      if (!isClock && (isUtc || (byte !== 0x2b && byte !== 0x2d))) return false
      into[to++] = byte
    }
    // LocalTime leaves seconds out that are none.
    if (isUtc && to - at === 5) for (const byte of noSeconds) into[to++] = byte
    if (isUtc) for (const byte of utc) into[to++] = byte
    texts.commit(to - at)
    return to > at
  }
}
const noSeconds = Uint8Array.of(0x3a, 0x30, 0x30)
const utc = Uint8Array.of(0x2b, 0x30, 0x30)

/** A JSON document inside a text. */
export class JsonTextCell implements CellReader {
  readonly #isMysql: boolean

  /** `isMysql`: as the server prints it, which Debezium does in its first copy and not in the stream. */
  constructor(isMysql: boolean) {
    this.#isMysql = isMysql
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const at = skipBlanks(bytes, start, end)
    const last = at < end ? valueEnd(bytes, at, end) : failed
    if (last === failed || !endsHere(bytes, last, end)) return false
    if (this.#isMysql) appendSpaced(builder as BytesBuilder, bytes, at, last)
    else (builder as BytesBuilder).append(bytes, start, end)
    return true
  }
}

/** With a blank behind each comma and colon, and no others between values (sql-common/json_dom.cc). */
function appendSpaced(builder: BytesBuilder, bytes: Uint8Array, start: number, end: number): void {
  const from = builder.reserve((end - start) * 2)
  const into = builder.bytes
  let to = from
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte === quote) {
      const close = Math.abs(stringEnd(bytes, at + 1, end))
      while (at < close) into[to++] = bytes[at++]!
      into[to++] = quote
    } else if (byte > 0x20) {
      into[to++] = byte
      if (byte === comma || byte === colon) into[to++] = 0x20
    }
  }
  builder.commit(to - from)
}
