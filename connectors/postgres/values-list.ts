/**
 * Arrays → lists. The source's text is kept beside, because one value of several dimensions or with
 * its own bounds turns the batch's whole column into exact texts (core/record/column.ts).
 *
 *   array   = [ bounds '=' ] '{' [ element { ',' element } ] '}'
 *   bounds  = '[' int ':' int ']' { '[' int ':' int ']' }
 *   element = array | 'NULL' | '"' { character | '\' character } '"' | characters without quotes
 *
 * PostgreSQL 18 documentation, 8.15.6; src/backend/utils/adt/arrayfuncs.c, array_out.
 */
import type { ColumnBuilder } from '../../core/record/validity.ts'
import { ListBuilder } from '../../core/record/list-builder.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { badValue, type ValueDecoder } from './value-decoder.ts'

const quote = 0x22
const comma = 0x2c
const bracket = 0x5b
const backslash = 0x5c
const open = 0x7b
const close = 0x7d

export class ListDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder: ListBuilder
  readonly #element: ValueDecoder
  #unescaped = new Uint8Array(256)

  constructor(type: LogicalType, element: ValueDecoder) {
    this.type = type
    this.#element = element
    this.builder = new ListBuilder<ColumnBuilder>(element.builder)
  }

  append(source: Uint8Array, start: number, end: number): void {
    const { builder } = this
    builder.keepText(source, start, end)
    if (!builder.exact) {
      const first = source[start]
      if (first === bracket || source[start + 1] === open) builder.makeExact()
      else if (first === open && source[end - 1] === close)
        this.#elements(source, start + 1, end - 1)
      else throw badValue(this.type)
    }
    builder.endList()
  }

  appendNull(): void {
    this.builder.appendNull()
  }

  /** The elements between the braces. */
  #elements(source: Uint8Array, start: number, end: number): void {
    if (start === end) return
    let at = start
    while (true) {
      if (source[at] === quote) at = this.#quoted(source, at + 1, end)
      else {
        const from = at
        while (at < end && source[at] !== comma) at++
        if (isNullWord(source, from, at)) this.#element.appendNull()
        else this.#element.append(source, from, at)
      }
      if (at === end) return
      if (source[at] !== comma) throw badValue(this.type)
      at++
    }
  }

  /** One element whose opening quote stands before `start`; returns the place after its closing one. */
  #quoted(source: Uint8Array, start: number, end: number): number {
    let at = start
    let escapes = 0
    for (; at < end && source[at] !== quote; at++) {
      if (source[at] === backslash) {
        escapes++
        at++
      }
    }
    if (at >= end) throw badValue(this.type)
    if (escapes === 0) this.#element.append(source, start, at)
    else {
      const bytes = at - start - escapes
      if (bytes > this.#unescaped.length) this.#unescaped = new Uint8Array(bytes * 2)
      let to = 0
      for (let from = start; from < at; from++) {
        if (source[from] === backslash) from++
        this.#unescaped[to++] = source[from]!
      }
      this.#element.append(this.#unescaped, 0, bytes)
    }
    return at + 1
  }
}

/** NULL in any case, as array_in reads it; array_out quotes texts that look like it. */
function isNullWord(source: Uint8Array, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    (source[start]! | 0x20) === 0x6e &&
    (source[start + 1]! | 0x20) === 0x75 &&
    (source[start + 2]! | 0x20) === 0x6c &&
    (source[start + 3]! | 0x20) === 0x6c
  )
}
