/** AvroRow: the fields of one Avro record into their columns' builders, in the order of its schema. */
import type { ReadFault } from '../../../core/connector/format/format.ts'
import type { AvroInput } from '../avro/input.ts'
import { skipValue } from '../avro/skip.ts'
import type { AvroRecord, AvroType } from '../avro/types.ts'
import type { Placeholder } from './placeholder.ts'
import type { RowInto } from './row-into.ts'
import { member, type RowShape } from './row-shape.ts'
import { readAvro } from './value-reader.ts'

export class AvroRow {
  readonly #placeholder: Placeholder

  constructor(placeholder: Placeholder) {
    this.#placeholder = placeholder
  }

  /** Reads from where the input is; `shape` is of this record. */
  read(shape: RowShape, record: AvroRecord, input: AvroInput, into: RowInto): ReadFault | null {
    const { fields } = record
    for (let i = 0; i < fields.length; i++) {
      const { type, name } = fields[i]!
      const which = shape.members[i]!
      if (which >= 0) this.#value(shape, which, input, type, into)
      else noteMeta(which, input, type, into)
      if (input.fault !== null) return { field: name, message: input.fault }
    }
    return null
  }

  #value(shape: RowShape, column: number, input: AvroInput, type: AvroType, into: RowInto): void {
    const start = input.at
    if (this.#isLeftOut(input, type)) return into.leaveOut(column)
    input.at = start
    readAvro(shape.columns[column]!.reader, input, into.builders[column]!, type)
    const factor = shape.timeFactors[column]!
    if (factor === 0 || input.fault !== null) return
    const end = input.at
    input.at = start
    const count = longOf(input, type)
    if (!Number.isNaN(count)) into.timeUs = count * factor
    input.at = end
  }

  #isLeftOut(input: AvroInput, type: AvroType): boolean {
    const branch = type.kind === 'union' ? type.branches[input.long()] : type
    const { kind } = branch ?? { kind: 'null' }
    if (kind !== 'string' && kind !== 'bytes' && kind !== 'array' && kind !== 'map') return false
    const end = this.#placeholder.avro(input)
    if (end > 0) input.at = end
    return end > 0
  }
}

/** NaN: null, or no integer; the input is anywhere then. */
export function longOf(input: AvroInput, type: AvroType): number {
  const branch = type.kind === 'union' ? type.branches[input.long()] : type
  if (branch?.kind !== 'long' && branch?.kind !== 'int') return NaN
  const value = input.long()
  return Number.isNaN(value) ? Number(input.wide) : value
}

function noteMeta(which: number, input: AvroInput, type: AvroType, into: RowInto): void {
  const start = input.at
  skipValue(input, type)
  if (which === member.unknown || input.fault !== null) return
  const end = input.at
  input.at = start
  const branch = type.kind === 'union' ? type.branches[input.long()] : type
  if (branch?.kind === 'boolean') into.deleted = input.boolean() === 1
  else if (branch?.kind === 'string') {
    const first = input.bytes[input.sized()] ?? 0
    if (which === member.deleted) into.deleted = first === 0x74
    else into.op = first
  }
  input.at = end
}
