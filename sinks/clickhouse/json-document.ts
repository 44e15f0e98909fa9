/**
 * Whether ClickHouse's JSON type holds a document as it is: pure, over the bytes. Measured on 26.7.2,
 * with the settings of client.ts:
 *
 *   {"a": null}, {"a": {}}     the key is not kept: what the type is, and said in the README
 *   [1], 1, null               no object: refused, and null would become {}
 *   12345678901234567890123    beyond Int64 and UInt64: the server refuses it
 *   0.1234567890123456789      becomes the nearest Float64: refused where it prints other digits
 *   [9007199254740993, 1.5]    numbers of an array become Float64 together: refused beyond 2^53
 *   [true, 1]                  become [1, 1]: refused
 *   {"a%2Eb": 1}               the dot in a key is escaped so, and would come back as one: refused
 *   a key twice                the server refuses it
 */
const [quote, backslash, colon, comma] = [0x22, 0x5c, 0x3a, 0x2c]
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d]
const [minus, plus, point, zero, nine] = [0x2d, 0x2b, 0x2e, 0x30, 0x39]
const [exponent, exponentUpper, percent] = [0x65, 0x45, 0x25]

/** What an array directly holds, or one inside it. */
const holdsWhole = 1
const holdsLarge = 2
const holdsFloat = 4
const holdsBool = 8

/** Nesting that is looked at; the server's own limit is lower (input_format_json_max_depth, 1000). */
const depthMax = 1024

export class JsonDocuments {
  /** By depth: the flags of an array, or `inObject`. */
  readonly #open = new Uint8Array(depthMax)
  #depth = 0

  /** The text is JSON already: its source has parsed it. */
  fits(data: Uint8Array, start: number, end: number): boolean {
    let at = start
    while (at < end && data[at]! <= 0x20) at++
    if (data[at] !== openObject) return false
    this.#depth = 0
    for (; at < end; at++) {
      const byte = data[at]!
      if (byte === quote) {
        const close = closingQuote(data, at + 1, end)
        if (isKey(data, close + 1, end) && hasEscapedDot(data, at, close)) return false
        at = close
      } else if (byte === openObject || byte === openArray) {
        if (this.#depth === depthMax) return false
        this.#open[this.#depth++] = byte === openObject ? inObject : 0
      } else if (byte === closeObject || byte === closeArray) {
        if (!this.#close()) return false
      } else if (byte === minus || (byte >= zero && byte <= nine)) {
        const stop = numberEnd(data, at, end)
        const kind = numberKind(data, at, stop)
        if (kind === 0) return false
        this.#note(kind)
        at = stop - 1
      } else if (byte === 0x74 || byte === 0x66) {
        this.#note(holdsBool)
        at += byte === 0x74 ? 3 : 4
      } else if (byte === 0x6e) at += 3
    }
    return true
  }

  #note(flag: number): void {
    const last = this.#depth - 1
    if (last >= 0 && this.#open[last]! !== inObject) this.#open[last]! |= flag
  }

  /** False when the array's values become one type that does not hold them all. */
  #close(): boolean {
    const flags = this.#open[--this.#depth]!
    if (flags === inObject || flags === 0) return true
    const numbers = (flags & (holdsWhole | holdsLarge | holdsFloat)) !== 0
    if ((flags & holdsBool) !== 0 && numbers) return false
    if ((flags & holdsLarge) !== 0 && (flags & holdsFloat) !== 0) return false
    this.#note(flags)
    return true
  }
}

/** No flags of an array: they use four bits. */
const inObject = 0x80

function closingQuote(data: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && data[at] !== quote) at += data[at] === backslash ? 2 : 1
  return at
}

function isKey(data: Uint8Array, from: number, end: number): boolean {
  let at = from
  while (at < end && data[at]! <= 0x20) at++
  return data[at] === colon
}

/** `%2E` in the key, however it is written. */
function hasEscapedDot(data: Uint8Array, open: number, close: number): boolean {
  for (let at = open; at < close; at++) {
    if (data[at] !== percent && data[at] !== backslash) continue
    const text = Buffer.from(data.buffer, data.byteOffset + open, close + 1 - open).toString()
    return (JSON.parse(text) as string).includes('%2E')
  }
  return false
}

function numberEnd(data: Uint8Array, from: number, end: number): number {
  let at = from
  for (; at < end; at++) {
    const byte = data[at]!
    if (byte === comma || byte <= 0x20 || byte === closeObject || byte === closeArray) break
  }
  return at
}

/** Digits that Int64, UInt64 and Float64 all hold, whatever they are. */
const safeDigits = 15

/** What the server makes of a number; 0 = another one. */
function numberKind(data: Uint8Array, from: number, to: number): number {
  let whole = true
  let digits = 0
  for (let at = from; at < to; at++) {
    const byte = data[at]!
    if (byte >= zero && byte <= nine) digits++
    else if (byte === point || byte === exponent || byte === exponentUpper) whole = false
    else if (byte !== minus && byte !== plus) return 0
  }
  if (whole && digits <= safeDigits) return isMinusZero(data, from, to) ? 0 : holdsWhole
  const text = Buffer.from(data.buffer, data.byteOffset + from, to - from).toString('latin1')
  if (!whole) return sameNumber(text, String(Number(text))) ? holdsFloat : 0
  const value = BigInt(text)
  if (value < -0x8000000000000000n || value > 0xffffffffffffffffn) return 0
  return Number.isSafeInteger(Number(text)) ? holdsWhole : holdsLarge
}

/** As a whole number it would lose its sign. */
function isMinusZero(data: Uint8Array, from: number, to: number): boolean {
  return data[from] === minus && to === from + 2 && data[from + 1] === zero
}

/** Whether two decimal numbers, with or without exponents, are one. */
function sameNumber(a: string, b: string): boolean {
  const [first, second] = [parts(a), parts(b)]
  return first !== null && second !== null && first.join() === second.join()
}

/** Sign, digits without zeros around them, and the place of the last one. */
function parts(text: string): readonly [string, string, number] | null {
  const found = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (found === null) return null
  const [, sign = '', whole = '', fraction = '', power = '0'] = found
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  if (kept === '') return ['', '0', 0]
  return [sign, kept, Number(power) - fraction.length + (digits.length - kept.length)]
}
