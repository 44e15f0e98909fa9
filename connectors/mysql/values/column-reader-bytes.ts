/**
 * Text, bytes, geometry and JSON: a length, then so many bytes.
 *
 *   row image    length bytes       length: 1, 2, 3 or 4 bytes, little-endian
 *                char, binary       1 byte, 2 where the column is longer than 255 bytes; padding left out
 *                varchar, varbinary 1 byte, 2 where the column may be longer than 255 bytes
 *                blob, text, json,  1 to 4, as the metadata says
 *                  geometry, vector
 *   result set   the bytes, text in the column's own character set (column-reader.ts's `selectSql`)
 *
 * sql/field.cc (MySQL 9.7): Field_string::pack, Field_varstring::pack, Field_blob::pack.
 */
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { CharsetDecoder } from './charset.ts'
import { JsonText } from './json-binary.ts'
import type { ColumnReader } from '../types.ts'
import { badImage } from './values.ts'

/**
 * The length that `width` bytes at `at` say, when so many bytes follow within `end`; throws otherwise.
 * No hot caller needs more than this one comparison to stay inside the image.
 */
export function lengthAt(source: Uint8Array, at: number, width: number, end: number): number {
  if (at + width > end) throw badImage('length')
  let length = source[at]!
  if (width > 1) length |= source[at + 1]! << 8
  if (width > 2) length |= source[at + 2]! << 16
  if (width > 3) length += source[at + 3]! * 0x100_0000
  if (at + width + length > end) throw badImage('length')
  return length
}

/** The place after a value with a length of `width` bytes. */
export function skipSized(source: Uint8Array, at: number, width: number, end: number): number {
  return at + width + lengthAt(source, at, width, end)
}

/** char, varchar, text: decoded from the column's character set. */
export class TextReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #width: number
  readonly #decoder: CharsetDecoder
  constructor(width: number, decoder: CharsetDecoder) {
    this.#width = width
    this.#decoder = decoder
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const start = at + this.#width
    const next = start + lengthAt(source, at, this.#width, end)
    this.#decoder.append(source, start, next, this.builder)
    return next
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, this.#width, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    this.#decoder.append(source, start, end, this.builder)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** varbinary and blobs. */
export class BytesReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #width: number
  constructor(width: number) {
    this.#width = width
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const start = at + this.#width
    const next = start + lengthAt(source, at, this.#width, end)
    this.builder.append(source, start, next)
    return next
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, this.#width, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    this.builder.append(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** binary(n): the zero bytes at the end, which a row image leaves out, are part of the value. */
export class FixedBytesReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #width: number
  readonly #fixed: number
  constructor(width: number, fixed: number) {
    this.#width = width
    this.#fixed = fixed
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const start = at + this.#width
    const length = lengthAt(source, at, this.#width, end)
    if (length > this.#fixed) throw badImage('length')
    this.#padded(source, start, start + length)
    return start + length
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, this.#width, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    this.#padded(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
  #padded(source: Uint8Array, start: number, end: number): void {
    const bytes = Math.max(this.#fixed, end - start)
    let to = this.builder.reserve(bytes)
    const into = this.builder.bytes
    const last = to + bytes
    for (let at = start; at < end; at++) into[to++] = source[at]!
    while (to < last) into[to++] = 0
    this.builder.commit(bytes)
  }
}

/** Bytes of the SRID before the WKB. */
const sridBytes = 4
/** In the type of an EWKB geometry: the SRID follows (PostGIS, doc/ZMSgeoms.txt). */
const ewkbSrid = 0x20

/**
 * geometry = srid (4 bytes, little-endian), WKB → EWKB: the SRID, where there is one, moves behind the
 * geometry's type. An empty value is what MySQL 5.x wrote for a geometry that was none.
 *
 *   WKB  = order (1 = little-endian) type (4 bytes) rest
 *   EWKB = order type | 0x20000000 srid rest
 *
 * Both servers store little-endian WKB and keep its axis order.
 */
export class GeometryReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #width: number
  constructor(width: number) {
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
    const wkb = start + sridBytes
    const srid = source[start]! | source[start + 1]! | source[start + 2]! | source[start + 3]!
    if (end - wkb < 5 || srid === 0 || source[wkb] !== 1) return this.#plain(source, start, end)
    let to = this.builder.reserve(end - start)
    const into = this.builder.bytes
    for (let i = 0; i < 5; i++) into[to++] = source[wkb + i]!
    into[to - 1]! |= ewkbSrid
    for (let i = 0; i < sridBytes; i++) into[to++] = source[start + i]!
    into.set(source.subarray(wkb + 5, end), to)
    this.builder.commit(end - start)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
  #plain(source: Uint8Array, start: number, end: number): void {
    if (end - start < sridBytes + 5 || source[start + sridBytes] !== 1) throw badImage('geometry')
    this.builder.append(source, start + sridBytes, end)
  }
}

/** json of MySQL: binary in a row image, text in a result set. */
export class JsonReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #width: number
  readonly #json = new JsonText()
  constructor(width: number) {
    this.#width = width
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const start = at + this.#width
    const next = start + lengthAt(source, at, this.#width, end)
    this.#json.append(source, start, next, this.builder)
    return next
  }
  skip(source: Uint8Array, at: number, end: number): number {
    return skipSized(source, at, this.#width, end)
  }
  text(source: Uint8Array, start: number, end: number): void {
    this.builder.append(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}
