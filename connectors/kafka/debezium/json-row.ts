/**
 * JsonRow: the members of one object into their columns' builders. As core/connector/format/json-format.ts
 * reads them (any order, the last of two of one name, missing is null), but by readers that know Connect's
 * spellings, and with an eye for values that were left out.
 */
import {
  closeBrace,
  comma,
  fail,
  failed,
  jsonProblem,
  letterN,
  literalEnd,
  openBrace,
  quote,
  skipBlanks,
  stringEnd,
  valueEnd,
  valueStart,
} from '../../../core/connector/format/json-scan.ts'
import { latin1 } from '../../../core/connector/format/cell.ts'
import type { ReadFault } from '../../../core/connector/format/format.ts'
import { misfit } from '../../../core/connector/format/json-value.ts'
import type { Placeholder } from './placeholder.ts'
import type { RowInto } from './row-into.ts'
import { member, type RowShape } from './row-shape.ts'

export class JsonRow {
  /** Where the object ended that was read last. */
  end = 0
  readonly #placeholder: Placeholder
  /** Per column: the object in which it was seen last. */
  #seenIn = new Int32Array(64)
  #object = 0
  #fault: ReadFault | null = null

  constructor(placeholder: Placeholder) {
    this.#placeholder = placeholder
  }

  /** Reads the object that begins at `start`. A fault leaves some builders longer than others. */
  read(
    shape: RowShape,
    bytes: Uint8Array,
    start: number,
    end: number,
    into: RowInto,
  ): ReadFault | null {
    const { length } = shape.columns
    this.#begin(length)
    const last = this.#members(shape, bytes, start, end, into)
    this.end = last
    if (this.#fault !== null) return this.#fault
    if (last === failed) return { field: null, message: `not JSON: ${jsonProblem(start)}` }
    for (let column = 0; column < length; column++) {
      if (this.#seenIn[column] !== this.#object) into.builders[column]!.appendNull()
    }
    return null
  }

  #begin(columns: number): void {
    this.#fault = null
    if (columns > this.#seenIn.length) this.#seenIn = new Int32Array(columns * 2)
    if (++this.#object < 0x7fff_ffff) return
    this.#seenIn.fill(0)
    this.#object = 1
  }

  #members(shape: RowShape, bytes: Uint8Array, start: number, end: number, into: RowInto): number {
    let at = start
    if (at >= end || bytes[at] !== openBrace) return fail('expected an object', at)
    at = skipBlanks(bytes, at + 1, end)
    if (at < end && bytes[at] === closeBrace) return at + 1
    for (;;) {
      if (at >= end || bytes[at] !== quote) return fail('expected a name in quotes', at)
      const close = stringEnd(bytes, at + 1, end)
      if (close === failed) return failed
      const which = shape.find(bytes, at + 1, close)
      at = valueStart(bytes, Math.abs(close) + 1, end)
      if (at === failed) return failed
      if (which >= 0) at = this.#value(shape, which, bytes, at, end, into)
      else {
        const last = valueEnd(bytes, at, end)
        if (which !== member.unknown && last !== failed) noteMeta(which, bytes, at, last, into)
        at = last
      }
      if (at === failed) return failed
      at = skipBlanks(bytes, at, end)
      if (at < end && bytes[at] === closeBrace) return at + 1
      if (at >= end || bytes[at] !== comma) return fail('expected "," or "}"', at)
      at = skipBlanks(bytes, at + 1, end)
    }
  }

  #value(
    shape: RowShape,
    column: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    into: RowInto,
  ): number {
    if (at >= end) return fail('expected a value', at)
    const builder = into.builders[column]!
    if (this.#seenIn[column] === this.#object) {
      builder.rewind(builder.length - 1)
      into.unchanged[column] = 0
    }
    this.#seenIn[column] = this.#object
    if (bytes[at] === letterN) {
      const last = literalEnd(bytes, at, end)
      if (last !== failed) builder.appendNull()
      return last
    }
    const left = this.#placeholder.json(bytes, at, end)
    if (left > 0) {
      into.leaveOut(column)
      return left
    }
    const { reader, field } = shape.columns[column]!
    const last = reader.json(builder, bytes, at, end)
    if (last === misfit) {
      this.#fault = { field: field.name, message: reader.wanted }
      return failed
    }
    const factor = shape.timeFactors[column]!
    if (factor > 0 && last !== failed) into.timeUs = Number(latin1(bytes, at, last)) * factor
    return last
  }
}

function noteMeta(which: number, bytes: Uint8Array, at: number, end: number, into: RowInto): void {
  const isText = bytes[at] === quote
  const first = bytes[isText ? at + 1 : at] ?? 0
  // Texts are "true" and "false", and so are booleans.
  if (which === member.deleted) into.deleted = first === 0x74
  else if (which === member.op) into.op = isText ? first : 0
  else if (first !== letterN)
    into.timeUs = Number(latin1(bytes, at, end)) * (which === member.timeUs ? 1 : 1000)
}
