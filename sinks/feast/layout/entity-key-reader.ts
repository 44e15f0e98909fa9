/** Entity keys (entity-key.ts) back to values. The bytes come from a store that others write to as well. */
import { dayUs } from '../../../core/record/calendar.ts'
import type { EntityColumn, EntityType } from './entity-key.ts'

/** Text and bytes are bytes, an int32 is a number, an int64 and a time, in µs, are a bigint. */
export type EntityValue = Uint8Array | number | bigint

const typesByNumber: Readonly<Record<number, EntityType>> = {
  1: 'bytes',
  2: 'string',
  3: 'int32',
  4: 'int64',
  8: 'unix_timestamp',
}
const stringType = 2
const decoder = new TextDecoder()

/** The values in the order of the entities; null: it is not a key of these entities, or of other types. */
export function readEntityKey(
  bytes: Uint8Array,
  entities: readonly Pick<EntityColumn, 'name' | 'type'>[],
): readonly EntityValue[] | null {
  const reader = new Reader(bytes)
  if (reader.u32() !== entities.length) return null
  for (const { name } of entities) {
    if (reader.u32() !== stringType) return null
    const found = reader.take(reader.u32())
    if (found === null || decoder.decode(found) !== name) return null
  }
  const values: EntityValue[] = []
  for (const { type } of entities) {
    if (typesByNumber[reader.u32()] !== type) return null
    const found = reader.take(reader.u32())
    const value = found === null ? null : valueOf(type, found)
    if (value === null) return null
    values.push(value)
  }
  return reader.isAtEnd ? values : null
}

/** Where so many values of a key end that begin at `from`, of whatever types; −1: not within the bytes. */
export function valuesEnd(bytes: Uint8Array, from: number, count: number): number {
  const reader = new Reader(bytes)
  if (reader.take(from) === null) return -1
  for (let i = 0; i < count; i++) {
    reader.u32()
    if (reader.take(reader.u32()) === null) return -1
  }
  return reader.at
}

function valueOf(type: EntityType, bytes: Uint8Array): EntityValue | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  switch (type) {
    case 'string':
    case 'bytes':
      return bytes
    case 'int32':
      return bytes.length === 4 ? view.getInt32(0, true) : null
    case 'int64':
      return bytes.length === 8 ? view.getBigInt64(0, true) : null
    case 'unix_timestamp':
      return bytes.length === 8 ? view.getBigInt64(0, true) * 1_000_000n : null
  }
}

/** For people: `user_id=7, day=2026-01-01`. */
export function entityName(
  entities: readonly Pick<EntityColumn, 'name' | 'type'>[],
  values: readonly EntityValue[],
): string {
  return entities.map(({ name, type }, i) => `${name}=${shown(type, values[i]!)}`).join(', ')
}

function shown(type: EntityType, value: EntityValue): string {
  if (value instanceof Uint8Array) {
    return type === 'string'
      ? JSON.stringify(decoder.decode(value))
      : Buffer.from(value).toString('hex')
  }
  if (type !== 'unix_timestamp') return String(value)
  const us = BigInt(value)
  const text = new Date(Number(us / 1000n)).toISOString()
  return us % BigInt(dayUs) === 0n ? text.slice(0, 10) : text
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get at(): number {
    return this.#at
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** −1 where there are no four bytes any more. */
  u32(): number {
    if (this.#at + 4 > this.#bytes.length) return -1
    const value = this.#view.getUint32(this.#at, true)
    this.#at += 4
    return value
  }

  take(length: number): Uint8Array | null {
    if (length < 0 || this.#at + length > this.#bytes.length) return null
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
