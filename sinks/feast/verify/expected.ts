/**
 * A page of the offline log as an online store should have it: entity keys and values in Feast's bytes, so
 * that what is compared is what the SDK reads.
 */
import { BytesOut } from '../bytes-out.ts'
import { entityKeyPrefix, writeEntityValue, type EntityType } from '../layout/entity-key.ts'
import { writeValues } from '../layout/value.ts'
import type { OfflinePage } from '../offline/read.ts'
import type { EncodedValues } from '../target.ts'
import type { FeatureView } from '../view.ts'

export interface Expected {
  readonly page: OfflinePage
  /** Entity keys by row of the page. */
  readonly keys: readonly Uint8Array[]
  /** Row of the page by key, whose bytes are characters here. */
  readonly rows: ReadonlyMap<string, number>
  /** One for each feature. */
  readonly values: readonly EncodedValues[]
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

export function expectedOf(view: FeatureView, page: OfflinePage): Expected {
  const keys = entityKeys(view, page)
  const all = Int32Array.from({ length: page.count }, (_, row) => row)
  const values = page.features.map(({ column, logical, type }) => {
    const out = new BytesOut(page.count * 12 + 64)
    const offsets = new Int32Array(page.count + 1)
    writeValues(out, { column, logical, type }, all, offsets)
    return { data: out.bytes, offsets }
  })
  return { page, keys, rows: new Map(keys.map((key, row) => [keyText(key), row])), values }
}

/** The bytes of one value; none: null. */
export function valueAt({ data, offsets }: EncodedValues, row: number): Uint8Array {
  return data.subarray(offsets[row]!, offsets[row + 1]!)
}

/** Event time, µs since 1970. */
export function eventUsAt({ seconds, nanos }: OfflinePage, row: number): bigint {
  return BigInt(seconds[row]!) * 1_000_000n + BigInt(nanos[row]!) / 1000n
}

function entityKeys({ entities }: FeatureView, page: OfflinePage): Uint8Array[] {
  const prefix = entityKeyPrefix(entities.map(({ name }) => name))
  const columns = page.entities.map(({ column, logical }, i) => {
    const { name, type }: { name: string; type: EntityType } = entities[i]!
    return { column, entity: { name, type, logical, index: i } }
  })
  const out = new BytesOut(prefix.length + 64)
  return Array.from({ length: page.count }, (_, row) => {
    out.end = 0
    out.ensure(prefix.length)
    out.copy(prefix, 0, prefix.length)
    for (const { column, entity } of columns) writeEntityValue(out, entity, column, row)
    return out.bytes.slice(0, out.end)
  })
}
