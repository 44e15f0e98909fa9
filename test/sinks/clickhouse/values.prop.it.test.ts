/**
 * Any batch in, the same values out of the real engine, or the row refused (invariant 9). What is
 * expected is worked out from the value's exact text, not by the code under test.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Batch } from '../../../core/record/batch.ts'
import type { Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { bytesAt, hex, textAt } from '../../../core/record/value.ts'
import { quoteIdentifier } from '../../../sinks/clickhouse/identifiers.ts'
import { anyBatch } from '../../support/batches.ts'
import { openSink, send, clickhouseOrSkip } from './harness.ts'

const refusedHere = Symbol('refused')
type Expected = string | null | typeof refusedHere

/** The value as the reading expression below shows it. */
function expectedValue(type: LogicalType, column: Column, row: number): Expected {
  const text = textAt(type, column, row)
  if (text === null) return null
  switch (type.kind) {
    case 'bool':
      return text === 't' ? 'true' : 'false'
    case 'float32':
      return String(Math.fround(Number(text)))
    case 'float64':
      return String(Number(text))
    case 'time': {
      const [hours, minutes, seconds] = text.split(':')
      return String(
        Math.round((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6),
      )
    }
    case 'date':
      return inRange(text) ? text : refusedHere
    case 'timestamp':
    case 'timestamptz': {
      const plain = text.replace('+00', '')
      return inRange(plain)
        ? plain
            .replace(/\.(\d+)$/, (_, digits: string) => `.${digits.padEnd(6, '0')}`)
            .replace(/:\d\d$/, '$&.000000')
        : refusedHere
    }
    case 'decimal':
      return type.precision === null
        ? hex(Buffer.from(text))
        : decimalText(text, type.precision, type.scale ?? 0)
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'uuid':
      return text
    case 'bytes':
      return hex(bytesAt(column, row))
    case 'text':
    case 'json':
    case 'other':
      return hex(bytesAt(column, row))
    case 'list':
    case 'interval':
      return hex(Buffer.from(text))
  }
}

/** The years 1 to 9999, which the engine of the tests holds. */
function inRange(text: string): boolean {
  return /^\d{4}-/.test(text) && !text.endsWith('BC')
}

function decimalText(text: string, precision: number, scale: number): Expected {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null) return refusedHere
  const whole = match[2]!.replace(/^0+/, '')
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  const digits = Math.max(precision, scale)
  if (fraction.length > scale || whole.length > digits - scale) return refusedHere
  const shown = `${whole === '' ? '0' : whole}${fraction === '' ? '' : `.${fraction}`}`
  return match[1] === '-' && shown !== '0' ? `-${shown}` : shown
}

/** How the value is read back: bytes as hex, the rest as the engine prints it. */
function reading(type: LogicalType, name: string): string {
  const column = quoteIdentifier(name)
  switch (type.kind) {
    case 'text':
    case 'json':
    case 'other':
    case 'bytes':
    case 'list':
    case 'interval':
      return `lower(hex(${column}))`
    case 'decimal':
      return type.precision === null ? `lower(hex(${column}))` : `toString(${column})`
    default:
      return `toString(${column})`
  }
}

function normalise(type: LogicalType, value: string | null): string | null {
  if (value === null || (type.kind !== 'float32' && type.kind !== 'float64')) return value
  const special: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, '-inf': -Infinity }
  const number = special[value] ?? Number(value)
  return String(type.kind === 'float32' ? Math.fround(number) : number)
}

function expectedRows(batch: Batch) {
  const kept: (readonly Expected[])[] = []
  const refused: number[] = []
  for (let row = 0; row < batch.rows; row++) {
    // Of a −1 row of an upsert topic only the key is sure, and only the key is written.
    const keyOnly = batch.schema.changelog === 'upsert' && batch.weights[row]! < 0
    const values = batch.schema.fields.map(({ type, nullable }, i): Expected => {
      if (keyOnly && !batch.schema.key.includes(i)) return nullable ? null : 'any'
      return expectedValue(type, batch.columns[i]!, row)
    })
    if (values.includes(refusedHere)) refused.push(row)
    else kept.push(values)
  }
  return { kept, refused }
}

test('any batch, in append mode', async (t) => {
  await using server = await clickhouseOrSkip(t)
  if (server === null) return
  await server.command('CREATE DATABASE props')
  await using sink = await openSink({ url: server.url, database: 'props', mode: 'append' })
  let tables = 0
  await fc.assert(
    fc.asyncProperty(anyBatch(), async (batch) => {
      fc.pre(batch.schema.fields.length > 0)
      const table = `p${tables++}`
      const { rejected } = await send(sink, table, batch)
      const { kept, refused } = expectedRows(batch)
      assert.deepEqual(
        rejected.map(({ row }) => row),
        refused,
      )
      const { fields } = batch.schema
      const columns = fields.map(({ type, name }, i) => `${reading(type, name)} AS \`column ${i}\``)
      const found = await server.query(
        `SELECT ${columns.join(', ')} FROM props.${table} ORDER BY _sluice_offset`,
      )
      const actual = found.map((row) =>
        fields.map(({ type }, i) => normalise(type, row[`column ${i}`] as string | null)),
      )
      assert.equal(actual.length, kept.length)
      for (const [r, row] of kept.entries()) {
        for (const [c, value] of row.entries()) {
          if (value !== 'any') assert.deepEqual(actual[r]![c], value, `row ${r}, column ${c}`)
        }
      }
      await server.command(`DROP TABLE props.${table}`)
    }),
    { numRuns: 80 },
  )
})
