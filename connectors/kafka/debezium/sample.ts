/** Rows out of change events without schemas, as a sample of which a schema can be proposed. No hot path. */
import { JsonMembers } from '../../../core/connector/format/json-ranges.ts'
import { InlineSchemas } from './inline-schemas.ts'
import type { DebeziumSettings } from './settings.ts'

export interface EventRows {
  /** Each a JSON object. */
  readonly rows: readonly Uint8Array[]
  /** Events that say themselves what they are made of: nothing has to be proposed for them. */
  readonly described: number
}

export function eventRows(
  values: readonly Uint8Array[],
  { unwrapped }: Pick<DebeziumSettings, 'unwrapped'>,
): EventRows {
  const schemas = new InlineSchemas(() => true)
  const members = new JsonMembers(['before', 'after'])
  const rows: Uint8Array[] = []
  let described = 0
  for (const value of values) {
    const isDescribed = value[0] === 0 || schemas.open(value, 0, value.length) === true
    if (isDescribed) described++
    else if (unwrapped) rows.push(value)
    else if (members.find(value, 0, value.length) === null) {
      for (const part of [0, 1]) {
        // A row before may be its key and nulls.
        if (members.has(part, value) && (part === 1 || !members.has(1, value)))
          rows.push(value.slice(members.starts[part]!, members.ends[part]!))
      }
    }
  }
  return { rows, described }
}

/** What a proposal cannot know of them. */
export const eventRemarks: readonly string[] = [
  'Debezium writes decimals in base64, which looks like text: give their columns decimal(p,s), or bytes for blobs',
  'Debezium writes dates, times and timestamps as numbers: give their columns date, time or timestamp, and in `epoch` what those count that are no microseconds (timestamp(3): ms)',
]
