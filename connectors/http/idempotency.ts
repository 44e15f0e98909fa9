/**
 * Idempotency of a topic: a request, or a record, whose key came within the window is answered as taken and
 * makes no second row. Keys are in the log, in `<topic>.idempotency_keys`, in the same commit as the rows they came
 * with, and are read back from there at the start: after a crash exactly those are known whose rows are there.
 */
import { hash } from 'node:crypto'
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import { Fixed16Builder, NumberBuilder } from '../../core/record/builder.ts'
import { makeSchema } from '../../core/record/schema.ts'
import type { Delivery } from './delivery.ts'
import { KeyWindow } from './key-window.ts'

export interface IdempotencyOptions {
  readonly windowMs: number
  readonly keysMax: number
}

/** `key`: the first 128 bits of the SHA-256 of the key; `at`: when the request came. */
const schema = makeSchema(
  [
    { name: 'key', type: { kind: 'uuid' }, nullable: false },
    { name: 'at', type: { kind: 'timestamptz' }, nullable: false },
  ],
  [],
  'append',
)

const hashBytes = 16

const keysTail = '.idempotency_keys'

export function keysTopic(topic: string): string {
  return `${topic}${keysTail}`
}

/** Also of a topic whose `idempotency` was taken out since: the keys are still in the log. */
export function isKeysTopic(topic: string): boolean {
  return topic.endsWith(keysTail)
}

/** What becomes of one key that a delivery brings. */
export type KeyState = 'new' | 'duplicate'

export class Idempotency {
  readonly #window: KeyWindow
  /** Keys of requests that are not in a commit yet, by hash. */
  readonly #inFlight = new Map<string, Delivery>()
  readonly #keys = new Fixed16Builder()
  readonly #times = new NumberBuilder()

  constructor({ windowMs, keysMax }: IdempotencyOptions) {
    this.#window = new KeyWindow(windowMs, keysMax)
  }

  /** Keys that were forgotten before their time. */
  get forgotten(): number {
    return this.#window.forgotten
  }
  get size(): number {
    return this.#window.size
  }

  /** Remembers the keys of an earlier life. */
  load(batch: Batch): void {
    const [keys, times] = batch.columns
    if (keys?.encoding !== 'fixed16' || times?.encoding !== 'float64') return
    for (let row = 0; row < batch.rows; row++) {
      const key = keys.data.subarray(row * hashBytes, (row + 1) * hashBytes)
      this.#window.add(key, times.values[row]! / 1000)
    }
  }

  /** Takes the key for the delivery, or finds that it was there: then the row is passed over. */
  claim(text: string, delivery: Delivery): KeyState {
    const key = hash('sha256', text, 'buffer').subarray(0, hashBytes)
    const name = key.toString('latin1')
    const other = this.#inFlight.get(name)
    if (other !== undefined) {
      delivery.follow(other)
      return 'duplicate'
    }
    if (this.#window.has(key, delivery.parts.receivedMs)) return 'duplicate'
    this.#inFlight.set(name, delivery)
    delivery.keys.push(key)
    return 'new'
  }

  /** The delivery was refused: its keys may come again. */
  release(delivery: Delivery): void {
    for (const key of delivery.keys) this.#inFlight.delete(key.toString('latin1'))
    delivery.keys.length = 0
  }

  /** The delivery is in a commit. */
  stored(delivery: Delivery): void {
    for (const key of delivery.keys) {
      this.#inFlight.delete(key.toString('latin1'))
      this.#window.add(key, delivery.parts.receivedMs)
    }
    delivery.keys.length = 0
  }

  /** The keys of the deliveries as rows for the log; of no delivery, the schema alone. */
  batch(deliveries: readonly Delivery[]): Batch {
    let rows = 0
    for (const { keys, parts } of deliveries) {
      for (const key of keys) {
        const at = this.#keys.reserve()
        this.#keys.bytes.set(key, at)
        this.#times.append(parts.receivedMs * 1000)
        rows++
      }
    }
    const times = this.#times.finish()
    return makeBatch(
      schema,
      [this.#keys.finish(), times],
      new Int32Array(rows).fill(1),
      new Uint8Array(rows).fill(Op.insert),
      times.encoding === 'float64' ? times.values.slice() : new Float64Array(rows),
    )
  }
}
