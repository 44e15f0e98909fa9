/**
 * Messages that are one value, without any syntax around it: TextFormat reads it as its column's type
 * says (cell.ts), BytesFormat keeps the bytes as they are.
 */
import type { AnyBuilder } from '../../record/builder.ts'
import type { BytesBuilder } from '../../record/bytes-builder.ts'
import type { Field } from '../../record/schema.ts'
import type { ReadFault, ValueFormat } from './format.ts'
import type { CellReader } from './cell.ts'
import type { EpochUnits } from './epoch.ts'
import { plansOf } from './field-plan.ts'
import { textCellOf } from './text-cell.ts'

export class TextFormat implements ValueFormat {
  readonly fields: readonly Field[]
  readonly #cell: CellReader
  readonly #fault: ReadFault

  constructor(field: Field, epoch: EpochUnits | null = null) {
    this.fields = [field]
    const plan = plansOf([field], epoch)[0]!
    this.#cell = textCellOf(plan)
    this.#fault = { field: field.name, message: plan.wanted }
  }

  prepare(): Promise<void> {
    return Promise.resolve()
  }

  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    return this.#cell.append(builders[0]!, bytes, start, end) ? null : this.#fault
  }
}

export class BytesFormat implements ValueFormat {
  readonly fields: readonly Field[]

  constructor(name: string) {
    this.fields = [{ name, type: { kind: 'bytes' }, nullable: false }]
  }

  prepare(): Promise<void> {
    return Promise.resolve()
  }

  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    ;(builders[0] as BytesBuilder).append(bytes, start, end)
    return null
  }
}
