/**
 * COPY … TO STDOUT in text format → columns. Hot: one call a piece of bytes, nothing allocated per row.
 * Text and not binary, so that a value gets to its column by the same decoder as in the stream, and
 * equal values are equal by construction.
 *
 *   rows   = { row }
 *   row    = value { TAB value } LF              one value a column
 *   value  = '\N' (null) | { byte | escape }     in UTF-8
 *   escape = '\' ( 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\' )
 *
 * PostgreSQL documentation, COPY, "Text Format": what COPY TO writes; the octal and hexadecimal escapes
 * are for COPY FROM only. The server sends a row a message, but the protocol does not promise that, so
 * a row may be split over any number of pieces.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { Column } from '../../core/record/column.ts'
import type { ValueDecoder } from './value-decoder.ts'

const tab = 0x09
const lineFeed = 0x0a
const backslash = 0x5c
const letterN = 0x4e
const fourOnes = 0x01010101
const fourElevens = 0x0b0b0b0b
const fourBackslashes = 0x5c5c5c5c
const fourHighBits = 0x80808080 | 0
/** src/include/utils/memutils.h, MaxAllocSize: no row the server can send is longer. */
const rowBytesMax = 0x3fff_ffff

export class CopyParser {
  /** Complete rows since the last `take`. */
  rows = 0
  readonly #decoders: readonly ValueDecoder[]
  /** Of the row at hand: where each value lies, in the piece or, when it had escapes, in #plain; −1 = null. */
  readonly #starts: Int32Array
  readonly #ends: Int32Array
  readonly #escaped: Uint8Array
  #plain = new Uint8Array(1024)
  /** Where the last complete row lies. */
  #last: Uint8Array = new Uint8Array(0)
  #lastStart = 0
  #lastEnd = 0
  /** The beginning of a row whose end has not arrived; the other one may hold the last complete row. */
  #carry: Uint8Array = new Uint8Array(1024)
  #carriedBefore: Uint8Array = new Uint8Array(1024)
  #carried = 0
  #viewed: Uint8Array = this.#carry
  #view = new DataView(this.#carry.buffer)

  constructor(decoders: readonly ValueDecoder[]) {
    this.#decoders = decoders
    this.#starts = new Int32Array(decoders.length)
    this.#ends = new Int32Array(decoders.length)
    this.#escaped = new Uint8Array(decoders.length)
  }

  /** About the bytes of the rows gathered. */
  get byteLength(): number {
    let bytes = 13 * this.rows
    for (const { builder } of this.#decoders) bytes += builder.byteLength
    return bytes
  }

  /** Reads source[start, end). Throws `source.postgres.protocol` or what a value's decoder throws. */
  feed(source: Uint8Array, start: number, end: number): void {
    let at = start
    if (this.#carried > 0) {
      const newline = source.indexOf(lineFeed, start)
      at = newline < 0 || newline >= end ? end : newline + 1
      this.#keep(source, start, at)
      if (this.#carry[this.#carried - 1] !== lineFeed) return
      const row = this.#carry
      const bytes = this.#carried
      this.#carry = this.#carriedBefore
      this.#carriedBefore = row
      this.#carried = 0
      this.#row(row, 0, bytes)
    }
    while (at < end) {
      const next = this.#row(source, at, end)
      if (next < 0) {
        this.#keep(source, at, end)
        return
      }
      at = next
    }
  }

  /** Values of the last complete row, until the next `feed`, as text; '' where it has none. */
  textsOf(columns: readonly number[]): string[] {
    // Reading on into a row that was not complete has written over where its values lie.
    this.#locate(this.#last, this.#lastStart, this.#lastEnd)
    return columns.map((column) => {
      const start = this.#starts[column]!
      if (start < 0) return ''
      const from = this.#escaped[column] === 1 ? this.#plain : this.#last
      return Buffer.from(
        from.buffer,
        from.byteOffset + start,
        this.#ends[column]! - start,
      ).toString()
    })
  }

  /** The columns gathered, and starts anew. */
  take(): Column[] {
    this.rows = 0
    return this.#decoders.map(({ builder }) => builder.finish())
  }

  /** To be called at the end of the data: a row without its end is data lost on the way. */
  finish(): void {
    if (this.#carried > 0) throw malformed('ends in the middle of a row')
  }

  /** Reads the row that begins at `from`; where the next one begins, or −1 when its end is not there. */
  #row(source: Uint8Array, from: number, end: number): number {
    const next = this.#locate(source, from, end)
    if (next < 0) return next
    this.#append(source)
    this.#last = source
    this.#lastStart = from
    this.#lastEnd = next
    this.rows++
    return next
  }

  /** Finds the values of that row; returns as `#row` does. */
  #locate(source: Uint8Array, from: number, end: number): number {
    const starts = this.#starts
    const ends = this.#ends
    const escaped = this.#escaped
    const columns = starts.length
    let column = 0
    let start = from
    let escapes = 0
    let plainEnd = 0
    let at = from
    const view = this.#viewOf(source)
    for (;;) {
      // Four bytes at a time, while none of them is below 11 or a backslash ("Bit Twiddling Hacks",
      // S. E. Anderson, "Determine if a word has a byte less than n").
      for (const wordEnd = end - 4; at <= wordEnd; at += 4) {
        const word = view.getInt32(at, true)
        const other = word ^ fourBackslashes
        const low = (word - fourElevens) & ~word
        if (((low | ((other - fourOnes) & ~other)) & fourHighBits) !== 0) break
      }
      let byte = 0
      while (at < end && (byte = source[at]!) > lineFeed && byte !== backslash) at++
      if (at >= end) return -1
      at++
      if (byte === backslash) {
        escapes++
        // What is escaped is never a tab or line feed itself, so the byte after it can be passed.
        if (at === end) return -1
        at++
        continue
      }
      if (byte !== tab && byte !== lineFeed) continue
      // A table may have no column at all: then its rows are empty lines.
      if (column < columns) {
        escaped[column] = 0
        starts[column] = start
        ends[column] = at - 1
        if (escapes > 0) {
          if (at === start + 3 && source[start + 1] === letterN) starts[column] = -1
          else plainEnd = this.#unescape(source, column, plainEnd)
        }
      }
      column++
      start = at
      escapes = 0
      if (byte === lineFeed) break
    }
    if (column !== columns && !(columns === 0 && at === from + 1)) {
      throw malformed(`has a row of ${column} values where ${columns} were asked for`)
    }
    return at
  }

  /** Pieces are parts of one read of the socket, so that a view is made once for many rows. */
  #viewOf(source: Uint8Array): DataView {
    if (this.#viewed !== source) {
      this.#viewed = source
      this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength)
    }
    return this.#view
  }

  #append(source: Uint8Array): void {
    const decoders = this.#decoders
    const starts = this.#starts
    for (let i = 0; i < decoders.length; i++) {
      const start = starts[i]!
      if (start < 0) decoders[i]!.appendNull()
      else decoders[i]!.append(this.#escaped[i] === 1 ? this.#plain : source, start, this.#ends[i]!)
    }
  }

  /** Writes the value without its escapes to #plain from `to` on; returns where it ends there. */
  #unescape(source: Uint8Array, column: number, to: number): number {
    const end = this.#ends[column]!
    let from = this.#starts[column]!
    if (to + end - from > this.#plain.length) {
      const grown = new Uint8Array((to + end - from) * 2)
      grown.set(this.#plain.subarray(0, to))
      this.#plain = grown
    }
    const plain = this.#plain
    this.#escaped[column] = 1
    this.#starts[column] = to
    while (from < end) {
      const byte = source[from++]!
      plain[to++] = byte === backslash ? escapedByte(source[from++]!) : byte
    }
    this.#ends[column] = to
    return to
  }

  #keep(source: Uint8Array, start: number, end: number): void {
    const bytes = this.#carried + end - start
    if (bytes > rowBytesMax) throw malformed('has a row longer than the server can hold')
    if (bytes > this.#carry.length) {
      const grown = new Uint8Array(Math.min(rowBytesMax, bytes * 2))
      grown.set(this.#carry.subarray(0, this.#carried))
      this.#carry = grown
    }
    this.#carry.set(source.subarray(start, end), this.#carried)
    this.#carried = bytes
  }
}

function escapedByte(byte: number): number {
  switch (byte) {
    case 0x62: // b
      return 0x08
    case 0x66: // f
      return 0x0c
    case 0x6e: // n
      return 0x0a
    case 0x72: // r
      return 0x0d
    case 0x74: // t
      return 0x09
    case 0x76: // v
      return 0x0b
    case backslash:
      return backslash
    default:
      throw malformed('has an escape that COPY TO does not write')
  }
}

function malformed(what: string): SluiceError {
  return new SluiceError('source.postgres.protocol', { message: `The COPY data ${what}.` })
}
