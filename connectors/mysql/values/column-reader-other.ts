/**
 * Enums, sets, vectors, MariaDB's UUID and addresses, and types that are not known.
 *
 *   enum(n labels)   1 byte, 2 from 256 labels on, little-endian: the label's number from 1; 0 = '',
 *                    which stands for a value that was none
 *   set(n labels)    1, 2, 3, 4 or 8 bytes, little-endian: bit i = label i; printed with commas
 *   vector           a length as in column-reader-bytes.ts, then 32-bit floats, little-endian
 *   uuid, inet4,     1 byte length, 16 or 4 bytes less the zero bytes at the end
 *   inet6
 *
 * Field_enum, Field_set (sql/field.cc); MariaDB 11.8: sql/sql_type_fixedbin.h, plugin/type_uuid.
 */
import { Fixed16Builder, NumberBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { ListBuilder } from '../../../core/record/list-builder.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { lengthAt, skipSized } from './column-reader-bytes.ts'
import type { ColumnReader } from '../types.ts'
import { utf8Decoder } from './charset.ts'
import { badImage, badText } from './values.ts'

const encoder = new TextEncoder()

export class EnumReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  /** By number; 0 is the empty text. */
  readonly #labels: readonly Uint8Array[]
  readonly #bytes: number
  constructor(labels: readonly string[], bytes: number) {
    this.#labels = ['', ...labels].map((label) => encoder.encode(label))
    this.#bytes = bytes
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('enum')
    const number = this.#bytes === 1 ? source[at]! : source[at]! | (source[at + 1]! << 8)
    const label = this.#labels[number]
    if (label === undefined) throw badImage('enum')
    this.builder.append(label, 0, label.length)
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('enum')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    utf8Decoder.append(source, start, end, this.builder)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

export class SetReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #labels: readonly Uint8Array[]
  readonly #bytes: number
  /** All labels with their commas. */
  readonly #textBytesMax: number
  constructor(labels: readonly string[], bytes: number) {
    this.#labels = labels.map((label) => encoder.encode(label))
    this.#bytes = bytes
    this.#textBytesMax = this.#labels.reduce((sum, label) => sum + label.length + 1, 0)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('set')
    const labels = this.#labels
    const start = this.builder.reserve(this.#textBytesMax)
    const into = this.builder.bytes
    let to = start
    for (let from = at, first = 0; from < next; from++, first += 8) {
      const bits = source[from]!
      for (let bit = 0; bits >> bit !== 0; bit++) {
        if (((bits >> bit) & 1) === 0) continue
        const label = labels[first + bit]
        if (label === undefined) throw badImage('set')
        if (to > start) into[to++] = 0x2c
        for (let i = 0; i < label.length; i++) into[to++] = label[i]!
      }
    }
    this.builder.commit(to - start)
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('set')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    utf8Decoder.append(source, start, end, this.builder)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const four = new Uint8Array(4)
const asFloat = new Float32Array(four.buffer)

export class VectorReader implements ColumnReader {
  readonly builder: ListBuilder<NumberBuilder>
  readonly #width: number
  constructor(width: number) {
    this.builder = new ListBuilder(new NumberBuilder())
    this.#width = width
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const start = at + this.#width
    const next = start + lengthAt(source, at, this.#width, end)
    this.text(source, start, next)
    return next
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, this.#width, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    if (((end - start) & 3) !== 0) throw badImage('vector')
    const { builder } = this
    for (let at = start; at < end; at += 4) {
      for (let i = 0; i < 4; i++) four[i] = source[at + i]!
      builder.child.append(asFloat[0]!)
    }
    builder.endList()
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** Row image: the bytes of a fixed value whose zero bytes at the end were left out. */
function unpacked(source: Uint8Array, at: number, end: number, into: Uint8Array): number {
  const length = lengthAt(source, at, 1, end)
  if (length > into.length) throw badImage('length')
  for (let i = 0; i < into.length; i++) into[i] = i < length ? source[at + 1 + i]! : 0
  return at + 1 + length
}

/**
 * MariaDB's UUID. Those of versions 1 to 5 lie with their parts in reverse (node, sequence, time-high,
 * time-mid, time-low), so that version 1 sorts by time; all others lie as they are written. Which it
 * is shows in two bytes: a reversed one has the variant's bit in place 6 and its version, 1 to 5, in
 * place 8 (MariaDB 10.11 and 11.8, plugin/type_uuid/sql_type_uuid.h: rec_need_swap). Columns made
 * before 10.11.5 have all in reverse, versions 6 and 7 too: the same two bytes show it.
 */
export class UuidReader implements ColumnReader {
  readonly builder = new Fixed16Builder()
  readonly #stored = new Uint8Array(16)
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = unpacked(source, at, end, this.#stored)
    const stored = this.#stored
    const to = this.builder.reserve()
    const into = this.builder.bytes
    const reversed = isReversed(stored)
    for (let i = 0; i < 16; i++) into[to + i] = stored[reversed ? storedPlaces[i]! : i]!
    return next
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, 1, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    if (end - start !== 36) throw badText('uuid')
    let to = this.builder.reserve()
    const into = this.builder.bytes
    for (let at = start; at < end; at += 2) {
      const place = at - start
      if (place === 8 || place === 13 || place === 18 || place === 23) {
        if (source[at++] !== 0x2d) throw badText('uuid')
      }
      const high = hexValues[source[at]!]!
      const low = hexValues[source[at + 1]!]!
      if ((high | low) > 15) throw badText('uuid')
      into[to++] = (high << 4) | low
    }
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** Where each byte of the text lies in the reversed form. */
const storedPlaces = Uint8Array.of(12, 13, 14, 15, 10, 11, 8, 9, 6, 7, 0, 1, 2, 3, 4, 5)

function isReversed(stored: Uint8Array): boolean {
  return (stored[6]! & 0x80) !== 0 && stored[8]! >= 1 && stored[8]! <= 0x80
}

const hexValues = new Uint8Array(256).fill(0xff)
for (let i = 0; i < 16; i++) {
  hexValues[i.toString(16).charCodeAt(0)] = i
  hexValues[i.toString(16).toUpperCase().charCodeAt(0)] = i
}

/** MariaDB's INET4 and INET6, as text in the server's form. */
export class AddressReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #stored: Uint8Array
  constructor(bytes: 4 | 16) {
    this.#stored = new Uint8Array(bytes)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = unpacked(source, at, end, this.#stored)
    this.builder.appendString(this.#stored.length === 4 ? inet4(this.#stored) : inet6(this.#stored))
    return next
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, 1, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    this.builder.append(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

function inet4(bytes: Uint8Array): string {
  return bytes.join('.')
}

/**
 * The longest run of zero groups, the first of equal ones, becomes `::`, also a run of one group; an
 * address that ends in an IPv4 address after zeros (or zeros and ffff) shows it with dots
 * (MariaDB 11.8, sql/sql_type_inet.cc: Inet6::to_string).
 */
function inet6(bytes: Uint8Array): string {
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!)
  let gap = -1
  let gapGroups = 0
  for (let i = 0, run = 0; i < 8; i++) {
    run = groups[i] === 0 ? run + 1 : 0
    if (run > gapGroups) {
      gapGroups = run
      gap = i - run + 1
    }
  }
  let text = ''
  for (let i = 0; i < 8; i++) {
    if (i === gap) {
      if (i === 0) text += ':'
      text += ':'
      i += gapGroups - 1
    } else if (
      i === 6 &&
      gap === 0 &&
      (gapGroups === 6 || (gapGroups === 5 && groups[5] === 0xffff))
    ) {
      return text + inet4(bytes.subarray(12))
    } else {
      text += groups[i]!.toString(16)
      if (i !== 7) text += ':'
    }
  }
  return text
}

/** A type that is not known: exact text in the first copy; its row images cannot even be passed over. */
export class UnknownReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #name: string
  constructor(name: string) {
    this.#name = name
  }
  binlog(): number {
    throw new SluiceError('source.mysql.type', {
      message: `The binlog holds a value of a type that Sluice does not know (${this.#name}).`,
    })
  }
  skip(): number {
    return this.binlog()
  }
  text(source: Uint8Array, start: number, end: number): void {
    utf8Decoder.append(source, start, end, this.builder)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}
