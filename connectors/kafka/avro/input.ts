/**
 * AvroInput: a place in the bytes of one value, and the primitives of Avro's binary encoding (Apache
 * Avro 1.12, "Binary Encoding"). Nothing throws: the first thing that is wrong is kept in `fault`, and
 * whoever reads looks there after each field.
 *
 *   boolean = 0x00 | 0x01          float, double = IEEE 754, little-endian
 *   int, long = zigzag, 7 bits a byte, least significant group first, the top bit says that more follow
 *   bytes, string = long length, then so many bytes
 */
const two28 = 0x1000_0000

export class AvroInput {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  end = 0
  fault: string | null = null
  /** The value of the last `long` that was NaN. */
  wide = 0n
  /**
   * Items of arrays and maps that may still come in this value: an item can be of no bytes at all (null,
   * an empty record), so that a count of 2^60 is no contradiction of its length.
   */
  itemsLeft = 0
  #view = new DataView(this.bytes.buffer)

  begin(bytes: Uint8Array, start: number, end: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.at = start
    this.end = end
    this.fault = null
    this.itemsLeft = end - start + 1000
  }

  /** Keeps the first fault; later ones only follow from it. */
  fail(message: string): number {
    this.fault ??= message
    this.at = this.end
    return 0
  }

  boolean(): number {
    const value = this.at < this.end ? this.bytes[this.at++]! : 2
    return value < 2 ? value : this.fail('no boolean where one should be')
  }

  int(): number {
    const value = this.long()
    return value >= -0x8000_0000 && value <= 0x7fff_ffff
      ? value
      : this.fail('an int is longer than 32 bits')
  }

  /** A safe integer, or NaN, and then the value is in `wide`. */
  long(): number {
    const { bytes, end } = this
    let at = this.at
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) return this.#short()
      const byte = bytes[at++]!
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.at = at
        return (low >>> 1) ^ -(low & 1)
      }
    }
    let middle = 0
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) return this.#short()
      const byte = bytes[at++]!
      middle |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.at = at
        return this.#joined(low, middle, 0)
      }
    }
    if (at >= end) return this.#short()
    let high = bytes[at++]!
    if (high >= 0x80) {
      if (at >= end) return this.#short()
      const last = bytes[at++]!
      // Ten bytes hold 70 bits; what is beyond 64 has to be nothing.
      if (last > 1) return this.fail('a long is longer than 64 bits')
      high = (high & 0x7f) | (last << 7)
    }
    this.at = at
    return this.#joined(low, middle, high)
  }

  float(): number {
    if (this.end - this.at < 4) return this.#short()
    this.at += 4
    return this.#view.getFloat32(this.at - 4, true)
  }

  double(): number {
    if (this.end - this.at < 8) return this.#short()
    this.at += 8
    return this.#view.getFloat64(this.at - 8, true)
  }

  uint32(): number {
    if (this.end - this.at < 4) return this.#short()
    this.at += 4
    return this.#view.getUint32(this.at - 4, true)
  }

  /** Passes over a length and the bytes of it; returns where they begin, and `at` is where they end. */
  sized(): number {
    const bytes = this.long()
    if (!(bytes >= 0 && bytes <= this.end - this.at)) return this.#tooLong()
    const start = this.at
    this.at += bytes
    return start
  }

  /** The same of a length that the schema says. */
  fixed(bytes: number): number {
    if (bytes > this.end - this.at) return this.#short()
    const start = this.at
    this.at += bytes
    return start
  }

  /**
   * The number of items of an array's or map's next block; 0 at the end, or after a fault.
   *
   *   array, map = block* 0x00       block = count item*  |  -count bytes item*
   */
  block(): number {
    let items = this.long()
    if (items < 0) {
      items = -items
      // How many bytes to pass over for who does not want the items.
      const bytes = this.long()
      if (!(bytes >= 0 && bytes <= this.end - this.at))
        this.fail('a block goes beyond the end of the record')
    }
    if (!(items <= this.itemsLeft)) this.fail('an array or map has more items than bytes')
    if (this.fault !== null) return 0
    this.itemsLeft -= items
    return items
  }

  #joined(low: number, middle: number, high: number): number {
    if (high === 0 && middle < 0x200_0000) {
      const bits = middle * two28 + low
      return (low & 1) === 0 ? bits / 2 : -(bits + 1) / 2
    }
    const bits = (BigInt(high) << 56n) | (BigInt(middle) << 28n) | BigInt(low)
    const value = (bits >> 1n) ^ -(bits & 1n)
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    this.wide = value
    return NaN
  }

  #tooLong(): number {
    return this.fail('a length goes beyond the end of the record')
  }

  #short(): number {
    return this.fail('the record ends in the middle of a value')
  }
}
