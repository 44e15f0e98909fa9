/** Paths over bytes against a reference that walks what JSON.parse gives; numbers keep their digits (invariant 9). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ranges } from '../../../core/connector/format/json-ranges.ts'
import {
  findRecords,
  findText,
  JsonFinder,
  parseJsonPath,
  type Segment,
} from '../../../connectors/http/json-path.ts'

const names = ['a', 'b', 'ünder', 'x y', "it's", 'say "hi"', 'back\\slash', '', 'a\nb', '🎈']

const name = fc.constantFrom(...names)
const document = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, false, 0, -1, 1.5e300, 'text', '', 'a"]}\\'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value

const segment: fc.Arbitrary<Segment> = fc.oneof(
  name.map((name) => ({ kind: 'name', name }) as const),
  fc.integer({ min: -4, max: 4 }).map((index) => ({ kind: 'index', index }) as const),
  fc.constant({ kind: 'all' } as const),
)

/** What RFC 9535 says of these segments. */
function reference(value: unknown, segments: readonly Segment[]): unknown[] {
  let found = [value]
  for (const segment of segments) {
    found = found.flatMap((one): unknown[] => {
      if (typeof one !== 'object' || one === null) return []
      if (segment.kind === 'all') return Object.values(one)
      if (segment.kind === 'name') {
        return !Array.isArray(one) && Object.hasOwn(one, segment.name)
          ? [(one as Record<string, unknown>)[segment.name]]
          : []
      }
      if (!Array.isArray(one)) return []
      const at = segment.index < 0 ? one.length + segment.index : segment.index
      return at in one ? [(one as unknown[])[at]] : []
    })
  }
  return found
}

function textOf(segments: readonly Segment[], quote: '"' | "'"): string {
  return `$${segments
    .map((segment) => {
      if (segment.kind === 'all') return quote === '"' ? '.*' : '[ * ]'
      if (segment.kind === 'index') return `[${segment.index}]`
      if (/^[A-Za-zü]+$/.test(segment.name)) return `.${segment.name}`
      const inner = JSON.stringify(segment.name).slice(1, -1)
      return quote === '"'
        ? `["${inner}"]`
        : `['${inner.replaceAll('\\"', '"').replaceAll("'", "\\'")}']`
    })
    .join('')}`
}

test('finds what the reference finds, in its order', () => {
  let hits = 0
  fc.assert(
    fc.property(
      document,
      fc.array(segment, { maxLength: 4 }),
      fc.constantFrom('"', "'"),
      fc.constantFrom(undefined, 1, '\t'),
      (value, segments, quote, space) => {
        const parsed = parseJsonPath(textOf(segments, quote as '"'))
        assert.ok('segments' in parsed)
        assert.deepEqual(parsed.segments, segments)
        const bytes = Buffer.from(` ${JSON.stringify(value, null, space)}\n`)
        const found = new Ranges()
        assert.equal(new JsonFinder(parsed.segments).find(bytes, 0, bytes.length, found), null)
        const texts = Array.from({ length: found.count }, (_, i) =>
          bytes.toString('utf8', found.starts[i], found.ends[i]),
        )
        assert.deepEqual(
          texts.map((text) => JSON.parse(text) as unknown),
          reference(JSON.parse(JSON.stringify(value)), segments),
        )
        if (segments.length > 0) hits += found.count
        // No blanks around them: they are cut out as they are.
        assert.ok(texts.every((text) => text === text.trim()))
      },
    ),
    { numRuns: 3000 },
  )
  assert.ok(hits > 300, `${hits} places were found`)
})

test('every cut of a document is a fault, and none throws', () => {
  const bytes = Buffer.from('{"a":[{"b":"\\u00fc"},{"c":12.5e3}],"ü":null}')
  const finder = new JsonFinder([{ kind: 'name', name: 'a' }, { kind: 'all' }])
  for (let end = 0; end < bytes.length; end++) {
    const fault = finder.find(bytes, 0, end, new Ranges())
    assert.match(fault?.message ?? '', /^not JSON: /)
  }
})

const recordsOf = (path: string, text: string, mayBeMissing = true): string[] | string => {
  const parsed = parseJsonPath(path)
  assert.ok('segments' in parsed, JSON.stringify(parsed))
  const bytes = Buffer.from(text)
  const found = new Ranges()
  const range = { start: 0, end: bytes.length }
  const fault = findRecords(new JsonFinder(parsed.segments), bytes, range, found, mayBeMissing)
  if (fault !== null) return fault.message
  return Array.from({ length: found.count }, (_, i) =>
    bytes.toString('utf8', found.starts[i], found.ends[i]),
  )
}

test('records: elements of arrays, objects as they are, a missing list is empty', () => {
  for (const [path, text, expected] of [
    ['$', '[{"id":1},2]', ['{"id":1}', '2']],
    ['$', '\ufeff{"id":1.00}', ['{"id":1.00}']],
    ['$', 'null', []],
    ['$.d', '{"d":[9007199254740993]}', ['9007199254740993']],
    ['$.d', '{"e":1}', []],
    ['$.d', '{"d":null}', []],
    ['$.d[*]', '{"d":[[1],null]}', ['[1]', 'null']],
    ['$.d.*', '{"d":{"x":{"id":1},"y":{"id":2}}}', ['{"id":1}', '{"id":2}']],
    ['$.g[*].m', '{"g":[{"m":[1,2]},{},{"m":[3]}]}', ['1', '2', '3']],
    ['$.g[*].m', '{"g":[]}', []],
    ['$.d.items', '{"error":"no"}', 'there is no "d" where the path wants one'],
    ['$.d.items', '{"d":{}}', []],
    ['$.d[-1]', '{"d":[{"a":1},{"a":2}]}', ['{"a":2}']],
  ] as const) {
    assert.deepEqual(recordsOf(path, text), expected, `${path} of ${text}`)
  }
})

test('records: where a list may not be missing, another answer is none, and an empty list is one', () => {
  for (const [path, text, expected] of [
    ['$.d', '{"d":[]}', []],
    ['$.d', '{"d":null}', []],
    ['$.d', '{"error":"come again"}', 'there is no "d" where the path wants one'],
    ['$.g[*].m', '{"g":[]}', []],
    ['$.g[*].m', '{"g":[{}]}', 'there is no "m" where the path wants one'],
  ] as const) {
    assert.deepEqual(recordsOf(path, text, false), expected, `${path} of ${text}`)
  }
})

test('texts: cursors as they are, and what says that there is none', () => {
  const text = (json: string): string | null =>
    findText(new JsonFinder([{ kind: 'name', name: 'c' }]), Buffer.from(json))
  assert.equal(text('{"c":12345678901234567890}'), '12345678901234567890')
  assert.equal(text('{"c":"a\\u0026b"}'), 'a&b')
  assert.equal(text('{"c":"a\\ud800"}'), 'a\ufffd')
  assert.equal(text('{"c":true}'), 'true')
  assert.equal(text('{"c":0}'), '0')
  for (const none of [
    '{}',
    '{"c":null}',
    '{"c":false}',
    '{"c":""}',
    '{"c":{}}',
    '{"c":[1]}',
    'no',
  ]) {
    assert.equal(text(none), null, none)
  }
})

test('what a path may not hold is named', () => {
  for (const [path, pattern] of [
    ['data', /begins with \$/],
    ['$..id', /there is no `\.\.`/],
    ['$.a[?@.b]', /no filters/],
    ['$.a[0:2]', /no slices/],
    ['$[0,1]', /one name or index/],
    ['$.a[', /expected \.name/],
    ['$.a[01]', /expected \.name/],
    ['$[-0]', /expected \.name/],
    ['$.1a', /expected \.name/],
    ["$['\\q']", /expected \.name/],
    ['$a', /expected \.name/],
  ] as const) {
    const parsed = parseJsonPath(path)
    assert.ok('mistake' in parsed, path)
    assert.match(parsed.mistake, pattern)
  }
})
