/** Values that are bytes, or a fixed number of them: text, bytea, uuid, bool, and decimals. */
import { BoolBuilder, Fixed16Builder } from '../../core/record/builder.ts'
import { BytesBuilder } from '../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../core/record/decimal-builder.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { badValue, type ValueDecoder } from './value-decoder.ts'

/** text, json, other, decimals as exact digits: the bytes as they are. */
export class TextDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new BytesBuilder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    this.builder.append(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const minus = 0x2d
const point = 0x2e
const zero = 0x30

function isDecimalWord(source: Uint8Array, start: number, end: number): boolean {
  const text = String.fromCharCode(...source.subarray(start, Math.min(end, start + 16)))
  return text === 'NaN' || text === 'Infinity' || text === '-Infinity'
}

/** numeric of up to 18 digits = [ '-' ] digits [ '.' digits ] | 'NaN' | [ '-' ] 'Infinity' */
export class DecimalDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder: DecimalBuilder
  constructor(type: LogicalType, builder: DecimalBuilder) {
    this.type = type
    this.builder = builder
  }
  append(source: Uint8Array, start: number, end: number): void {
    // The builder takes for granted that a value which is none of the words is a number.
    const first = source[start] === minus ? start + 1 : start
    let others = 0
    let points = 0
    for (let at = first; at < end; at++) {
      const byte = source[at]!
      if (byte === point) points++
      else if ((byte - zero) >>> 0 > 9) others++
    }
    const isNumber = others === 0 && points <= 1 && end - first > points
    if (!isNumber && !isDecimalWord(source, start, end)) throw badValue(this.type)
    this.builder.appendText(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** bool = 't' | 'f' */
export class BoolDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new BoolBuilder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    const byte = source[start]
    if (end - start !== 1 || (byte !== 0x74 && byte !== 0x66)) throw badValue(this.type)
    this.builder.append(byte === 0x74 ? 1 : 0)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const notHex = 0xff
/** Value of each hexadecimal digit, `notHex` for every other byte. */
const hexValues = new Uint8Array(256).fill(notHex)
for (let i = 0; i < 16; i++) {
  hexValues[i.toString(16).charCodeAt(0)] = i
  hexValues[i.toString(16).toUpperCase().charCodeAt(0)] = i
}

/** uuid = 8 hex '-' 4 hex '-' 4 hex '-' 4 hex '-' 12 hex */
export class UuidDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new Fixed16Builder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    if (end - start !== 36) throw badValue(this.type)
    let to = this.builder.reserve()
    const into = this.builder.bytes
    let invalid = 0
    for (let at = start; at < end; at += 2) {
      const place = at - start
      if (place === 8 || place === 13 || place === 18 || place === 23) {
        if (source[at] !== 0x2d) invalid = notHex
        at++
      }
      const high = hexValues[source[at]!]!
      const low = hexValues[source[at + 1]!]!
      invalid |= high | low
      into[to++] = (high << 4) | low
    }
    if (invalid > 15) throw badValue(this.type)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** bytea = '\x' { 2 hex } */
export class ByteaDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new BytesBuilder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    const bytes = (end - start - 2) >> 1
    const hexadecimal = source[start] === 0x5c && source[start + 1] === 0x78
    if (bytes < 0 || !hexadecimal || ((end - start) & 1) !== 0) throw badValue(this.type)
    let to = this.builder.reserve(bytes)
    const into = this.builder.bytes
    let invalid = 0
    for (let at = start + 2; at < end; at += 2) {
      const high = hexValues[source[at]!]!
      const low = hexValues[source[at + 1]!]!
      invalid |= high | low
      into[to++] = (high << 4) | low
    }
    if (invalid > 15) throw badValue(this.type)
    this.builder.commit(bytes)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}
