/** Values read by a format, as exact texts, one row a value that fits. */
import assert from 'node:assert/strict'
import type { ReadFault, ValueFormat } from '../../../../core/connector/format/format.ts'
import { schemaFields } from '../../../../core/connector/format/format-config.ts'
import type { Records } from '../../../../core/connector/format/records.ts'
import { builderFor } from '../../../../core/record/builder.ts'
import type { Field } from '../../../../core/record/schema.ts'
import { textAt } from '../../../../core/record/value.ts'

export function fieldsOf(schema: Readonly<Record<string, string>>): readonly Field[] {
  const fields = schemaFields(schema)
  assert.equal(fields.length, Object.keys(schema).length, 'a type is misspelt')
  return fields
}

export interface Read {
  /** Per value: its columns' texts, or why it was not read. */
  readonly rows: readonly ((string | null)[] | ReadFault)[]
}

/**
 * Reads the values one after the other into the same builders; each stands between bytes that would
 * be read wrongly by whoever looks beyond its ends.
 */
export function readAll(format: ValueFormat, values: readonly Uint8Array[]): Read['rows'] {
  const fields = format.fields!
  const builders = fields.map((field) => builderFor(field.type))
  const faults: (ReadFault | null)[] = []
  let row = 0
  for (const value of values) {
    const bytes = Buffer.concat([Buffer.from('9"'), value, Buffer.from('9"}]')])
    const fault = format.read(bytes, 2, 2 + value.length, builders)
    faults.push(fault)
    if (fault === null) row++
    for (const builder of builders) {
      if (fault !== null) builder.rewind(row)
      assert.equal(builder.length, row, 'every builder has one value a row')
    }
  }
  const columns = builders.map((builder) => builder.finish())
  let next = 0
  return faults.map((fault) => {
    if (fault !== null) return fault
    const at = next++
    return fields.map((field, i) => textAt(field.type, columns[i]!, at))
  })
}

/** One value; the columns' texts, or `field: message` of the fault. */
export function readOne(
  format: ValueFormat,
  value: string | Uint8Array,
): (string | null)[] | string {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  const [read] = readAll(format, [bytes])
  if (read === undefined) assert.fail('nothing read')
  return Array.isArray(read)
    ? read
    : `${(read as ReadFault).field ?? ''}: ${(read as ReadFault).message}`
}

export interface TestRecord {
  readonly key?: string | null
  readonly value?: string | null
  readonly headers?: string | null
}

/** Records of partition 3, offsets from 100 on, a second apart. */
export function recordsOf(all: readonly TestRecord[]): Records {
  const parts: Buffer[] = []
  let length = 0
  const ranges = (texts: readonly (string | null | undefined)[]): [Int32Array, Int32Array] => {
    const starts = new Int32Array(texts.length).fill(-1)
    const ends = new Int32Array(texts.length).fill(-1)
    texts.forEach((text, i) => {
      if (text === null || text === undefined) return
      const bytes = Buffer.from(text)
      starts[i] = length
      ends[i] = length += bytes.length
      parts.push(bytes)
    })
    return [starts, ends]
  }
  const [keyStarts, keyEnds] = ranges(all.map(({ key }) => key))
  const [valueStarts, valueEnds] = ranges(all.map(({ value }) => value))
  const [headerStarts, headerEnds] = ranges(all.map(({ headers }) => headers))
  return {
    bytes: Buffer.concat(parts),
    count: all.length,
    keyStarts,
    keyEnds,
    valueStarts,
    valueEnds,
    headerStarts,
    headerEnds,
    timesUs: Float64Array.from(all, (_, i) => 1_700_000_000_000_000 + i * 1_000_000),
    offsets: Float64Array.from(all, (_, i) => 100 + i),
    partition: 3,
  }
}
