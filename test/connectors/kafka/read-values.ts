/** Values of a format → rows as a JSON reader sees them, or the fault; never both. For tests of formats. */
import assert from 'node:assert/strict'
import type { ReadFault, ValueFormat } from '../../../core/connector/format/format.ts'
import { makeBatch, type Batch } from '../../../core/record/batch.ts'
import { builderFor } from '../../../core/record/builder.ts'
import { jsonRows } from '../../../core/record/json.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { typeName } from '../../../core/record/types.ts'

export type Row = Readonly<Record<string, unknown>>

export interface ReadValues {
  readonly batch: Batch
  readonly rows: readonly Row[]
  readonly faults: readonly ReadFault[]
}

/** Reads values one after the other, each from the middle of larger memory; those at fault leave no row. */
export function readValues(format: ValueFormat, values: readonly Uint8Array[]): ReadValues {
  const fields = format.fields!
  const builders = fields.map(({ type }) => builderFor(type))
  const faults: ReadFault[] = []
  let length = 0
  for (const value of values) {
    const around = Buffer.concat([Buffer.from([0xff, 0x01]), value, Buffer.from([0x02, 0x00])])
    const fault = format.read(around, 2, 2 + value.length, builders)
    if (fault === null) length++
    else {
      faults.push(fault)
      for (const builder of builders) builder.rewind(length)
    }
    for (const builder of builders) assert.equal(builder.length, length, 'one value a field')
  }
  const batch = makeBatch(
    makeSchema(fields, [], 'append'),
    builders.map((builder) => builder.finish()),
    new Int32Array(length).fill(1),
    new Uint8Array(length),
    new Float64Array(length),
  )
  const row = jsonRows(batch)
  const rows = Array.from({ length }, (_, i) => JSON.parse(row(i)) as Row)
  return { batch, rows, faults }
}

/** The only row of one value; throws where it is at fault. */
export function readOne(format: ValueFormat, value: Uint8Array): Row {
  const { rows, faults } = readValues(format, [value])
  assert.deepEqual(faults, [])
  return rows[0]!
}

/** The message of the fault of one value that has to have one. */
export function faultOf(format: ValueFormat, value: Uint8Array): string {
  const { faults } = readValues(format, [value])
  assert.equal(faults.length, 1, 'a fault')
  return `${faults[0]!.field ?? ''}: ${faults[0]!.message}`
}

/** Fields as people write them: `{id: 'int64', at: 'timestamptz?'}`. */
export function fieldTexts(format: ValueFormat): Readonly<Record<string, string>> {
  const entries = format.fields!.map(({ name, type, nullable }): [string, string] => [
    name,
    `${typeName(type)}${nullable ? '?' : ''}`,
  ])
  return Object.fromEntries(entries)
}

/** Every truncation and every bit flip of a value ends in a row or a fault, and never in a throw. */
export function attack(format: ValueFormat, value: Uint8Array): void {
  const broken: Uint8Array[] = []
  for (let length = 0; length < value.length; length++) broken.push(value.slice(0, length))
  for (let bit = 0; bit < value.length * 8; bit++) {
    const flipped = value.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    broken.push(flipped)
  }
  const { rows, faults } = readValues(format, broken)
  assert.equal(rows.length + faults.length, broken.length)
}
