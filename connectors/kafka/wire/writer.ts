/**
 * The body of a request, field by field (Kafka protocol guide, "Protocol Primitive Types").
 *
 *   string, classic  = length int16 (−1 = null), UTF-8         compact = length + 1 uvarint (0 = null), UTF-8
 *   array, classic   = count int32 (−1 = null), items          compact = count + 1 uvarint (0 = null), items
 *   tagged fields    = count uvarint …: none are written; only in flexible (compact) versions (KIP-482)
 */
export class Writer {
  readonly #isFlexible: boolean
  #bytes = Buffer.allocUnsafe(512)
  #end = 0

  constructor(isFlexible: boolean) {
    this.#isFlexible = isFlexible
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#end)
  }

  int8(value: number): this {
    this.#room(1)
    this.#end = this.#bytes.writeInt8(value, this.#end)
    return this
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int16(value: number): this {
    this.#room(2)
    this.#end = this.#bytes.writeInt16BE(value, this.#end)
    return this
  }

  int32(value: number): this {
    this.#room(4)
    this.#end = this.#bytes.writeInt32BE(value, this.#end)
    return this
  }

  int64(value: bigint): this {
    this.#room(8)
    this.#end = this.#bytes.writeBigInt64BE(value, this.#end)
    return this
  }

  string(value: string | null): this {
    const length = value === null ? -1 : Buffer.byteLength(value)
    if (this.#isFlexible) this.#uvarint(length + 1)
    else this.int16(length)
    if (value === null) return this
    this.#room(length)
    this.#end += this.#bytes.write(value, this.#end)
    return this
  }

  uuid(hex: string): this {
    this.#room(16)
    this.#end += this.#bytes.write(hex, this.#end, 'hex')
    return this
  }

  array<T>(items: readonly T[] | null, write: (item: T) => void): this {
    const count = items === null ? -1 : items.length
    if (this.#isFlexible) this.#uvarint(count + 1)
    else this.int32(count)
    for (const item of items ?? []) write(item)
    return this
  }

  /** The end of a structure, where tagged fields could follow. */
  tags(): this {
    if (this.#isFlexible) this.int8(0)
    return this
  }

  #uvarint(value: number): void {
    this.#room(5)
    for (; value > 0x7f; value >>>= 7) this.#bytes[this.#end++] = (value & 0x7f) | 0x80
    this.#bytes[this.#end++] = value
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes))
    this.#bytes.copy(grown, 0, 0, this.#end)
    this.#bytes = grown
  }
}
