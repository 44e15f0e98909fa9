/** State by key: a slot per key and a code (key-codec.ts) per kept column, with what changed since the last save. */
import type { StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'
import { KeyCodec } from './key-codec.ts'
import { grownDoubles, SlotTable } from './slot-table.ts'

/** Interned values may outnumber those in use this many times, and by this many, before they are swept. */
const sweepFactor = 2
const sweepMin = 4096

export class KeyedState {
  readonly table: SlotTable
  readonly #keyCodecs: readonly KeyCodec[]
  readonly #valueCodecs: readonly KeyCodec[]
  readonly values: Float64Array[]
  #changedAt = new Int32Array(64)
  #changed: number[] = []
  #saves = 1

  constructor(keyCodecs: readonly KeyCodec[], valueCodecs: readonly KeyCodec[]) {
    this.#keyCodecs = keyCodecs
    this.#valueCodecs = valueCodecs
    this.values = valueCodecs.map(() => new Float64Array(64))
    this.table = new SlotTable(keyCodecs.length, (capacity) => this.#grow(capacity))
  }

  get bytes(): number {
    const codecs = [...this.#keyCodecs, ...this.#valueCodecs]
    const interned = codecs.reduce((sum, codec) => sum + codec.size * 80, 0)
    return this.table.bytes + this.table.capacity * (4 + this.values.length * 8) + interned
  }

  /** Marks a slot for the next delta. */
  changed(slot: number): void {
    if (this.#changedAt[slot] === this.#saves) return
    this.#changedAt[slot] = this.#saves
    this.#changed.push(slot)
  }

  remove(slot: number): void {
    this.changed(slot)
    this.table.remove(slot)
  }

  removeAll(): void {
    for (let slot = this.table.high - 1; slot >= 0; slot--) {
      if (this.table.used[slot] === 1) this.remove(slot)
    }
  }

  /** Sweeps interned values that no slot uses any more. */
  settle(): void {
    const limit = Math.max(sweepMin, this.table.live * sweepFactor)
    this.#valueCodecs.forEach((codec, i) => {
      if (codec.size > limit) codec.sweep(this.values[i]!, this.table.used)
    })
    this.#keyCodecs.forEach((codec, i) => {
      if (codec.size <= limit) return
      codec.sweep(this.table.keys[i]!, this.table.used)
      this.table.rehash()
    })
  }

  saveDelta(writer: StateWriter): void {
    this.#save(writer, this.#changed)
    this.#changed = []
    this.#saves++
  }

  saveFull(writer: StateWriter): void {
    const slots: number[] = []
    for (let slot = 0; slot < this.table.high; slot++)
      if (this.table.used[slot] === 1) slots.push(slot)
    this.#save(writer, slots)
  }

  #save(writer: StateWriter, slots: readonly number[]): void {
    writer.varint(slots.length)
    for (const slot of slots) {
      writer.varint(slot)
      writer.byte(this.table.used[slot]!)
      if (this.table.used[slot] === 0) continue
      this.#keyCodecs.forEach((codec, i) => writer.value(codec.decode(this.table.keys[i]![slot]!)))
      this.#valueCodecs.forEach((codec, i) => writer.value(codec.decode(this.values[i]![slot]!)))
    }
  }

  load(reader: StateReader): void {
    const count = reader.count()
    for (let n = 0; n < count; n++) {
      const slot = reader.varint()
      if (slot < this.table.high && this.table.used[slot] === 1) this.table.remove(slot)
      if (reader.byte() === 0) continue
      this.table.occupy(
        slot,
        this.#keyCodecs.map((codec) => codec.encode(reader.value())),
      )
      this.#valueCodecs.forEach((codec, i) => {
        this.values[i]![slot] = codec.encode(reader.value())
      })
    }
  }

  #grow(capacity: number): void {
    this.values.forEach((column, i) => {
      this.values[i] = grownDoubles(column, capacity)
    })
    const changedAt = new Int32Array(capacity)
    changedAt.set(this.#changedAt)
    this.#changedAt = changedAt
  }
}
