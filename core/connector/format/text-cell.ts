/** How a column's values are read where there is only text, and no JSON around it: CSV, whole messages. */
import type { AnyBuilder } from '../../record/builder.ts'
import type { CellReader } from './cell.ts'
import type { FieldPlan } from './field-plan.ts'
import { endsHere, skipBlanks } from './json-scan.ts'
import { JsonValueReader } from './json-value.ts'

export function textCellOf(plan: FieldPlan): CellReader {
  const { cell, epoch } = plan
  if (cell === null) return new JsonCell(plan)
  return epoch === null ? cell : new EitherCell(epoch, cell)
}

/** Columns that only JSON can say (json, list): the text is a JSON document. */
class JsonCell implements CellReader {
  readonly #value: JsonValueReader

  constructor(plan: FieldPlan) {
    this.#value = new JsonValueReader(plan)
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const row = builder.length
    const last = this.#value.read(builder, bytes, skipBlanks(bytes, start, end), end)
    if (last > 0 && endsHere(bytes, last, end)) return true
    builder.rewind(row)
    return false
  }
}

/** Numbers that stand for a time, and times as text. */
class EitherCell implements CellReader {
  readonly #first: CellReader
  readonly #second: CellReader

  constructor(first: CellReader, second: CellReader) {
    this.#first = first
    this.#second = second
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    return (
      this.#first.append(builder, bytes, start, end) ||
      this.#second.append(builder, bytes, start, end)
    )
  }
}
