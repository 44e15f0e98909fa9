/** Types of a schema as people write them, and back; what a mistake is answered with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  columnTypeText,
  parseColumnType,
  schemaText,
  typeWords,
} from '../../../../core/connector/format/schema-text.ts'
import type { LogicalType, SimpleKind } from '../../../../core/record/types.ts'

const simple = typeWords.filter((word) => word !== 'decimal' && word !== 'list' && word !== 'other')
const leaf: fc.Arbitrary<LogicalType> = fc.oneof(
  fc.constantFrom(...simple).map((kind): LogicalType => ({ kind: kind as SimpleKind })),
  fc.constant<LogicalType>({ kind: 'decimal', precision: null, scale: null }),
  fc
    .tuple(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([precision, part]): LogicalType => ({
      kind: 'decimal',
      precision,
      scale: Math.floor(precision * part),
    })),
  fc
    .constantFrom('inet', 'bit varying(3)', 'my type')
    .map((name): LogicalType => ({ kind: 'other', name })),
)
const { type } = fc.letrec<{ type: LogicalType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 4 },
    leaf,
    tie('type').map((element): LogicalType => ({ kind: 'list', element })),
  ),
}))

test('every type is read back as it was written, with blanks anywhere between its parts', () => {
  fc.assert(
    fc.property(type, fc.boolean(), (type, nullable) => {
      const text = columnTypeText({ type, nullable })
      assert.deepEqual(parseColumnType(text), { type, nullable })
      // Names of other types are taken as they are.
      if (!text.includes('other')) {
        assert.deepEqual(parseColumnType(text.replaceAll(/[(),<>?]/g, ' $& ')), { type, nullable })
      }
    }),
    { numRuns: 1000 },
  )
})

test('no text makes the reader throw, and what it reads is read again from what it writes', () => {
  const parts = fc.constantFrom(
    'decimal',
    'list',
    'int64',
    'text',
    '(',
    ')',
    '<',
    '>',
    ',',
    '?',
    '12',
    ' ',
    'x',
    '-',
  )
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 10 }), (all) => {
      const parsed = parseColumnType(all.join(''))
      if ('mistake' in parsed) assert.notEqual(parsed.mistake, '')
      else assert.deepEqual(parseColumnType(columnTypeText(parsed)), parsed)
    }),
    { numRuns: 2000 },
  )
})

test('mistakes say where they are and what was probably meant', () => {
  const mistakes: Readonly<Record<string, string>> = {
    '': 'expected a type',
    int46: 'there is no type int46; did you mean "int64"?',
    String: 'there is no type String; did you mean "text"?',
    INT: 'there is no type INT; did you mean "int64"?',
    Text: 'there is no type Text; did you mean "text"?',
    constructor: `there is no type constructor; types are ${typeWords.join(', ')}`,
    'decimal(12;2)': 'expected "," or ")" at character 11',
    'decimal(12': 'expected ")" at character 11; between { } a type with a comma stands in quotes',
    'decimal()': 'expected the number of digits at character 9',
    'decimal(12,)': 'expected the number of digits after the point at character 12',
    'decimal(0)': 'expected 1 to 1000 digits at character 10',
    'decimal(4,5)': 'expected 0 to 4 digits after the point at character 12',
    'list<strin>': 'there is no type strin at character 6; did you mean "text"?',
    'list<text?>': 'elements may be null without "?" at character 10; expected ">"',
    list: 'expected "<" and the type of the elements at character 5',
    'int64 null': 'expected "?" or the end at character 7',
    'int64??': 'expected "?" or the end at character 7',
  }
  for (const [text, mistake] of Object.entries(mistakes)) {
    const parsed = parseColumnType(text)
    assert.ok('mistake' in parsed, text)
    assert.equal(parsed.mistake, mistake)
  }
})

test('a list deeper than anybody’s data is refused, not a stack that overflows', () => {
  const parsed = parseColumnType('list<'.repeat(100_000))
  assert.ok('mistake' in parsed)
  assert.match(parsed.mistake, /^no deeper lists/)
})

test('fields as a schema', () => {
  assert.deepEqual(
    schemaText([
      { name: 'id', type: { kind: 'int64' }, nullable: false },
      { name: 'tags', type: { kind: 'list', element: { kind: 'text' } }, nullable: true },
    ]),
    { id: 'int64', tags: 'list<text>?' },
  )
})
