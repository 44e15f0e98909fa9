/** What stands in Feast's Redis store of entities that have one key `k`, an int32: values as text. */
import { Redis } from 'ioredis'
import { entityKeyPrefix } from '../../sinks/feast/layout/entity-key.ts'
import { featureField } from '../../sinks/feast/layout/murmur3.ts'
import type { RedisServer } from '../services/redis.ts'

type Row = Readonly<Record<string, string | null>>

/** Of the entities and features asked for, those that are there; a null feature is there too. */
export async function featuresOf(
  server: RedisServer,
  { project, view }: { readonly project: string; readonly view: string },
  { entities, names }: { readonly entities: readonly number[]; readonly names: readonly string[] },
): Promise<readonly Row[]> {
  const client = new Redis(server.url)
  try {
    const rows: Row[] = []
    for (const k of entities) {
      const fields = [`_ts:${view}`, ...names.map((name) => Buffer.from(featureField(view, name)))]
      const [time, ...values] = await client.hmgetBuffer(keyOf(k, project), ...fields)
      if (time === null) continue
      const there = names.flatMap((name, i): [string, string | null][] => {
        const value = values[i] ?? null
        return value === null ? [] : [[name, textOf(value)]]
      })
      rows.push({ k: String(k), ...Object.fromEntries(there) })
    }
    return rows
  } finally {
    client.disconnect()
  }
}

function keyOf(k: number, project: string): Buffer {
  const value = Buffer.alloc(12)
  value.writeUInt32LE(3, 0)
  value.writeUInt32LE(4, 4)
  value.writeInt32LE(k, 8)
  return Buffer.concat([entityKeyPrefix(['k']), value, Buffer.from(project)])
}

/** `feast.types.Value` in protobuf: a tag, and a text, a number or a double behind it; nothing is null. */
export function textOf(value: Buffer): string | null {
  if (value.length === 0) return null
  const payload = value.subarray(1)
  switch (value[0]) {
    case 0x12:
      // The length ends with the first byte that has no high bit.
      return payload.subarray(payload.findIndex((byte) => byte < 0x80) + 1).toString()
    case 0x18:
    case 0x20:
      return String(payload.reduceRight((sum, byte) => sum * 128n + BigInt(byte & 0x7f), 0n))
    case 0x29:
      return String(payload.readDoubleLE(0))
    default:
      throw new Error(`a value with the tag ${value[0]}`)
  }
}
