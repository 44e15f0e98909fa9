/**
 * COPY text → columns: any values, split at any bytes, come out as they went in; anything else is a
 * typed error. Attacks invariant 5 (nothing vanishes) and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CopyParser } from '../../../connectors/postgres/copy-parser.ts'
import { valueDecoder } from '../../../connectors/postgres/values.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { textAt } from '../../../core/record/value.ts'
import type { LogicalType } from '../../../core/record/types.ts'

const text: LogicalType = { kind: 'text' }

/** As CopyAttributeOutText of the server writes a value. */
function written(value: string | null): string {
  if (value === null) return '\\N'
  const names: Record<string, string> = { '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't' }
  return value.replace(/[\b\f\n\r\t\v\\]/g, (c) => `\\${c === '\v' ? 'v' : (names[c] ?? c)}`)
}

const value = fc.option(
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }).map((s) => s.replaceAll('\0', '')),
    fc.string({ unit: fc.constantFrom('\\', 'N', '\t', '\n', 'n', 'a', '.', '\r'), maxLength: 6 }),
  ),
  { nil: null },
)
const rows = fc.integer({ min: 1, max: 4 }).chain((columns) =>
  fc.array(fc.array(value, { minLength: columns, maxLength: columns }), {
    minLength: 1,
    maxLength: 20,
  }),
)

/** Feeds the bytes in pieces whose sizes repeat `sizes`; checks the last row's texts on the way. */
function parse(bytes: Uint8Array, columns: number, sizes: readonly number[]) {
  const parser = new CopyParser(Array.from({ length: columns }, () => valueDecoder(text)))
  const places = Array.from({ length: columns }, (_, i) => i)
  const lasts: [rows: number, texts: string[]][] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + sizes[i % sizes.length]!)
    // A copy, as the socket's buffers are not one.
    parser.feed(bytes.slice(at, end), 0, end - at)
    if (parser.rows > 0) lasts.push([parser.rows, parser.textsOf(places)])
    at = end
  }
  parser.finish()
  const count = parser.rows
  const taken = parser.take()
  const found = Array.from({ length: count }, (_, row) =>
    taken.map((column) => textAt(text, column, row)),
  )
  return { found, lasts }
}

describe('CopyParser', () => {
  it('reads back what was written, wherever the pieces are cut', () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (given, sizes) => {
          const lines = given.map((row) => `${row.map(written).join('\t')}\n`)
          const { found, lasts } = parse(Buffer.from(lines.join('')), given[0]!.length, sizes)
          assert.deepEqual(found, given)
          for (const [count, texts] of lasts) {
            assert.deepEqual(
              texts,
              given[count - 1]!.map((v) => v ?? ''),
            )
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  it('never takes other bytes for rows: a typed error, or rows of the right width', () => {
    const bytes = fc
      .uint8Array({ maxLength: 60 })
      .map((array) => array.map((b) => (b % 3 === 0 ? [9, 10, 92, 78][b % 4]! : b)))
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 3 }), (given, columns) => {
        try {
          const { found } = parse(given, columns, [7])
          assert.ok(found.every((row) => row.length === columns))
          assert.ok(given.length === 0 || given.at(-1) === 10)
        } catch (error) {
          assert.ok(error instanceof SluiceError, String(error))
          assert.equal(error.code, 'source.postgres.protocol')
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('reads rows of a table without columns', () => {
    const parser = new CopyParser([])
    parser.feed(Buffer.from('\n\n\n'), 0, 3)
    parser.finish()
    assert.equal(parser.rows, 3)
  })

  it('refuses data that ends within a row', () => {
    const parser = new CopyParser([valueDecoder(text)])
    parser.feed(Buffer.from('a\nb'), 0, 3)
    assert.throws(() => parser.finish(), { code: 'source.postgres.protocol' })
  })
})
