/**
 * CSV: what was written is read, whatever stands in its fields, and what is no CSV is refused with a
 * reason. Attacks invariants 5 and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CsvFormat, type CsvOptions } from '../../../../core/connector/format/csv-format.ts'
import { CsvFields, csvRecords } from '../../../../core/connector/format/csv-scan.ts'
import { Ranges } from '../../../../core/connector/format/json-ranges.ts'
import { fieldsOf, readAll, readOne } from './support.ts'

const plain: CsvOptions = { delimiter: 0x2c, quote: 0x22, header: false, nullText: '', epoch: null }
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({ unit: fc.constantFrom('"', ',', ';', "'", '\n', '\r', 'a', ' '), maxLength: 6 }),
)
const syntaxes = fc.constantFrom([',', '"'], [';', '"'], ['\t', "'"], ['|', '"'])

function written(
  value: string | null,
  [delimiter, quote]: readonly string[],
  mustQuote: boolean,
): string {
  if (value === null) return ''
  const needed =
    value === '' || [delimiter!, quote!, '\n', '\r'].some((sign) => value.includes(sign))
  return needed || mustQuote
    ? `${quote}${value.replaceAll(quote!, quote! + quote!)}${quote}`
    : value
}

test('what is written is read, with any delimiter, quote and line end', () => {
  const row = fc.tuple(
    fc.option(text),
    fc.option(text),
    fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  )
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 5 }),
      syntaxes,
      fc.constantFrom('\n', '\r\n', ''),
      fc.boolean(),
      fc.boolean(),
      (rows, syntax, newline, quoted, header) => {
        const [delimiter, quote] = syntax
        const options = {
          ...plain,
          header,
          delimiter: delimiter!.charCodeAt(0),
          quote: quote!.charCodeAt(0),
        }
        const format = new CsvFormat(fieldsOf({ a: 'text?', b: 'text?', n: 'int64?' }), options)
        const names = header ? `n${delimiter}other${delimiter}b${delimiter}a\n` : ''
        const values = rows.map(([a, b, n]) => {
          const cells = [a, b, n === null ? null : String(n)].map((cell) =>
            written(cell, syntax, quoted && cell !== null),
          )
          const order = header ? [cells[2], 'x', cells[1], cells[0]] : cells
          return Buffer.from(`${names}${order.join(delimiter)}${newline}`)
        })
        const wanted = rows.map(([a, b, n]) => [a, b, n === null ? null : String(n)])
        assert.deepEqual(readAll(format, values), wanted)
      },
    ),
    { numRuns: 1000 },
  )
})

test('the records of a file are those that were written', () => {
  const record = fc.array(text, { minLength: 2, maxLength: 4 })
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 6 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.boolean(),
      (records, newline, mark) => {
        const lines = records.map((record) =>
          record.map((cell) => written(cell, [',', '"'], false)).join(','),
        )
        const bytes = Buffer.from(`${mark ? '\uFEFF' : ''}${lines.join(newline)}${newline}`)
        const found = new Ranges()
        csvRecords(bytes, { start: 0, end: bytes.length }, new CsvFields(plain), found)
        const read = Array.from({ length: found.count }, (_, i) =>
          bytes.subarray(found.starts[i], found.ends[i]).toString(),
        )
        assert.deepEqual(read, lines)
      },
    ),
    { numRuns: 1000 },
  )
})

test('bytes of any kind are read or refused, never thrown at', () => {
  const signs = fc.array(fc.constantFrom('"', ',', '\n', '\r', 'a', '1', '\u00e9', '""'), {
    maxLength: 14,
  })
  const format = new CsvFormat(fieldsOf({ a: 'text?', b: 'text?' }), plain)
  fc.assert(
    fc.property(
      fc.oneof(
        signs.map((parts) => Buffer.from(parts.join(''))),
        fc.uint8Array({ maxLength: 12 }),
      ),
      (bytes) => {
        const [row] = readAll(format, [bytes])
        if (!Array.isArray(row)) return
        const line = Buffer.from(bytes)
          .toString()
          .replace(/^\uFEFF/, '')
        // Of what was read, quotes only where they were doubled, and all of it there.
        const cells = (row as (string | null)[]).map((cell) => cell ?? '')
        assert.equal(
          cells.join(',').replaceAll('"', ''),
          line.replace(/[\r\n]*$/, '').replaceAll('"', ''),
        )
      },
    ),
    { numRuns: 5000 },
  )
})

test('fields of each type', () => {
  const read = (type: string, cell: string): unknown =>
    readOne(new CsvFormat(fieldsOf({ x: 'int64', v: type }), plain), `1,${cell}`)
  assert.deepEqual(read('bool', 'YES'), ['1', 't'])
  assert.deepEqual(read('int64', '+007'), ['1', '7'])
  assert.deepEqual(read('decimal(12,2)', '.5'), ['1', '0.50'])
  assert.deepEqual(read('float64', '1.'), ['1', '1'])
  assert.deepEqual(read('timestamptz', '2026-01-31 10:00:00+01'), ['1', '2026-01-31 09:00:00+00'])
  assert.deepEqual(read('list<int64>', '"[1,2]"'), ['1', '{1,2}'])
  assert.deepEqual(read('json', '"{""a"":1}"'), ['1', '{"a":1}'])
  assert.match(String(read('json', '{a}')), /^v: expected json/)
  assert.match(String(read('int64', 'x')), /^v: expected int64/)
  assert.match(String(read('int64', '')), /^v: is null; expected int64/)
  assert.deepEqual(read('text', ''), ['1', ''])
  assert.deepEqual(read('text?', '""'), ['1', ''])
  const epoch = new CsvFormat(fieldsOf({ v: 'timestamptz' }), { ...plain, epoch: 'ms' })
  assert.deepEqual(readOne(epoch, '1500'), ['1970-01-01 00:00:01.5+00'])
  assert.deepEqual(readOne(epoch, '1970-01-01T00:00:01Z'), ['1970-01-01 00:00:01+00'])
})

test('what is wrong with a record', () => {
  const format = new CsvFormat(fieldsOf({ a: 'text?', b: 'int64?' }), {
    ...plain,
    nullText: 'NULL',
  })
  assert.deepEqual(readOne(format, 'NULL,NULL'), [null, null])
  assert.deepEqual(readOne(format, '"NULL",1'), ['NULL', '1'])
  assert.deepEqual(readOne(format, ',1'), ['', '1'])
  assert.equal(readOne(format, 'x'), ': not CSV of these columns: 1 field where 2 are expected')
  assert.equal(readOne(format, 'x,1\ny,2'), ': not one record of CSV: another one follows')
  assert.equal(readOne(format, '"x,1'), ': not CSV: a quoted field is not closed')
  assert.equal(readOne(format, '"x"y,1'), ': not CSV: text behind the closing quote of a field')
  assert.equal(readOne(format, 'x"y",1'), ': not CSV: a quote inside a field that is not quoted')
  const header = new CsvFormat(fieldsOf({ a: 'text', b: 'int64?' }), { ...plain, header: true })
  assert.equal(readOne(header, 'b\n1'), 'a: is not in the header')
  assert.equal(readOne(header, 'a,a\n1,2'), 'a: stands twice in the header')
  assert.deepEqual(readOne(header, 'a\nx'), ['x', null])
  assert.deepEqual(readOne(header, 'b,a\n2,x'), ['x', '2'])
})
