/**
 * Rows as `tap` prints them: a table for people, a JSON array or JSON lines for programs.
 *
 *   {"offset":7,"op":"update","weight":1,"time":"2026-01-31T12:00:00.000000Z","row":{…}}
 *   {"offset":8,"truncate":true}
 *
 * A text that is not UTF-8 has no form in JSON: its row has "lossy":true, and all its values as the table's texts,
 * with U+FFFD in place of what is none.
 */
import type { Batch } from '../core/record/batch.ts'
import { opNames } from '../core/record/batch.ts'
import { isoTimestamp, jsonRows, type JsonColumn } from '../core/record/json.ts'
import { textAt } from '../core/record/value.ts'
import { oneLine } from '../core/observe/format.ts'
import { print } from './output.ts'

export type TapFormat = 'table' | 'json' | 'jsonl'

export interface RowPrinter {
  /** Rows `from` up to `to` of a batch whose first row has `baseOffset`. */
  rows(batch: Batch, baseOffset: number, from: number, to: number): void
  truncate(offset: number): void
  end(): void
}

export function rowPrinter(topic: string, format: TapFormat): RowPrinter {
  if (format === 'table') return tablePrinter(topic)
  return format === 'json' ? jsonPrinter() : linePrinter()
}

function linePrinter(): RowPrinter {
  return {
    rows: (batch, baseOffset, from, to) => eachRow(batch, baseOffset, [from, to], print),
    truncate: (offset) => print(JSON.stringify({ offset, truncate: true })),
    end: () => {},
  }
}

function jsonPrinter(): RowPrinter {
  let any = false
  const item = (text: string): void => {
    print(`${any ? ',' : '['}${text}`)
    any = true
  }
  return {
    rows: (batch, baseOffset, from, to) => eachRow(batch, baseOffset, [from, to], item),
    truncate: (offset) => item(JSON.stringify({ offset, truncate: true })),
    end: () => print(any ? ']' : '[]'),
  }
}

function eachRow(
  batch: Batch,
  baseOffset: number,
  [from, to]: readonly [number, number],
  give: (text: string) => void,
): void {
  const rowJson = jsonRows(batch)
  for (let row = from; row < to; row++) {
    const { op, time } = changeOf(batch, row)
    const head = JSON.stringify({ offset: baseOffset + row, op, weight: batch.weights[row], time })
    give(`${head.slice(0, -1)},${rowMember(batch, row, rowJson)}}`)
  }
}

function rowMember(batch: Batch, row: number, rowJson: JsonColumn): string {
  try {
    return `"row":${rowJson(row)}`
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const texts = batch.schema.fields.map(({ name, type }, index) => {
      return [name, textAt(type, batch.columns[index]!, row)] as const
    })
    return `"lossy":true,"row":${JSON.stringify(Object.fromEntries(texts))}`
  }
}

const cellWidthMax = 40

/** Widths come from the rows at hand; a later row that is wider is printed in full width, unaligned. */
function tablePrinter(topic: string): RowPrinter {
  let schemaId: string | null = null
  let widths: number[] = []
  const line = (cells: readonly string[]): void =>
    print(
      cells
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  return {
    rows: (batch, baseOffset, from, to) => {
      const heads = ['offset', 'op', 'time', ...batch.schema.fields.map((field) => field.name)]
      const table: string[][] = []
      for (let row = from; row < to; row++) table.push(cellsOf(batch, row, baseOffset + row))
      if (schemaId !== batch.schema.id) {
        schemaId = batch.schema.id
        widths = heads.map((head) => oneLine(head).length)
        print(`${topic} (${batch.schema.changelog}, key: ${keyOf(batch)})`)
        widen(widths, table)
        line(heads.map(oneLine))
        line(widths.map((width) => '-'.repeat(width)))
      } else widen(widths, table)
      for (const cells of table) line(cells)
    },
    truncate: (offset) => print(`${String(offset)}  truncate: all rows before this one are gone`),
    end: () => {},
  }
}

function widen(widths: number[], table: readonly (readonly string[])[]): void {
  for (const cells of table) {
    for (const [index, cell] of cells.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    }
  }
}

function cellsOf(batch: Batch, row: number, offset: number): string[] {
  const { op, time } = changeOf(batch, row)
  const values = batch.schema.fields.map((field, index) =>
    cell(textAt(field.type, batch.columns[index]!, row)),
  )
  return [String(offset), batch.weights[row]! < 0 ? `${op} (−)` : op, time, ...values]
}

/** Values come from outside: no control character of theirs may reach the terminal. */
function cell(text: string | null): string {
  if (text === null) return 'null'
  const clean = oneLine(text)
  return clean.length <= cellWidthMax ? clean : `${clean.slice(0, cellWidthMax - 1)}…`
}

function changeOf(batch: Batch, row: number): { readonly op: string; readonly time: string } {
  return {
    op: opNames[batch.ops[row]!] ?? 'unknown',
    time: isoTimestamp(batch.timesUs[row]!, 'Z'),
  }
}

function keyOf({ schema }: Batch): string {
  return schema.key.map((index) => schema.fields[index]!.name).join(', ') || 'none'
}
