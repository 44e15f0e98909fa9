/**
 * MariaDB's COMPRESSED text and bytes (since 10.3): rare, and decompressed value by value.
 *
 *   value      = ''  |  header data
 *   header     = method (4 bits: 0 = data is the value itself, 8 = zlib, raw deflate with bit 3 set)
 *                bytes of the length (low 3 bits)
 *   zlib data  = length of the value (big-endian) deflated bytes
 *
 * MariaDB 11.8, sql/field_comp.cc.
 */
import { inflateRawSync, inflateSync } from 'node:zlib'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { CharsetDecoder } from './charset.ts'
import { lengthAt, skipSized } from './column-reader-bytes.ts'
import type { ColumnReader } from '../types.ts'
import { badImage } from './values.ts'

const methodZlib = 8

export class CompressedReader implements ColumnReader {
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
    if (start === next) this.#decoder.append(source, start, next, this.builder)
    else if (source[start]! >> 4 === 0) this.#decoder.append(source, start + 1, next, this.builder)
    else {
      const value = inflated(source, start, next)
      this.#decoder.append(value, 0, value.length, this.builder)
    }
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

function inflated(source: Uint8Array, start: number, end: number): Uint8Array {
  const header = source[start]!
  const lengthBytes = header & 7
  const data = start + 1 + lengthBytes
  if (header >> 4 !== methodZlib || lengthBytes > 4 || data > end) throw badImage('compressed text')
  let length = 0
  for (let at = start + 1; at < data; at++) length = length * 256 + source[at]!
  const inflate = (header & 8) === 0 ? inflateSync : inflateRawSync
  try {
    // The bound keeps a few broken bytes from becoming gigabytes.
    const value = inflate(source.subarray(data, end), { maxOutputLength: Math.max(length, 1) })
    if (value.length === length) return value
  } catch {
    // Said below: zlib's own message could quote the data.
  }
  throw badImage('compressed text')
}
