/**
 * ProtoInput: a place in the bytes of one value, and the primitives of Protobuf's wire format
 * (protobuf.dev, "Encoding"). Nothing throws: the first thing that is wrong is kept in `fault`.
 *
 *   message = { tag payload }        tag = varint: field number << 3 | wire type
 *   0 varint: 7 bits a byte, least significant group first, at most ten bytes
 *   1 eight bytes, 5 four bytes, little-endian
 *   2 varint length, then so many bytes
 *   3 { tag payload } until a tag of wire type 4 with the same number (a group)
 */
const groupsMax = 100

export class ProtoInput {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  fault: string | null = null
  /** The two halves of what `varint` and `fixed64` read, as 32 bits each. */
  low = 0
  high = 0
  view = new DataView(this.bytes.buffer)

  begin(bytes: Uint8Array): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.fault = null
  }

  fail(message: string): void {
    this.fault ??= message
  }

  varint(end: number): void {
    const { bytes } = this
    let at = this.at
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) return this.fail('the record ends in the middle of a value')
      const byte = bytes[at++]!
      if (shift < 28) low |= (byte & 0x7f) << shift
      else if (shift === 28) {
        low |= (byte & 0x0f) << 28
        high = (byte & 0x7f) >> 4
      } else high |= (byte & 0x7f) << (shift - 32)
      if (byte < 0x80) {
        this.at = at
        this.low = low | 0
        this.high = high | 0
        return
      }
    }
    this.fail('a varint is longer than ten bytes')
  }

  fixed64(end: number): void {
    if (end - this.at < 8) return this.fail('the record ends in the middle of a value')
    this.low = this.view.getInt32(this.at, true)
    this.high = this.view.getInt32(this.at + 4, true)
    this.at += 8
  }

  /** Field number and wire type as one number; 0 after a fault. */
  tag(end: number): number {
    this.varint(end)
    if (this.fault !== null) return 0
    // A field number has 29 bits, so that a tag has 32.
    const tag = this.low >>> 0
    if (this.high !== 0 || tag < 8) {
      this.fail('a field has no valid number')
      return 0
    }
    return tag
  }

  /** Passes over a payload; `low` is where it begins, and `at` where it ends (behind the end of a group). */
  pass(tag: number, end: number): void {
    switch (tag & 7) {
      case 0: {
        const start = this.at
        this.varint(end)
        this.low = start
        return
      }
      case 1:
        return this.#passFixed(8, end)
      case 5:
        return this.#passFixed(4, end)
      case 2:
        this.varint(end)
        if (this.fault !== null) return
        if (this.high !== 0 || this.low >>> 0 > end - this.at)
          return this.fail('a length goes beyond the end of its message')
        return this.#passFixed(this.low, end)
      case 3:
        return this.#passGroup(tag >>> 3, end)
      default:
        return this.fail('a field has no valid wire type')
    }
  }

  /** Where the group ends without its end tag, which is in `high`. */
  #passGroup(number: number, end: number): void {
    const start = this.at
    const open = [number]
    let inner = this.at
    while (open.length > 0) {
      inner = this.at
      const tag = this.tag(end)
      if (this.fault !== null) return
      const wire = tag & 7
      if (wire === 4) {
        if (open.pop() !== tag >>> 3) return this.fail('a group ends that did not begin')
      } else if (wire === 3) {
        if (open.push(tag >>> 3) > groupsMax)
          return this.fail(`groups are nested deeper than ${groupsMax} levels`)
      } else {
        this.pass(tag, end)
        if (this.fault !== null) return
      }
    }
    this.low = start
    this.high = inner
  }

  #passFixed(bytes: number, end: number): void {
    if (bytes > end - this.at) return this.fail('the record ends in the middle of a value')
    this.low = this.at
    this.at += bytes
  }
}
