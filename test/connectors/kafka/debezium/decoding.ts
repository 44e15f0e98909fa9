/** Records through a DebeziumDecoder, and what is left of them. */
import assert from 'node:assert/strict'
import { DebeziumDecoder } from '../../../../connectors/kafka/debezium/decoder.ts'
import type { DebeziumSettings } from '../../../../connectors/kafka/debezium/settings.ts'
import { DebeziumTopic } from '../../../../connectors/kafka/debezium/topic.ts'
import type { SchemaRegistry } from '../../../../connectors/kafka/registry/client.ts'
import type { Decoded } from '../../../../core/connector/format/format.ts'
import type { Records } from '../../../../core/connector/format/records.ts'
import type { Batch } from '../../../../core/record/batch.ts'
import { opNames } from '../../../../core/record/batch.ts'
import { bitAt } from '../../../../core/record/bitmap.ts'
import { typeName } from '../../../../core/record/types.ts'
import { textAt } from '../../../../core/record/value.ts'

export const usualSettings: DebeziumSettings = {
  encoding: 'auto',
  unwrapped: false,
  before: 'key',
  schema: {},
  key: null,
  epoch: null,
  tombstones: 'delete',
  decimals: 'precise',
  placeholder: null,
  opField: '__op',
  deletedField: '__deleted',
}

export function decoderOf(
  topic: string,
  settings: Partial<DebeziumSettings> = {},
  registry: SchemaRegistry | null = null,
  passed?: (records: number) => void,
): DebeziumDecoder {
  const known = new DebeziumTopic(topic, { ...usualSettings, ...settings })
  const options = { topic: known, extra: [], registry, subject: `${topic}-value` }
  return new DebeziumDecoder({ ...options, ...(passed !== undefined && { passed }) })
}

/** Reads all of the records, `prepare` where it is asked for. */
export async function decodeAll(decoder: DebeziumDecoder, records: Records): Promise<Decoded> {
  const { signal } = new AbortController()
  for (let at = decoder.decode(records, 0); at < records.count;) {
    await decoder.prepare(signal)
    at = decoder.decode(records, at)
  }
  return decoder.take()
}

export interface Change {
  readonly weight: number
  readonly op: string
  readonly timeUs: number
  /** Exact texts; `unchanged` where the source left it out. */
  readonly values: Readonly<Record<string, string | null>>
}

export const unchanged = '(unchanged)'

export function changesOf({ changes }: Decoded): readonly (Change | 'truncate')[] {
  return changes.flatMap((change): readonly (Change | 'truncate')[] => {
    if ('truncate' in change) return ['truncate']
    const { batch } = change
    return Array.from({ length: batch.rows }, (_, row): Change => {
      const values = batch.schema.fields.map(({ name, type }, i): [string, string | null] => {
        const bits = change.unchanged?.[i]
        if (bits != null && bitAt(bits, row)) return [name, unchanged]
        return [name, textAt(type, batch.columns[i]!, row)]
      })
      return {
        weight: batch.weights[row]!,
        op: opNames[batch.ops[row]!]!,
        timeUs: batch.timesUs[row]!,
        values: Object.fromEntries(values),
      }
    })
  })
}

/** The rows that are left, by their key as text; unchanged values are those of the row before. */
export function folded(
  decoded: Decoded,
  keyNames: readonly string[],
): Map<string, Change['values']> {
  const rows = new Map<string, Change['values']>()
  let gone: Change['values'] = {}
  for (const change of changesOf(decoded)) {
    if (change === 'truncate') {
      rows.clear()
      continue
    }
    const key = keyNames.map((name) => change.values[name]).join(' ')
    if (change.weight < 0) {
      gone = rows.get(key) ?? gone
      rows.delete(key)
      continue
    }
    const before = rows.get(key) ?? gone
    const values = Object.entries(change.values).map(([name, value]) => [
      name,
      value === unchanged ? before[name] : value,
    ])
    rows.set(key, Object.fromEntries(values) as Change['values'])
  }
  return rows
}

/** Fields as people write them. */
export function schemaTexts(batch: Batch): Readonly<Record<string, string>> {
  return Object.fromEntries(
    batch.schema.fields.map(({ name, type, nullable }) => [
      name,
      `${typeName(type)}${nullable ? '?' : ''}`,
    ]),
  )
}

export function lastBatch({ changes }: Decoded): Batch {
  const last = changes.findLast((change) => 'batch' in change)
  assert.ok(last !== undefined && 'batch' in last)
  return last.batch
}
