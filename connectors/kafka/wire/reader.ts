/**
 * The body of an answer, field by field; the grammar is at writer.ts. Every length is held against what is there
 * before it is used: an answer that does not follow the protocol is an error, never a read beyond the end.
 */
import { SluiceError } from '../../../core/errors/error.ts'

export class Reader {
  readonly #bytes: Buffer
  readonly #isFlexible: boolean
  #at = 0

  constructor(bytes: Buffer, isFlexible: boolean) {
    this.#bytes = bytes
    this.#isFlexible = isFlexible
  }

  int8(): number {
    return this.#bytes.readInt8(this.#pass(1))
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#pass(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#pass(4))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#pass(8))
  }

  uuid(): string {
    const from = this.#pass(16)
    return this.#bytes.toString('hex', from, from + 16)
  }

  nullableString(): string | null {
    const length = this.#isFlexible ? this.#uvarint() - 1 : this.int16()
    if (length < 0) return null
    const from = this.#pass(length)
    return this.#bytes.toString('utf8', from, from + length)
  }

  string(): string {
    return this.nullableString() ?? ''
  }

  /** A view of the answer, which nobody else keeps; empty for null. */
  bytes(): Uint8Array {
    const length = this.#isFlexible ? this.#uvarint() - 1 : this.int32()
    if (length <= 0) return this.#bytes.subarray(0, 0)
    const from = this.#pass(length)
    return this.#bytes.subarray(from, from + length)
  }

  array<T>(read: () => T): T[] {
    const count = this.#isFlexible ? this.#uvarint() - 1 : this.int32()
    // An item takes one byte at least: a count beyond what is left is none.
    if (count > this.#bytes.length - this.#at) throw broken()
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(read())
    return items
  }

  int32s(): void {
    this.array(() => this.int32())
  }

  /** Tagged fields are what newer brokers add; none is needed here. */
  tags(): void {
    if (!this.#isFlexible) return
    for (let count = this.#uvarint(); count > 0; count--) {
      this.#uvarint()
      this.#pass(this.#uvarint())
    }
  }

  #uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#pass(1)]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw broken()
  }

  #pass(length: number): number {
    const from = this.#at
    if (length < 0 || length > this.#bytes.length - from) throw broken()
    this.#at = from + length
    return from
  }
}

function broken(): SluiceError {
  return new SluiceError('source.kafka.protocol', {
    message: 'A broker’s answer does not follow Kafka’s protocol: a length points beyond its end.',
  })
}
