/**
 * PostgreSQL's hstore as pairs of keys and values.
 *
 *   hstore = [ pair { ", " pair } ]
 *   pair   = quoted "=>" ( quoted | "NULL" )
 *   quoted = '"' { any byte, with '"' and '\\' escaped by '\\' } '"'
 *
 * (hstore_out of PostgreSQL 18, contrib/hstore/hstore_io.c: it always quotes, keys are unique and never
 * NULL.) What is not so is read as no pairs and told by `fits`.
 */
import type { NativeWriter } from './native-writer.ts'

const quote = 0x22
const backslash = 0x5c
const [equals, greater, comma, space] = [0x3d, 0x3e, 0x2c, 0x20]

export class HstoreReader {
  /** Pairs of all values read. */
  pairs = 0
  readonly #keys: Uint8Array[] = []
  /** null = NULL. */
  readonly #values: (Uint8Array | null)[] = []
  #at = 0

  /** Whether the text is an hstore; reads nothing. */
  static fits(text: Uint8Array): boolean {
    return new HstoreReader().read(text)
  }

  read(text: Uint8Array): boolean {
    this.#at = 0
    const before = this.pairs
    while (this.#at < text.length) {
      if (this.pairs > before && !this.#skip(text, comma, space)) break
      const key = this.#quoted(text)
      if (key === null || !this.#skip(text, equals, greater)) break
      const isNull = this.#null(text)
      const value = isNull ? null : this.#quoted(text)
      if (value === null && !isNull) break
      this.#keys.push(key)
      this.#values.push(value)
      this.pairs++
    }
    return this.#at === text.length
  }

  writeKeys(out: NativeWriter): void {
    for (const key of this.#keys) {
      out.varint(key.length)
      out.raw(key)
    }
  }

  writeValues(out: NativeWriter): void {
    out.ensure(this.pairs)
    for (const value of this.#values) out.bytes[out.at++] = value === null ? 1 : 0
    for (const value of this.#values) {
      out.varint(value?.length ?? 0)
      if (value !== null) out.raw(value)
    }
  }

  #skip(text: Uint8Array, first: number, second: number): boolean {
    if (text[this.#at] !== first || text[this.#at + 1] !== second) return false
    this.#at += 2
    return true
  }

  #null(text: Uint8Array): boolean {
    const found = 'NULL'
    for (let i = 0; i < 4; i++) if (text[this.#at + i] !== found.charCodeAt(i)) return false
    this.#at += 4
    return true
  }

  /** null where no quoted text stands. */
  #quoted(text: Uint8Array): Uint8Array | null {
    if (text[this.#at] !== quote) return null
    const bytes: number[] = []
    for (let at = this.#at + 1; at < text.length; at++) {
      const byte = text[at]!
      if (byte === quote) {
        this.#at = at + 1
        return Uint8Array.from(bytes)
      }
      bytes.push(byte === backslash ? text[++at]! : byte)
    }
    return null
  }
}
