/**
 * CsvFormat: one record of CSV, its fields read as their columns' types say (cell.ts). Columns are told
 * by place, or by the names in a header, in any order then.
 *
 * A bare field that is spelled as `nullText` (usually nothing at all) is null; in a text column that may
 * not be null it is that text. A quoted field is never null.
 */
import type { AnyBuilder } from '../../record/builder.ts'
import type { Field } from '../../record/schema.ts'
import type { CellReader } from './cell.ts'
import { byteOrderMark, CsvFields, type CsvSyntax } from './csv-scan.ts'
import type { EpochUnits } from './epoch.ts'
import { Kind, plansOf, type FieldPlan } from './field-plan.ts'
import type { ReadFault, ValueFormat } from './format.ts'
import { textCellOf } from './text-cell.ts'

export interface CsvOptions extends CsvSyntax {
  /** Each value begins with a record of names. Otherwise columns come in the order of the fields. */
  readonly header: boolean
  readonly nullText: string
  readonly epoch: EpochUnits | null
}

export class CsvFormat implements ValueFormat {
  readonly fields: readonly Field[]
  readonly #byName: ReadonlyMap<string, number>
  readonly #plans: readonly FieldPlan[]
  readonly #cells: readonly CellReader[]
  readonly #cellsOfRecord: CsvFields
  readonly #header: boolean
  readonly #quote: number
  readonly #nullText: Uint8Array
  /** Per place in a record: its field; −1 = none of ours. */
  #order: readonly number[]
  /** Fields that no place has. */
  #absent: readonly number[] = []
  /** The header that `#order` is of. */
  #headerBytes: Uint8Array | null = null
  #plain = new Uint8Array(256)

  constructor(fields: readonly Field[], options: CsvOptions) {
    this.fields = fields
    this.#byName = new Map(fields.map(({ name }, index) => [name, index]))
    this.#plans = plansOf(fields, options.epoch)
    this.#cells = this.#plans.map(textCellOf)
    this.#cellsOfRecord = new CsvFields(options)
    this.#header = options.header
    this.#quote = options.quote
    this.#nullText = new TextEncoder().encode(options.nullText)
    this.#order = fields.map((_, index) => index)
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
    let at = start + byteOrderMark(bytes, start, end)
    if (this.#header) {
      const next = this.#cellsOfRecord.read(bytes, at, end)
      if (next < 0) return this.#notCsv()
      const fault = this.#sameHeader(bytes, at, next) ? null : this.useHeader(bytes, at, next)
      if (fault !== null) return fault
      at = next
    }
    const next = this.#cellsOfRecord.read(bytes, at, end)
    if (next < 0) return this.#notCsv()
    if (!onlyNewlines(bytes, next, end)) {
      return { field: null, message: 'not one record of CSV: another one follows' }
    }
    return this.#row(bytes, builders)
  }

  /**
   * Takes the order of the columns from the header bytes[start, end), for the values that are read from
   * now on. Names that are no column are passed over.
   */
  useHeader(bytes: Uint8Array, start: number, end: number): ReadFault | null {
    const record = this.#cellsOfRecord
    if (record.read(bytes, start, end) < 0) return this.#notCsv()
    const order: number[] = []
    const found = new Set<number>()
    for (let place = 0; place < record.count; place++) {
      const [from, to] = this.#textOf(bytes, place)
      const source = record.quoted[place] === 2 ? this.#plain : bytes
      const name = new TextDecoder().decode(source.subarray(from, to)).trim()
      const field = this.#byName.get(name) ?? -1
      if (found.has(field)) return { field: name, message: 'stands twice in the header' }
      if (field >= 0) found.add(field)
      order.push(field)
    }
    const absent = this.fields.map((_, field) => field).filter((field) => !found.has(field))
    const missing = absent.map((field) => this.fields[field]!).find(({ nullable }) => !nullable)
    if (missing !== undefined) return { field: missing.name, message: 'is not in the header' }
    this.#order = order
    this.#absent = absent
    this.#headerBytes = bytes.slice(start, end)
    return null
  }

  #row(bytes: Uint8Array, builders: readonly AnyBuilder[]): ReadFault | null {
    const { count } = this.#cellsOfRecord
    const order = this.#order
    if (count !== order.length) {
      const message = `not CSV of these columns: ${count} ${count === 1 ? 'field' : 'fields'} where ${order.length} are expected`
      return { field: null, message }
    }
    for (let place = 0; place < count; place++) {
      const field = order[place]!
      if (field < 0) continue
      const fault = this.#cell(bytes, place, field, builders[field]!)
      if (fault !== null) return fault
    }
    for (const field of this.#absent) builders[field]!.appendNull()
    return null
  }

  #cell(bytes: Uint8Array, place: number, field: number, builder: AnyBuilder): ReadFault | null {
    const record = this.#cellsOfRecord
    const plan = this.#plans[field]!
    const start = record.starts[place]!
    const end = record.ends[place]!
    const kind = record.quoted[place]!
    if (kind === 0 && this.#saysNull(bytes, start, end)) {
      if (plan.nullable) {
        builder.appendNull()
        return null
      }
      if (plan.kind !== Kind.text) {
        return { field: plan.name, message: `is null; ${plan.wanted}` }
      }
    }
    if (kind < 2) {
      return this.#cells[field]!.append(builder, bytes, start, end) ? null : misfit(plan)
    }
    const [from, to] = this.#textOf(bytes, place)
    return this.#cells[field]!.append(builder, this.#plain, from, to) ? null : misfit(plan)
  }

  /** Where the text of a field is: in `bytes`, or in `#plain` where it has doubled quotes. */
  #textOf(bytes: Uint8Array, place: number): [from: number, to: number] {
    const record = this.#cellsOfRecord
    const [start, end] = [record.starts[place]!, record.ends[place]!]
    if (record.quoted[place] !== 2) return [start, end]
    if (this.#plain.length < end - start) this.#plain = new Uint8Array((end - start) * 2)
    let to = 0
    for (let at = start; at < end; at++) {
      this.#plain[to++] = bytes[at]!
      if (bytes[at] === this.#quote) at++
    }
    return [0, to]
  }

  #saysNull(bytes: Uint8Array, start: number, end: number): boolean {
    const text = this.#nullText
    if (end - start !== text.length) return false
    for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false
    return true
  }

  #sameHeader(bytes: Uint8Array, start: number, end: number): boolean {
    const header = this.#headerBytes
    if (header === null || header.length !== end - start) return false
    for (let i = 0; i < header.length; i++) if (bytes[start + i] !== header[i]) return false
    return true
  }

  #notCsv(): ReadFault {
    return { field: null, message: `not CSV: ${this.#cellsOfRecord.problem}` }
  }
}

function misfit({ name, wanted }: FieldPlan): ReadFault {
  return { field: name, message: wanted }
}

function onlyNewlines(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0x0a && bytes[at] !== 0x0d) return false
  return true
}
