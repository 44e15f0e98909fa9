/**
 * Records that do not fit their topic, kept as they came: place, time, key, value and headers as bytes,
 * and why. They become dead letters of the source; nothing of a record is lost by not being understood.
 */
import { makeBatch, Op } from '../../record/batch.ts'
import { Int32Builder, NumberBuilder } from '../../record/builder.ts'
import { BytesBuilder } from '../../record/bytes-builder.ts'
import { makeSchema } from '../../record/schema.ts'
import type { SluiceError } from '../../errors/error.ts'
import type { RejectedRecords } from './format.ts'
import type { Records } from './records.ts'

/** What a rejected record looks like, whatever its topic's schema is. */
export const rawSchema = makeSchema(
  [
    { name: 'partition', type: { kind: 'int32' }, nullable: false },
    { name: 'offset', type: { kind: 'int64' }, nullable: false },
    { name: 'time', type: { kind: 'timestamptz' }, nullable: false },
    { name: 'key', type: { kind: 'bytes' }, nullable: true },
    { name: 'value', type: { kind: 'bytes' }, nullable: true },
    { name: 'headers', type: { kind: 'bytes' }, nullable: true },
  ],
  [],
  'append',
)

export class Rejects {
  #errors: SluiceError[] = []
  #indexes: number[] = []
  readonly #topic: string
  readonly #partition = new Int32Builder()
  readonly #offset = new NumberBuilder()
  readonly #time = new NumberBuilder()
  readonly #key = new BytesBuilder()
  readonly #value = new BytesBuilder()
  readonly #headers = new BytesBuilder()

  /** `topic`: where the records would have gone. */
  constructor(topic: string) {
    this.#topic = topic
  }

  get rows(): number {
    return this.#errors.length
  }

  get byteLength(): number {
    if (this.#errors.length === 0) return 0
    const texts = this.#key.byteLength + this.#value.byteLength + this.#headers.byteLength
    // What an error with its message and stack takes is a guess, and not a low one.
    return texts + this.#errors.length * 1024
  }

  add(records: Records, index: number, error: SluiceError): void {
    const { bytes } = records
    this.#errors.push(error)
    this.#indexes.push(index)
    this.#partition.append(records.partition)
    this.#offset.append(records.offsets[index]!)
    this.#time.append(records.timesUs[index]!)
    appendRange(this.#key, bytes, records.keyStarts[index]!, records.keyEnds[index]!)
    appendRange(this.#value, bytes, records.valueStarts[index]!, records.valueEnds[index]!)
    appendRange(this.#headers, bytes, records.headerStarts[index]!, records.headerEnds[index]!)
  }

  /** All of them, and starts anew; none at all = none. */
  take(): RejectedRecords[] {
    const errors = this.#errors
    if (errors.length === 0) return []
    const indexes = this.#indexes
    this.#errors = []
    this.#indexes = []
    const time = this.#time.finish()
    const columns = [
      this.#partition.finish(),
      this.#offset.finish(),
      time,
      this.#key.finish(),
      this.#value.finish(),
      this.#headers.finish(),
    ]
    const weights = new Int32Array(errors.length).fill(1)
    const ops = new Uint8Array(errors.length).fill(Op.insert)
    const timesUs =
      time.encoding === 'float64' ? time.values.slice() : new Float64Array(errors.length)
    const batch = makeBatch(rawSchema, columns, weights, ops, timesUs)
    return [{ topic: this.#topic, batch, errors, indexes }]
  }
}

function appendRange(builder: BytesBuilder, bytes: Uint8Array, start: number, end: number): void {
  if (start < 0) builder.appendNull()
  else builder.append(bytes, start, end)
}
