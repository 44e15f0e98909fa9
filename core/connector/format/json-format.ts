/**
 * JsonFormat: objects, read by the schema straight into columns. Members are found by name in any order;
 * those that are no column are passed over, a name that comes twice counts the last time (as JSON.parse
 * has it), a missing member is null. What is not JSON is refused, wherever in the document that is.
 *
 * The document is read once: a value is appended to its column where it stands. json-value.ts says what
 * each type takes.
 */
import type { AnyBuilder } from '../../record/builder.ts'
import type { Field } from '../../record/schema.ts'
import { plansOf, Kind } from './field-plan.ts'
import type { EpochUnits } from './epoch.ts'
import type { ReadFault, ValueFormat } from './format.ts'
import { FieldNames, Places, unknown } from './json-names.ts'
import {
  closeBrace,
  comma,
  endsHere,
  fail,
  failed,
  jsonProblem,
  openBrace,
  quote,
  skipBlanks,
  stringEnd,
  valueEnd,
  valueStart,
} from './json-scan.ts'
import { JsonValueReader, misfit, misfitReason } from './json-value.ts'

export interface JsonOptions {
  /** What numbers in timestamp columns count; null = they are refused. */
  readonly epoch?: EpochUnits | null
  /** A document that is no object is the value of the only column: keys are often bare values. */
  readonly bare?: boolean
}

export class JsonFormat implements ValueFormat {
  readonly fields: readonly Field[]
  readonly #readers: readonly JsonValueReader[]
  readonly #names: FieldNames
  /** What stands before the first value of an object, and before the others. */
  readonly #first = new Places()
  readonly #later = new Places()
  readonly #bare: boolean
  /** Per field: the document in which it was seen last. */
  readonly #seenIn: Int32Array
  #document = 0
  #seen = 0
  /** Fields of this document whose last value does not fit. */
  #misfits: { readonly field: number; readonly message: string }[] = []
  // Field of the member found last, and the place of the one after it.
  #field = unknown
  #place = 0

  constructor(fields: readonly Field[], { epoch = null, bare = false }: JsonOptions = {}) {
    this.fields = fields
    this.#readers = plansOf(fields, epoch).map((plan) => new JsonValueReader(plan))
    this.#names = new FieldNames(fields.map(({ name }) => name))
    this.#seenIn = new Int32Array(fields.length)
    this.#bare = bare && fields.length === 1
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
    if (this.#bare) {
      const at = skipBlanks(bytes, start, end)
      const kind = this.#readers[0]!.plan.kind
      if (at < end && (bytes[at] !== openBrace || kind === Kind.json)) {
        return this.#readBare(bytes, at, end, builders[0]!)
      }
    }
    const at = this.#object(bytes, start, end, builders)
    if (at === failed || (at !== end && !endsHere(bytes, at, end))) return this.#notJson(start)
    if (this.#seen < this.#readers.length) {
      const fault = this.#missing(builders)
      if (fault !== null) return fault
    }
    return this.#misfits.length === 0 ? null : this.#misfitFault()
  }

  /** Where the object ends, or `failed`. */
  #object(bytes: Uint8Array, start: number, end: number, builders: readonly AnyBuilder[]): number {
    this.#begin()
    const document = this.#document
    const seenIn = this.#seenIn
    let at = start
    for (;;) {
      if (at > start && at < end && bytes[at] === closeBrace) return at + 1
      const places = at === start ? this.#first : this.#later
      const place = places.find(bytes, at, end, this.#place)
      let field: number
      if (place >= 0) {
        field = places.fields[place]!
        at += places.patterns[place]!.length
        // What was learned may have had fewer blanks.
        if (at < end && bytes[at]! <= 0x20) at = skipBlanks(bytes, at, end)
        this.#place = places === this.#first ? 0 : place + 1
      } else {
        const next = this.#member(bytes, at, end, places)
        if (next <= 0) return -next
        at = next
        field = this.#field
      }
      if (field === unknown) at = valueEnd(bytes, at, end)
      else {
        const builder = builders[field]!
        if (seenIn[field] === document) this.#takeBack(field, builder)
        else {
          seenIn[field] = document
          this.#seen++
        }
        const last = this.#readers[field]!.read(builder, bytes, at, end)
        at = last === misfit ? this.#setAside({ field, builder }, bytes, at, end) : last
      }
      if (at === failed) return failed
    }
  }

  #begin(): void {
    this.#seen = 0
    this.#place = 0
    if (this.#misfits.length > 0) this.#misfits = []
    if (++this.#document < 0x7fff_ffff) return
    this.#seenIn.fill(0)
    this.#document = 1
  }

  /**
   * Reads as JSON what stands before a value, and learns it. Returns where the value begins, whose field
   * is `#field` then; where the object ends, negative; or `failed`.
   */
  #member(bytes: Uint8Array, from: number, end: number, places: Places): number {
    let at = skipBlanks(bytes, from, end)
    const isFirst = places === this.#first
    if (isFirst) {
      if (at >= end || bytes[at] !== openBrace) return fail('expected an object', at)
      at = skipBlanks(bytes, at + 1, end)
      if (at < end && bytes[at] === closeBrace) return -at - 1
    } else {
      if (at < end && bytes[at] === closeBrace) return -at - 1
      if (at >= end || bytes[at] !== comma) return fail('expected "," or "}"', at)
      at = skipBlanks(bytes, at + 1, end)
    }
    if (at >= end || bytes[at] !== quote) return fail('expected a name in quotes', at)
    const close = stringEnd(bytes, at + 1, end)
    if (close === failed) return failed
    this.#field = this.#names.find(bytes, at + 1, close)
    at = valueStart(bytes, Math.abs(close) + 1, end)
    if (at === failed) return failed
    if (!places.full()) {
      places.learn(this.#place, this.#field, bytes.subarray(from, at))
      if (!isFirst) this.#place++
    }
    return at
  }

  /** A name that came before in this document: its value does not count. */
  #takeBack(field: number, builder: AnyBuilder): void {
    builder.rewind(builder.length - 1)
    this.#misfits = this.#misfits.filter((misfit) => misfit.field !== field)
  }

  /** Null in place of a value that does not fit: the name may come again. Returns where the value ends. */
  #setAside(
    { field, builder }: { readonly field: number; readonly builder: AnyBuilder },
    bytes: Uint8Array,
    at: number,
    end: number,
  ): number {
    const message = misfitReason()
    const last = valueEnd(bytes, at, end)
    if (last === failed) return failed
    // Of a list, elements may have been appended.
    builder.rewind(builder.length)
    builder.appendNull()
    this.#misfits.push({ field, message })
    return last
  }

  /** Null for the members that did not come; a fault where one may not be missing. */
  #missing(builders: readonly AnyBuilder[]): ReadFault | null {
    for (let field = 0; field < this.#readers.length; field++) {
      if (this.#seenIn[field] === this.#document) continue
      const { nullable, name, wanted } = this.#readers[field]!.plan
      if (!nullable) return { field: name, message: `is missing; ${wanted}` }
      builders[field]!.appendNull()
    }
    return null
  }

  #readBare(bytes: Uint8Array, at: number, end: number, builder: AnyBuilder): ReadFault | null {
    const last = this.#readers[0]!.read(builder, bytes, at, end)
    if (last === misfit) {
      const message = misfitReason()
      const value = valueEnd(bytes, at, end)
      if (value === failed || !endsHere(bytes, value, end)) return this.#notJson(at)
      return { field: this.fields[0]!.name, message }
    }
    return last === failed || !endsHere(bytes, last, end) ? this.#notJson(at) : null
  }

  #misfitFault(): ReadFault {
    const { field, message } = this.#misfits[0]!
    return { field: this.fields[field]!.name, message }
  }

  #notJson(start: number): ReadFault {
    return { field: null, message: `not JSON: ${jsonProblem(start)}` }
  }
}
