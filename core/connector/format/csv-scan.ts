/**
 * CSV as bytes: where its records and their fields are. Hot: no allocation but where arrays grow.
 *
 *   file   = [ BOM ] record *( newline record ) [ newline ]           RFC 4180, and what people make of it
 *   record = field *( delimiter field )
 *   field  = quote *( any but quote | quote quote ) quote | *( any but delimiter, quote and newline )
 *   newline = CR LF | LF | CR
 *
 * Inside quotes delimiters and newlines are text. A quote inside a field that has none around it, and
 * text behind a closing quote, are refused: whatever was meant, somebody would read it otherwise.
 */
import type { Ranges } from './json-ranges.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d

export interface CsvSyntax {
  /** One ASCII character each, not the same. */
  readonly delimiter: number
  readonly quote: number
}

/** Bytes of a byte order mark at `start`: 3 or 0. */
export function byteOrderMark(bytes: Uint8Array, start: number, end: number): number {
  const marked =
    end - start >= 3 &&
    bytes[start] === 0xef &&
    bytes[start + 1] === 0xbb &&
    bytes[start + 2] === 0xbf
  return marked ? 3 : 0
}

/**
 * The fields of one record. `starts` and `ends` leave the quotes out; `quoted` says which had some, and
 * whether one stands doubled inside.
 */
export class CsvFields {
  count = 0
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  /** 0 = bare, 1 = quoted, 2 = quoted with doubled quotes inside. */
  quoted = new Uint8Array(64)
  /** What was wrong, where `read` returned −1. */
  problem = ''
  readonly #syntax: CsvSyntax
  /** 1 = stands for itself in a bare field. */
  readonly #isPlain = new Uint8Array(256).fill(1)

  constructor(syntax: CsvSyntax) {
    this.#syntax = syntax
    for (const byte of [syntax.delimiter, syntax.quote, lineFeed, carriageReturn]) {
      this.#isPlain[byte] = 0
    }
  }

  /** Reads the record that begins at `start`; returns where the next one begins, or −1. */
  read(bytes: Uint8Array, start: number, end: number): number {
    const { delimiter, quote } = this.#syntax
    this.count = 0
    let at = start
    for (;;) {
      if (this.count === this.starts.length) this.#grow()
      const field = this.count++
      if (at < end && bytes[at] === quote) at = this.#quotedField(bytes, at + 1, end, field)
      else {
        this.starts[field] = at
        this.quoted[field] = 0
        at = this.#bareEnd(bytes, at, end)
        this.ends[field] = Math.max(at, 0)
      }
      if (at < 0) return -1
      if (at === end) return end
      const byte = bytes[at]!
      if (byte !== delimiter) {
        if (byte === carriageReturn && at + 1 < end && bytes[at + 1] === lineFeed) at++
        return at + 1
      }
      at++
    }
  }

  #bareEnd(bytes: Uint8Array, at: number, end: number): number {
    const isPlain = this.#isPlain
    while (at < end && isPlain[bytes[at]!] === 1) at++
    if (at < end && bytes[at] === this.#syntax.quote) {
      return this.#fail('a quote inside a field that is not quoted')
    }
    return at
  }

  /** Returns where the delimiter, newline or end behind the field is. */
  #quotedField(bytes: Uint8Array, start: number, end: number, field: number): number {
    const { delimiter, quote } = this.#syntax
    this.starts[field] = start
    this.quoted[field] = 1
    for (let at = start; at < end; at++) {
      if (bytes[at] !== quote) continue
      if (at + 1 < end && bytes[at + 1] === quote) {
        this.quoted[field] = 2
        at++
        continue
      }
      this.ends[field] = at
      const next = at + 1 < end ? bytes[at + 1]! : lineFeed
      if (next === delimiter || next === lineFeed || next === carriageReturn) return at + 1
      return this.#fail('text behind the closing quote of a field')
    }
    return this.#fail('a quoted field is not closed')
  }

  #fail(problem: string): -1 {
    this.problem = problem
    return -1
  }

  #grow(): void {
    const size = this.count * 2
    const starts = new Int32Array(size)
    const ends = new Int32Array(size)
    const quoted = new Uint8Array(size)
    starts.set(this.starts)
    ends.set(this.ends)
    quoted.set(this.quoted)
    this.starts = starts
    this.ends = ends
    this.quoted = quoted
  }
}

/**
 * Adds the records of a CSV text, each without its newline; blank lines are no records. A record that is
 * no CSV ends at its line's end, so that those behind it can be read. Quotes count only at a field's start.
 */
export function csvRecords(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  fields: CsvFields,
  into: Ranges,
): void {
  let at = start + byteOrderMark(bytes, start, end)
  while (at < end) {
    let next = fields.read(bytes, at, end)
    if (next < 0) next = lineEnd(bytes, at, end)
    let last = next
    if (last > at && bytes[last - 1] === lineFeed) last--
    if (last > at && bytes[last - 1] === carriageReturn) last--
    if (last > at) into.add(at, last)
    at = next
  }
}

function lineEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== lineFeed) at++
  return Math.min(at + 1, end)
}
