/**
 * The text of a JSON string with escapes, as UTF-8. Escapes are never longer as text than as escapes,
 * so that what the string takes between its quotes is room enough.
 */
import { BytesBuilder } from '../../record/bytes-builder.ts'
import { backslash, hexUnit } from './json-scan.ts'

/**
 * Appends the text of the string bytes[start, end), whose escapes and UTF-8 `stringEnd` has checked, to
 * `into` as one value. False, and nothing appended, where a surrogate stands alone: it has no UTF-8
 * (RFC 3629 §3), so the text cannot be kept as it is.
 */
export function appendUnescaped(
  into: BytesBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const from = into.reserve(end - start)
  const text = into.bytes
  let to = from
  for (let at = start; at < end;) {
    const byte = bytes[at]!
    if (byte !== backslash) {
      text[to++] = byte
      at++
      continue
    }
    const letter = bytes[at + 1]!
    if (letter !== 0x75) {
      text[to++] = simpleEscape(letter)
      at += 2
      continue
    }
    let point = hexUnit(bytes, at + 2)
    at += 6
    if (point >= 0xd800 && point <= 0xdfff) {
      const escaped = at + 6 <= end && bytes[at] === backslash && bytes[at + 1] === 0x75
      const low = escaped ? hexUnit(bytes, at + 2) : 0
      if (point > 0xdbff || low < 0xdc00 || low > 0xdfff) return false
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00)
      at += 6
    }
    to = writePoint(point, text, to)
  }
  into.commit(to - from)
  return true
}

const scratch = new BytesBuilder()
let scratchLength = 0

/**
 * The text of such a string, for a moment: `unescapedLength` bytes from 0 on, until the next call; null
 * where `appendUnescaped` refuses it.
 */
export function unescaped(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  scratch.rewind(0)
  const from = scratch.byteLength
  if (!appendUnescaped(scratch, bytes, start, end)) return null
  // A value takes four bytes beside its text.
  scratchLength = scratch.byteLength - from - 4
  return scratch.bytes
}

/** Bytes of what `unescaped` gave last. */
export function unescapedLength(): number {
  return scratchLength
}

/** The byte that a two-byte escape stands for. */
function simpleEscape(letter: number): number {
  switch (letter) {
    case 0x62:
      return 0x08
    case 0x66:
      return 0x0c
    case 0x6e:
      return 0x0a
    case 0x72:
      return 0x0d
    case 0x74:
      return 0x09
    default:
      return letter
  }
}

function writePoint(point: number, into: Uint8Array, at: number): number {
  if (point < 0x80) into[at++] = point
  else {
    if (point < 0x800) into[at++] = 0xc0 | (point >> 6)
    else {
      if (point < 0x10000) into[at++] = 0xe0 | (point >> 12)
      else {
        into[at++] = 0xf0 | (point >> 18)
        into[at++] = 0x80 | ((point >> 12) & 0x3f)
      }
      into[at++] = 0x80 | ((point >> 6) & 0x3f)
    }
    into[at++] = 0x80 | (point & 0x3f)
  }
  return at
}
