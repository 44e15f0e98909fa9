/** Reads what StateWriter wrote. Every length is checked against the bytes that are there. */
import { SluiceError } from '../../errors/error.ts'
import { decimalFromText } from '../scalar/decimal.ts'
import type { Scalar } from '../scalar/functions.ts'
import { Interval } from '../scalar/interval.ts'
import { Tag } from './writer.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

export function corrupt(what: string): SluiceError {
  return new SluiceError('sql.state_corrupt', {
    message: `The state of a transform is damaged: ${what}`,
  })
}

export class StateReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  byte(): number {
    return this.#bytes[this.#take(1)]!
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
      scale *= 0x80
    }
    throw corrupt('a number is too long')
  }

  /** A count of things of which each takes at least one byte. */
  count(): number {
    const value = this.varint()
    if (value > this.#bytes.length - this.#at) throw corrupt('a count exceeds what is left')
    return value
  }

  double(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  text(): string {
    const bytes = this.block()
    try {
      return decoder.decode(bytes)
    } catch {
      throw corrupt('a text is not UTF-8')
    }
  }

  block(): Uint8Array {
    const length = this.varint()
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  value(): Scalar {
    const tag = this.byte()
    switch (tag) {
      case Tag.null:
        return null
      case Tag.false:
        return false
      case Tag.true:
        return true
      case Tag.integer: {
        const coded = this.varint()
        return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2
      }
      case Tag.double:
        return this.double()
      case Tag.bigint:
        return this.#bigint()
      case Tag.string:
        return this.text()
      case Tag.decimal: {
        const value = decimalFromText(this.text())
        if (value === null) throw corrupt('a decimal has no digits')
        return value
      }
      case Tag.interval: {
        const months = this.double()
        const days = this.double()
        return new Interval(months, days, this.#bigint())
      }
      default:
        throw corrupt(`the tag ${tag} is unknown`)
    }
  }

  number(): number {
    const value = this.value()
    if (typeof value !== 'number') throw corrupt('a number is missing')
    return value
  }

  #bigint(): bigint {
    const text = this.text()
    if (!/^-?\d{1,100000}$/.test(text)) throw corrupt('an integer has no digits')
    return BigInt(text)
  }

  #take(bytes: number): number {
    const start = this.#at
    if (bytes > this.#bytes.length - start) throw corrupt('it ends too early')
    this.#at = start + bytes
    return start
  }
}
