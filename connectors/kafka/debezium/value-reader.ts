/**
 * ValueReader: one column's values as Kafka Connect's converters write them, in JSON and in Avro, straight
 * into its builder. Hot: nothing is allocated for the usual spellings.
 *
 *                 JSON                                     Avro
 *   numbers       a number                                 int, long, float, double
 *   string        a text                                   string
 *   bytes         a text in base64                         bytes, fixed
 *   array         an array                                 array
 *   struct, map   an object; a map whose keys are no       record, map
 *                 texts: an array of [key, value]
 *
 * org.apache.kafka.connect.json.JsonConverter (Kafka 4.3), io.confluent.connect.avro.AvroData.
 */
import { isUtf8 } from '../../../core/connector/format/cell-text.ts'
import type { CellReader } from '../../../core/connector/format/cell.ts'
import type { FieldPlan } from '../../../core/connector/format/field-plan.ts'
import {
  closeBracket,
  comma,
  fail,
  failed,
  letterN,
  literalEnd,
  openBrace,
  openBracket,
  quote,
  skipBlanks,
  stringEnd,
  valueEnd,
} from '../../../core/connector/format/json-scan.ts'
import { unescaped, unescapedLength } from '../../../core/connector/format/json-unescape.ts'
import { JsonValueReader, misfit } from '../../../core/connector/format/json-value.ts'
import type { AnyBuilder, BoolBuilder, NumberBuilder } from '../../../core/record/builder.ts'
import type { ListBuilder } from '../../../core/record/list-builder.ts'
import type { AvroInput } from '../avro/input.ts'
import { readJson } from '../avro/readers.ts'
import type { AvroType } from '../avro/types.ts'

export { misfit }

export interface ValueReader {
  /** What a value that does not fit should have been: `expected int16, …`. */
  readonly wanted: string
  /**
   * Appends the value that begins at `at` and is not null; returns where it ends, `failed` (json-scan.ts)
   * or `misfit`, when elements of a list may have been appended and nothing else.
   */
  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number
  /** Appends the value where the input is, which was written as `type`, no union; or fails the input. */
  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void
}

/** As `ValueReader.avro`, with a union around the value: null, or the value itself. */
export function readAvro(
  reader: ValueReader,
  input: AvroInput,
  builder: AnyBuilder,
  type: AvroType,
): void {
  if (type.kind !== 'union') {
    if (type.kind === 'null') return builder.appendNull()
    return reader.avro(input, builder, type)
  }
  const start = input.at
  const branch = type.branches[input.long()]
  if (branch === undefined) input.fail('a union has no such branch')
  else if (branch.kind === 'null') builder.appendNull()
  else if (reader instanceof AnyReader) {
    input.at = start
    reader.avro(input, builder, type)
  } else reader.avro(input, builder, branch)
}

/** Texts that a cell reads: text, uuid, times with a zone, numbers as text. */
export class TextReader implements ValueReader {
  readonly wanted: string
  readonly #cell: CellReader

  constructor(cell: CellReader, wanted: string) {
    this.#cell = cell
    this.wanted = wanted
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== quote) return misfit
    const close = stringEnd(bytes, at + 1, end)
    if (close === failed) return failed
    if (close > 0) return this.#cell.append(builder, bytes, at + 1, close) ? close + 1 : misfit
    const text = unescaped(bytes, at + 1, -close)
    const fits = text !== null && this.#cell.append(builder, text, 0, unescapedLength())
    return fits ? 1 - close : misfit
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind === 'enum') {
      const text = type.texts[input.int()]
      if (text === undefined) input.fail('an enum has no such symbol')
      else if (!this.#cell.append(builder, text, 0, text.length)) input.fail(this.wanted)
      return
    }
    if (type.kind !== 'string') return void input.fail(this.wanted)
    const start = input.sized()
    if (input.fault !== null) return
    const { bytes, at } = input
    if (!isUtf8(bytes, start, at) || !this.#cell.append(builder, bytes, start, at))
      input.fail(this.wanted)
  }
}

export class BoolReader implements ValueReader {
  readonly wanted = 'expected bool, true or false'

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const truth = bytes[at] === 0x74
    if (!truth && bytes[at] !== 0x66) return misfit
    const last = literalEnd(bytes, at, end)
    if (last !== failed) (builder as BoolBuilder).append(truth ? 1 : 0)
    return last
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind !== 'boolean') return void input.fail(this.wanted)
    ;(builder as BoolBuilder).append(input.boolean())
  }
}

export class FloatReader implements ValueReader {
  readonly wanted: string
  readonly #json: JsonValueReader
  readonly #isSingle: boolean

  constructor(plan: FieldPlan, isSingle: boolean) {
    this.wanted = plan.wanted
    this.#json = new JsonValueReader(plan)
    this.#isSingle = isSingle
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    return this.#json.read(builder, bytes, at, end)
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind === 'float') (builder as NumberBuilder).append(input.float())
    else if (type.kind === 'double' && !this.#isSingle)
      (builder as NumberBuilder).append(input.double())
    else input.fail(this.wanted)
  }
}

/** Objects, and whatever else has no columns of its own: as JSON. */
export class AnyReader implements ValueReader {
  readonly wanted = 'expected json, any value'

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const last = valueEnd(bytes, at, end)
    if (last !== failed && 'append' in builder)
      (builder.append as AppendBytes).call(builder, bytes, at, last)
    return last
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    readJson(input, builder, { ...noColumn, type })
  }
}
type AppendBytes = (this: AnyBuilder, bytes: Uint8Array, start: number, end: number) => void
const noColumn = {
  read: readJson,
  nullBranch: -1,
  valueBranch: -1,
  element: null,
  scaleBy: 0,
  scale: 0,
  precision: 0,
  isLossless: true,
}

export class ListReader implements ValueReader {
  readonly wanted = 'expected a list'
  readonly #element: ValueReader

  constructor(element: ValueReader) {
    this.#element = element
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== openBracket) return misfit
    const child = (builder as ListBuilder).child as AnyBuilder
    at = skipBlanks(bytes, at + 1, end)
    if (at >= end || bytes[at] !== closeBracket) {
      for (;;) {
        if (at >= end) return fail('expected a value', at)
        if (bytes[at] === letterN) {
          at = literalEnd(bytes, at, end)
          if (at !== failed) child.appendNull()
        } else at = this.#element.json(child, bytes, at, end)
        if (at <= 0) return at
        at = skipBlanks(bytes, at, end)
        const byte = at < end ? bytes[at]! : 0
        if (byte === closeBracket) break
        if (byte !== comma) return fail('expected "," or "]"', at)
        at = skipBlanks(bytes, at + 1, end)
      }
    }
    ;(builder as ListBuilder).endList()
    return at + 1
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind !== 'array') return void input.fail(this.wanted)
    const child = (builder as ListBuilder).child as AnyBuilder
    for (let left = input.block(); left > 0; left = input.block()) {
      for (; left > 0 && input.fault === null; left--)
        readAvro(this.#element, input, child, type.items)
    }
    if (input.fault === null) (builder as ListBuilder).endList()
  }
}

/** Where nobody says how values are written: by what stands there, a text, an object or neither. JSON only. */
export class LooseReader implements ValueReader {
  readonly wanted: string
  readonly #text: ValueReader
  readonly #object: ValueReader
  readonly #rest: ValueReader

  constructor({ text, object, rest }: LooseReaders) {
    this.#text = text
    this.#rest = rest
    this.#object = object ?? rest
    this.wanted = rest.wanted
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const byte = bytes[at]
    const reader = byte === quote ? this.#text : byte === openBrace ? this.#object : this.#rest
    return reader.json(builder, bytes, at, end)
  }

  avro(input: AvroInput): void {
    input.fail(this.wanted)
  }
}

export interface LooseReaders {
  readonly text: ValueReader
  /** Absent: as `rest`. */
  readonly object?: ValueReader
  readonly rest: ValueReader
}
