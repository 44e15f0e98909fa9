/**
 * JSON read by the schema, against JSON.parse: what is JSON to the one is JSON to the other, and the
 * values are the same to the last digit. Attacks invariants 5 and 9: broken bytes are refused with a
 * reason, and never read as something else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonFormat } from '../../../../core/connector/format/json-format.ts'
import { fieldsOf, readAll } from './support.ts'

type Json = null | boolean | string | NumberText | readonly Json[] | Members
/** Members as they are written, so that names can come twice. */
interface Members {
  readonly members: readonly (readonly [string, Json])[]
}
interface NumberText {
  readonly number: string
}

const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.constant('0'), fc.bigInt({ min: 1n, max: 10n ** 20n }).map(String)),
    fc.option(fc.stringMatching(/^\d{1,6}$/), { nil: null }),
    fc.option(fc.stringMatching(/^[eE][+-]?\d$/), { nil: null }),
  )
  .map(([sign, whole, fraction, exponent]) => ({
    number: `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${exponent ?? ''}`,
  }))
const text = fc.string({ unit: 'binary', maxLength: 12 })
const names = ['id', 'n', 'note', 'doc', 'tags', 'ok', 'f']
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...names) },
  { weight: 2, arbitrary: text },
)
const { value: json } = fc.letrec<{ value: Json; members: Members }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom(null, true, false),
    numberText,
    text,
    fc.array(tie('value'), { maxLength: 3 }),
    tie('members'),
  ),
  members: fc.record({ members: fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }) }),
}))
const document = fc.record({ members: fc.array(fc.tuple(name, json), { maxLength: 9 }) })
const blank = fc.constantFrom('', '', '', ' ', '\n', '\t ', '\r\n')

/** Writes the document, with blanks and escapes where `pick` says so. */
function written(value: Json, pick: () => string): string {
  const gap = pick
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return quoted(value, gap().length)
  if ('number' in value) return value.number
  if ('members' in value) {
    const parts = value.members.map(
      ([name, part]) =>
        `${gap()}${quoted(name, gap().length)}${gap()}:${gap()}${written(part, pick)}${gap()}`,
    )
    return `{${parts.length === 0 ? gap() : parts.join(',')}}`
  }
  const parts = value.map((part) => `${gap()}${written(part, pick)}${gap()}`)
  return `[${parts.length === 0 ? gap() : parts.join(',')}]`
}

/** As JSON.stringify, or with every character escaped. */
function quoted(value: string, style: number): string {
  if (style === 0) return JSON.stringify(value)
  const units = Array.from({ length: value.length }, (_, i) => value.charCodeAt(i))
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
}

const schema = fieldsOf({
  id: 'int64?',
  n: 'decimal?',
  note: 'text?',
  doc: 'json?',
  tags: 'list<text>?',
  ok: 'bool?',
  f: 'float64?',
})

/** Source texts of the last member of each name, by the judge. */
function judged(source: string): Record<string, { value: unknown; source: string }> | null {
  let top: unknown
  const sources = new Map<string, string>()
  try {
    // The reviver sees a member's source only where it is a scalar; objects are compared by value.
    top = JSON.parse(
      source,
      function (this: unknown, key, value: unknown, context?: { source?: string }) {
        if (context?.source !== undefined) sources.set(key, context.source)
        return value
      },
    )
  } catch {
    return null
  }
  if (typeof top !== 'object' || top === null || Array.isArray(top)) return null
  const found: Record<string, { value: unknown; source: string }> = {}
  for (const [key, value] of Object.entries(top))
    found[key] = { value, source: sources.get(key) ?? '' }
  return found
}

/** Whether it has a UTF-8 text: no surrogate stands alone. */
function isWellFormed(text: string): boolean {
  return Buffer.from(text).toString() === text
}

/** What the column should be: its text, null, or `false` = refused. */
function expected(name: string, value: unknown, number: string): string | null | false {
  if (value === undefined || value === null) return null
  switch (name) {
    case 'id': {
      const exact = typeof value === 'number' ? wholeOf(number) : null
      return exact !== null && exact === BigInt.asIntN(64, exact) ? String(exact) : false
    }
    case 'n':
      return typeof value === 'number' ? decimalOf(number) : false
    case 'f':
      return typeof value === 'number' ? (Object.is(value, -0) ? '-0' : String(value)) : false
    case 'note':
      if (typeof value === 'string') return isWellFormed(value) && value
      return typeof value === 'boolean' ? String(value) : typeof value === 'number' ? number : false
    case 'ok':
      return typeof value === 'boolean' ? (value ? 't' : 'f') : false
    default:
      return false
  }
}

function wholeOf(number: string): bigint | null {
  const plain = decimalOf(number)
  const [whole, fraction = ''] = plain.split('.')
  return /^0*$/.test(fraction) ? BigInt(whole!) : null
}

/** The number without exponent, by arithmetic on bigints. */
function decimalOf(number: string): string {
  const [, sign, whole, fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number)!
  const scale = fraction.length - Number(exponent)
  const digits = BigInt(`${whole}${fraction}`) * 10n ** BigInt(Math.max(0, -scale))
  const behind = Math.max(0, scale)
  const all = digits.toString().padStart(behind + 1, '0')
  const plain = behind === 0 ? all : `${all.slice(0, -behind)}.${all.slice(-behind)}`
  return digits === 0n || sign === '' ? plain : `-${plain}`
}

test('what is read is what JSON.parse reads, exactly', () => {
  fc.assert(
    fc.property(
      fc.array(document, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(blank),
      (documents, blanks) => {
        const sources = documents.map((each) => written(each, () => blanks.next().value as string))
        // One format for all of them, so that each meets what it learned from those before.
        const rows = readAll(
          new JsonFormat(schema),
          sources.map((source) => Buffer.from(source)),
        )
        for (const [i, source] of sources.entries()) {
          const found = judged(source)
          assert.ok(found !== null, source)
          const wanted = schema.map(({ name }) => {
            const member = documents[i]!.members.findLast(([key]) => key === name)?.[1]
            const number =
              typeof member === 'object' && member !== null && 'number' in member
                ? member.number
                : ''
            const value = Object.hasOwn(found, name) ? found[name]!.value : undefined
            if (name === 'doc')
              return value === undefined || value === null ? null : { json: value }
            if (name === 'tags')
              return value === undefined || value === null ? null : { list: value }
            return expected(name, value, number)
          })
          const row = rows[i]!
          const fitsList = (value: unknown): boolean =>
            Array.isArray(value) &&
            value.every((element) =>
              typeof element === 'string'
                ? isWellFormed(element)
                : typeof element !== 'object' || element === null,
            )
          const misfit = schema.findIndex((_, field) => {
            const want = wanted[field]
            return (
              want === false ||
              (typeof want === 'object' && want !== null && 'list' in want && !fitsList(want.list))
            )
          })
          if (misfit >= 0) {
            assert.ok(
              !Array.isArray(row),
              `${source}: ${schema[misfit]!.name} was read as ${JSON.stringify(row)}`,
            )
            assert.notEqual((row as { field: string | null }).field, null)
            continue
          }
          assert.ok(Array.isArray(row), `${source}: ${JSON.stringify(row)}`)
          for (const [field, want] of wanted.entries()) {
            const got: string | null = (row as readonly (string | null)[])[field]!
            if (typeof want !== 'object' || want === null) {
              if (schema[field]!.name === 'f' && want !== null)
                assert.equal(Number(got), Number(want))
              else assert.equal(got, want, source)
            } else if ('json' in want) assert.deepEqual(JSON.parse(got!), want.json)
            else assert.equal((want.list as unknown[]).length === 0, got === '{}')
          }
        }
      },
    ),
    { numRuns: 2000 },
  )
})

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether JSON.parse takes it for an object, as strict UTF-8. */
function isObject(bytes: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** Fields that take anything, so that only what is no JSON is refused. */
const open = fieldsOf({ id: 'json?', doc: 'json?' })

function agrees(format: JsonFormat, bytes: Uint8Array): void {
  const [row] = readAll(format, [bytes])
  const fault = Array.isArray(row) ? null : row
  const isJson = isObject(bytes)
  assert.equal(fault === null, isJson, `${Buffer.from(bytes).toString()}: ${JSON.stringify(fault)}`)
}

test('every truncation and every flipped bit is judged as JSON.parse judges it', () => {
  fc.assert(
    fc.property(document, fc.infiniteStream(blank), (whole, blanks) => {
      const bytes = Buffer.from(written(whole, () => blanks.next().value as string))
      const format = new JsonFormat(open)
      agrees(format, bytes)
      for (let end = 0; end < bytes.length; end++) agrees(format, bytes.subarray(0, end))
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Uint8Array.from(bytes)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        agrees(format, flipped)
      }
    }),
    { numRuns: 30 },
  )
})

test('signs of JSON in any order are judged as JSON.parse judges them', () => {
  const signs = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"id"',
    '"doc":',
    '1',
    '-',
    '0',
    '.5',
    'e3',
    'true',
    'null',
    ' ',
    '\\',
    '\\u00e9',
    '\\ud83d',
    'é',
    '{"id":1',
    ',"doc":2',
  )
  fc.assert(
    fc.property(
      fc.array(fc.array(signs, { maxLength: 12 }), { minLength: 1, maxLength: 6 }),
      (all) => {
        const format = new JsonFormat(open)
        // Learned from valid documents before, what stands between values is compared as bytes.
        agrees(format, Buffer.from('{"id":1,"doc":2}'))
        for (const parts of all) {
          agrees(format, Buffer.from(parts.join('')))
          agrees(format, Buffer.from(`{"id":${parts.join('')}`))
          agrees(format, Buffer.from(`{"id":1,${parts.join('')}}`))
        }
      },
    ),
    { numRuns: 5000 },
  )
})

test('bytes of any kind are judged as JSON.parse judges them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), (noise) => {
      const format = new JsonFormat(open)
      agrees(format, noise)
      agrees(format, Buffer.concat([Buffer.from('{"id":"'), noise, Buffer.from('"}')]))
      agrees(format, Buffer.concat([Buffer.from('{"'), noise, Buffer.from('":1}')]))
      agrees(format, Buffer.concat([Buffer.from('{"id":1'), noise, Buffer.from('}')]))
    }),
    { numRuns: 5000 },
  )
})
