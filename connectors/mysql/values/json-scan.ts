/**
 * Where the members of an object and the elements of an array lie in the text of a document. One pass
 * over the container; what is nested in it is passed over by its brackets and quotes.
 */

export interface Item {
  /** Where the member begins with its key; for elements the same as `start`. */
  readonly from: number
  readonly start: number
  readonly end: number
  /** The key, unescaped, in UTF-8; null in arrays. */
  readonly key: Uint8Array | null
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/** The members of the object text[start, end); null when it is none. */
export function membersOf(text: Uint8Array, start: number, end: number): Item[] | null {
  return itemsOf(text, start, end, true)
}

/** The elements of the array text[start, end); null when it is none. */
export function elementsOf(text: Uint8Array, start: number, end: number): Item[] | null {
  return itemsOf(text, start, end, false)
}

function itemsOf(text: Uint8Array, start: number, end: number, keyed: boolean): Item[] | null {
  if (text[start] !== (keyed ? 0x7b : 0x5b)) return null
  const items: Item[] = []
  let at = afterSpace(text, start + 1)
  while (at < end && text[at] !== (keyed ? 0x7d : 0x5d)) {
    const from = at
    let key: Uint8Array | null = null
    if (keyed) {
      const keyEnd = afterString(text, at, end)
      const read = keyEnd === null ? null : unquoted(text.subarray(at, keyEnd))
      if (keyEnd === null || read === null || text[afterSpace(text, keyEnd)] !== colon) return null
      key = read
      at = afterSpace(text, afterSpace(text, keyEnd) + 1)
    }
    const valueEnd = afterValue(text, at, end)
    if (valueEnd === null || valueEnd === at) return null
    items.push({ from, start: at, end: valueEnd, key })
    at = afterSpace(text, valueEnd)
    if (text[at] === comma) at = afterSpace(text, at + 1)
  }
  return at < end ? items : null
}

function afterSpace(text: Uint8Array, at: number): number {
  let from = at
  while (text[from] === 0x20) from++
  return from
}

/** The place after the string that begins at `at`; null when there is none, or no end of it. */
function afterString(text: Uint8Array, at: number, end: number): number | null {
  if (text[at] !== quote) return null
  let from = at + 1
  for (; from < end && text[from] !== quote; from++) if (text[from] === backslash) from++
  return from < end ? from + 1 : null
}

/** The place after the value that begins at `at`: the next comma or closing bracket outside of it. */
function afterValue(text: Uint8Array, at: number, end: number): number | null {
  let depth = 0
  let from = at
  while (from < end) {
    const byte = text[from]!
    if (byte === quote) {
      const next = afterString(text, from, end)
      if (next === null) return null
      from = next
      continue
    }
    const isOpening = byte === 0x7b || byte === 0x5b
    const isClosing = byte === 0x7d || byte === 0x5d
    if (depth === 0 && (isClosing || byte === comma)) return from
    if (isOpening) depth++
    else if (isClosing) depth--
    from++
  }
  return null
}

function unquoted(key: Uint8Array): Uint8Array | null {
  try {
    return encoder.encode(String(JSON.parse(utf8.decode(key))))
  } catch {
    return null
  }
}
