/**
 * Values of each group with their counts: what MIN and MAX need where rows can be taken back, and
 * DISTINCT always. One flat table for all groups; aggregates over the same argument share it.
 */
import type { LogicalType } from '../../record/types.ts'
import type { Scalar } from '../scalar/functions.ts'
import { corrupt, type StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'
import { KeyCodec } from './key-codec.ts'
import { grownDoubles, SlotTable } from './slot-table.ts'

/** Told when a value comes to a group for the first time (+1) or leaves it (−1). */
export type ValueChange = (slot: number, value: Scalar, change: number) => void

export class Bag {
  readonly codec: KeyCodec
  readonly #table: SlotTable
  #counts = new Float64Array(64)
  #next = new Int32Array(64)
  #previous = new Int32Array(64)
  #touchedAt = new Int32Array(64)
  #touched: number[] = []
  #step = 1
  /** First entry of each group's chain, −1 for none. */
  #heads = new Int32Array(64).fill(-1)
  readonly listeners: ValueChange[] = []

  constructor(type: LogicalType) {
    this.codec = new KeyCodec(type)
    this.#table = new SlotTable(2, (capacity) => this.#grow(capacity))
  }

  get bytes(): number {
    return (
      this.#table.bytes + this.#counts.length * 20 + this.#heads.byteLength + this.codec.size * 80
    )
  }

  growGroups(capacity: number): void {
    const heads = new Int32Array(capacity).fill(-1)
    heads.set(this.#heads)
    this.#heads = heads
  }

  add(slot: number, value: Scalar, weight: number): void {
    const entry = this.#entry(slot, this.codec.encode(value))
    const before = this.#counts[entry]!
    const after = before + weight
    this.#counts[entry] = after
    if (this.#touchedAt[entry] !== this.#step) {
      this.#touchedAt[entry] = this.#step
      this.#touched.push(entry)
    }
    if (before > 0 === after > 0) return
    for (const listener of this.listeners) listener(slot, value, after > 0 ? 1 : -1)
  }

  isEmpty(slot: number): boolean {
    for (let entry = this.#heads[slot]!; entry >= 0; entry = this.#next[entry]!) {
      if (this.#counts[entry] !== 0) return false
    }
    return true
  }

  /** The group's values, each once, in no useful order. */
  *values(slot: number): Generator<Scalar> {
    for (let entry = this.#heads[slot]!; entry >= 0; entry = this.#next[entry]!) {
      if (this.#counts[entry]! > 0) yield this.codec.decode(this.#table.keys[1]![entry]!)
    }
  }

  /** Forgets a group and all it holds. */
  drop(slot: number): void {
    let entry = this.#heads[slot]!
    while (entry >= 0) {
      const next = this.#next[entry]!
      this.#counts[entry] = 0
      if (this.#touchedAt[entry] !== this.#step) {
        this.#touchedAt[entry] = this.#step
        this.#touched.push(entry)
      }
      entry = next
    }
  }

  /** Forgets interned values that no entry holds any more. */
  sweep(): void {
    if (this.codec.size <= Math.max(4096, this.#table.live * 2)) return
    this.codec.sweep(this.#table.keys[1]!, this.#table.used)
    this.#table.rehash()
  }

  /** Writes the entries touched since the last call and lets go of those that are gone. */
  saveDelta(writer: StateWriter): void {
    writer.varint(this.#touched.length)
    for (const entry of this.#touched) this.#save(entry, writer)
    for (const entry of this.#touched) if (this.#counts[entry] === 0) this.#remove(entry)
    this.#touched = []
    this.#step++
  }

  saveFull(writer: StateWriter): void {
    const entries: number[] = []
    for (let entry = 0; entry < this.#table.high; entry++) {
      if (this.#table.used[entry] === 1 && this.#counts[entry] !== 0) entries.push(entry)
    }
    writer.varint(entries.length)
    for (const entry of entries) this.#save(entry, writer)
  }

  load(reader: StateReader): void {
    const count = reader.count()
    for (let i = 0; i < count; i++) {
      const entry = reader.varint()
      if (entry < this.#table.high && this.#table.used[entry] === 1) this.#remove(entry)
      if (reader.byte() === 0) continue
      const slot = reader.varint()
      if (slot >= this.#heads.length) throw corrupt('a value belongs to no group')
      this.#table.occupy(entry, [slot, this.codec.encode(reader.value())])
      this.#link(entry, slot)
      this.#counts[entry] = reader.number()
    }
  }

  /** Entries keep their places, so that a restored table is the same as the one that was saved. */
  #save(entry: number, writer: StateWriter): void {
    const isThere = this.#counts[entry] !== 0
    writer.varint(entry)
    writer.byte(isThere ? 1 : 0)
    if (!isThere) return
    writer.varint(this.#table.keys[0]![entry]!)
    writer.value(this.codec.decode(this.#table.keys[1]![entry]!))
    writer.value(this.#counts[entry]!)
  }

  #entry(slot: number, key: number): number {
    const { live } = this.#table
    const entry = this.#table.locate(slot, key)
    if (this.#table.live === live) return entry
    this.#counts[entry] = 0
    this.#touchedAt[entry] = 0
    this.#link(entry, slot)
    return entry
  }

  #link(entry: number, slot: number): void {
    const head = this.#heads[slot]!
    this.#next[entry] = head
    this.#previous[entry] = -1
    if (head >= 0) this.#previous[head] = entry
    this.#heads[slot] = entry
  }

  #remove(entry: number): void {
    const next = this.#next[entry]!
    const previous = this.#previous[entry]!
    if (previous >= 0) this.#next[previous] = next
    else this.#heads[this.#table.keys[0]![entry]!] = next
    if (next >= 0) this.#previous[next] = previous
    this.#table.remove(entry)
  }

  #grow(capacity: number): void {
    const ints = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(capacity)
      grown.set(column)
      return grown
    }
    this.#counts = grownDoubles(this.#counts, capacity)
    this.#next = ints(this.#next)
    this.#previous = ints(this.#previous)
    this.#touchedAt = ints(this.#touchedAt)
  }
}
