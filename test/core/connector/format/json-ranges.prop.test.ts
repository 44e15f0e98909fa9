/** Places of values inside JSON, against JSON.parse: members of an object, elements of an array, lines. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  jsonElements,
  JsonMembers,
  lines,
  Ranges,
} from '../../../../core/connector/format/json-ranges.ts'

const blank = fc.constantFrom('', '', ' ', '\n\t')
const json = fc.json({ maxDepth: 2 })
const name = fc.constantFrom('before', 'after', 'op', 'é', '')

/** Bytes with others around them that are not to be looked at. */
function framed(text: string): { bytes: Uint8Array; start: number; end: number } {
  const bytes = Buffer.from(`"}${text}]1`)
  return { bytes, start: 2, end: bytes.length - 2 }
}

test('members by name, the last of each', () => {
  const members = new JsonMembers(['before', 'after', 'op', 'é', 'none'])
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, json)),
      fc.infiniteStream(blank),
      fc.boolean(),
      (all, blanks, escaped) => {
        const gap = (): string => blanks.next().value as string
        const parts = all.map(([key, value]) => {
          const written = escaped
            ? `"${Array.from(key)
                .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
                .join('')}"`
            : JSON.stringify(key)
          return `${gap()}${written}${gap()}:${gap()}${value}${gap()}`
        })
        const { bytes, start, end } = framed(`${gap()}{${parts.join(',')}}${gap()}`)
        assert.equal(members.find(bytes, start, end), null)
        for (const [i, key] of ['before', 'after', 'op', 'é', 'none'].entries()) {
          const wanted = all.findLast(([name]) => name === key)?.[1]
          const found =
            members.starts[i]! < 0
              ? undefined
              : Buffer.from(bytes.subarray(members.starts[i], members.ends[i])).toString()
          assert.equal(found, wanted?.trim())
          assert.equal(members.has(i, bytes), wanted !== undefined && wanted.trim() !== 'null')
        }
      },
    ),
  )
})

test('elements of an array, without the blanks around them', () => {
  fc.assert(
    fc.property(fc.array(json, { maxLength: 100 }), fc.infiniteStream(blank), (all, blanks) => {
      const gap = (): string => blanks.next().value as string
      const { bytes, start, end } = framed(
        `${gap()}[${all.map((value) => `${gap()}${value}${gap()}`).join(',')}]${gap()}`,
      )
      const found = new Ranges()
      assert.equal(jsonElements(bytes, start, end, found), null)
      const texts = Array.from({ length: found.count }, (_, i) =>
        Buffer.from(bytes.subarray(found.starts[i], found.ends[i])).toString(),
      )
      assert.deepEqual(
        texts,
        all.map((value) => value.trim()),
      )
    }),
  )
})

test('what is no object or array is refused, cut off anywhere', () => {
  const members = new JsonMembers(['a'])
  for (const [text, kind] of [
    ['{"a":[1,{"b":2}]}', 'object'],
    ['[{"a":1},2]', 'array'],
  ] as const) {
    for (let length = 0; length < text.length; length++) {
      const { bytes, start, end } = framed(text.slice(0, length))
      const fault =
        kind === 'object'
          ? members.find(bytes, start, end)
          : jsonElements(bytes, start, end, new Ranges())
      assert.match(String(fault?.message), /^not JSON: /)
    }
  }
  assert.equal(
    members.find(Buffer.from('[1]'), 0, 3)?.message,
    'not JSON: expected an object at byte 0',
  )
  assert.equal(
    jsonElements(Buffer.from('{}'), 0, 2, new Ranges())?.message,
    'not JSON: expected an array at byte 0',
  )
})

test('lines that are not blank, whatever they end in', () => {
  const line = fc.string({ unit: fc.constantFrom('{', '}', '1', ' ', '\t', 'é'), maxLength: 5 })
  fc.assert(
    fc.property(fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n'))), line, (all, last) => {
      const { bytes, start, end } = framed(
        `${all.map(([text, newline]) => text + newline).join('')}${last}`,
      )
      const found = new Ranges()
      lines(bytes, start, end, found)
      const texts = Array.from({ length: found.count }, (_, i) =>
        Buffer.from(bytes.subarray(found.starts[i], found.ends[i])).toString(),
      )
      assert.deepEqual(
        texts,
        [...all.map(([text]) => text), last]
          .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))
          .filter((text) => text !== ''),
      )
    }),
  )
})
