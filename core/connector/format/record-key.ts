/**
 * KeyReader: the columns that come from a record's key. Those that only the key has are read from every
 * record; those that the value has too, only where it has null there, and in tombstones.
 */
import { builderFor, type AnyBuilder } from '../../record/builder.ts'
import type { Field } from '../../record/schema.ts'
import type { ReadFault, ValueFormat } from './format.ts'
import type { RecordColumns } from './record-columns.ts'
import type { Records } from './records.ts'

export class KeyReader {
  readonly #format: ValueFormat | null
  readonly #columns: RecordColumns
  readonly #builders: readonly AnyBuilder[]
  /** Takes what the key says of columns that the value has filled already; one a field of the key. */
  readonly #aside: readonly AnyBuilder[]
  readonly #targets: AnyBuilder[]
  /** Key columns that may be null after the value was read; and those whose value always has them. */
  readonly #open: readonly number[]
  readonly #ofValue: readonly number[]
  readonly #onlyInKey: readonly number[]

  /** `builders`: one a column of the topic. `format` has fields, where there is one. */
  constructor(
    format: ValueFormat | null,
    columns: RecordColumns,
    valueFields: readonly Field[],
    builders: readonly AnyBuilder[],
  ) {
    const { schema, keyTargets, valueCount } = columns
    this.#format = format
    this.#columns = columns
    this.#builders = builders
    this.#aside = (format?.fields ?? []).map((field) => builderFor(field.type))
    this.#targets = [...this.#aside]
    this.#ofValue = schema.key.filter((column) => column < valueCount)
    this.#open = schema.key.filter((column) => valueFields[column]?.nullable !== false)
    this.#onlyInKey = [...keyTargets].filter((column) => column >= valueCount)
  }

  /** Whether every key column of a record without value is to be had. */
  get readsTombstones(): boolean {
    const { schema, keyTargets } = this.#columns
    if (schema.key.length === 0) return false
    return this.#ofValue.every((column) => keyTargets.includes(column))
  }

  /**
   * Fills what is missing of row `row`, whose value's columns were appended; the caller appends the
   * extra ones before. Fails as ValueFormat.read, or where a key column stays null.
   */
  fill(records: Records, index: number, row: number, tombstone: boolean): ReadFault | null {
    if (this.#format !== null && (this.#onlyInKey.length > 0 || this.#lacks(row, tombstone))) {
      const fault = this.#read(this.#format, records, index, row)
      if (fault !== null) return fault
    }
    for (const column of this.#open) {
      if (!this.#builders[column]!.isNullAt(row)) continue
      const { name } = this.#columns.schema.fields[column]!
      return { field: name, message: 'a key column, is null or missing in value and key' }
    }
    return null
  }

  #lacks(row: number, tombstone: boolean): boolean {
    if (tombstone) return true
    for (const column of this.#open) {
      if (column < this.#columns.valueCount && this.#builders[column]!.isNullAt(row)) return true
    }
    return false
  }

  #read(format: ValueFormat, records: Records, index: number, row: number): ReadFault | null {
    const { keyTargets, valueCount } = this.#columns
    const start = records.keyStarts[index]!
    if (start < 0) {
      for (const column of this.#onlyInKey) this.#builders[column]!.appendNull()
      return null
    }
    for (let i = 0; i < keyTargets.length; i++) {
      const builder = this.#builders[keyTargets[i]!]!
      const wanted = keyTargets[i]! >= valueCount || builder.isNullAt(row)
      if (wanted) builder.rewind(row)
      this.#targets[i] = wanted ? builder : this.#aside[i]!
    }
    const fault = format.read(records.bytes, start, records.keyEnds[index]!, this.#targets)
    for (const builder of this.#aside) builder.rewind(0)
    return fault
  }
}
