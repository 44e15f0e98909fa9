/**
 * RecordReader: the fields of one record into one builder each, by a plan of union-fields.ts. Used for
 * whole values, and for the records within an envelope.
 *
 *   record = field*, in the order of the writer's schema, nothing between them
 */
import type { ReadFault } from '../../../core/connector/format/format.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import { AvroInput } from './input.ts'
import { readValue } from './readers.ts'
import type { ReadPlan } from './union-fields.ts'

export class RecordReader {
  /** Defaults are read from bytes of their own. */
  readonly #defaults = new AvroInput()

  /** Reads from where the input is, and leaves it behind the record. */
  read(input: AvroInput, plan: ReadPlan, builders: readonly AnyBuilder[]): ReadFault | null {
    const { steps, missing } = plan
    for (let i = 0; i < steps.length; i++) {
      const { reader, name, index } = steps[i]!
      if (reader === null) {
        return {
          field: name,
          message: 'its schema wrote it as a type that its column does not take',
        }
      }
      readValue(input, builders[index]!, reader)
      if (input.fault !== null) return { field: name, message: input.fault }
    }
    for (let i = 0; i < missing.length; i++) {
      const { index, value } = missing[i]!
      if (value === null) builders[index]!.appendNull()
      else {
        this.#defaults.begin(value.bytes, 0, value.bytes.length)
        readValue(this.#defaults, builders[index]!, value.reader)
        if (this.#defaults.fault !== null)
          return { field: null, message: `a default: ${this.#defaults.fault}` }
      }
    }
    return null
  }
}
