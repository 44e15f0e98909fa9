/** UTF-8, byte by byte (RFC 3629): what the decoders of character sets share. */
import { SluiceError } from '../../../core/errors/error.ts'

export function badCharacters(charset: string): SluiceError {
  return new SluiceError('source.mysql.value', {
    message: `A text in the character set ${charset} holds bytes for which the set has no character.`,
    remedy:
      'Correct the value on the server; then leave the table out of `tables` and take it in again, which copies it anew and passes over the row that the binlog already has.',
  })
}

/** Writes a code point below 0x110000, no surrogate; returns the place after it. */
export function writeUtf8(into: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    into[at] = code
    return at + 1
  }
  if (code < 0x800) {
    into[at] = 0xc0 | (code >> 6)
    into[at + 1] = 0x80 | (code & 0x3f)
    return at + 2
  }
  if (code < 0x10000) {
    into[at] = 0xe0 | (code >> 12)
    into[at + 1] = 0x80 | ((code >> 6) & 0x3f)
    into[at + 2] = 0x80 | (code & 0x3f)
    return at + 3
  }
  into[at] = 0xf0 | (code >> 18)
  into[at + 1] = 0x80 | ((code >> 12) & 0x3f)
  into[at + 2] = 0x80 | ((code >> 6) & 0x3f)
  into[at + 3] = 0x80 | (code & 0x3f)
  return at + 4
}

/** Bytes of the character at `at`; 0 where there is none. */
export function utf8Length(source: Uint8Array, at: number, end: number): number {
  const lead = source[at]!
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 0
  const bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (at + bytes > end) return 0
  const second = source[at + 1]!
  // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  for (let i = at + 2; i < at + bytes; i++) if ((source[i]! & 0xc0) !== 0x80) return 0
  return bytes
}
