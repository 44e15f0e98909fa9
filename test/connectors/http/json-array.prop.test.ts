/** Elements of arrays against JSON.parse: where all elements are JSON, so is the array, and they are the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ranges } from '../../../core/connector/format/json-ranges.ts'
import { arrayElements } from '../../../connectors/http/json-array.ts'

/** The elements, or null where the array or one of them is no JSON. */
function elementsOf(text: string): unknown[] | null {
  const bytes = Buffer.from(`xx${text}yy`)
  const found = new Ranges()
  if (arrayElements(bytes, 2, bytes.length - 2, found) !== null) return null
  const values: unknown[] = []
  for (let i = 0; i < found.count; i++) {
    try {
      values.push(JSON.parse(bytes.toString('utf8', found.starts[i], found.ends[i])))
    } catch {
      return null
    }
  }
  return values
}

function parsed(text: string): unknown[] | null {
  try {
    const value = JSON.parse(text) as unknown
    return Array.isArray(value) ? (value as unknown[]) : null
  } catch {
    return null
  }
}

const array = fc.array(fc.jsonValue({ maxDepth: 4 }))

test('of arrays, however they are spaced', () => {
  fc.assert(
    fc.property(array, fc.integer({ min: 0, max: 3 }), (values, indent) => {
      for (const text of [
        JSON.stringify(values, null, indent),
        ` \r\n${JSON.stringify(values)}\t`,
      ]) {
        assert.deepEqual(elementsOf(text), parsed(text), text)
      }
    }),
  )
})

test('of what is nearly one: cut off, changed, or with something put in', () => {
  const signs = Array.from('[]{}",:\\ 0aeu-\n\u0000é')
  fc.assert(
    fc.property(array, fc.nat(), fc.nat(), fc.constantFrom(...signs), (values, at, kind, sign) => {
      const text = JSON.stringify(values)
      const place = at % (text.length + 1)
      const [before, after] = [text.slice(0, place), text.slice(place)]
      const changed = [
        before,
        before + sign + after,
        before + sign + after.slice(1),
        before + after.slice(1),
      ][kind % 4]!
      assert.deepEqual(elementsOf(changed), parsed(changed), changed)
    }),
    { numRuns: 5000 },
  )
})

test('of texts of brackets and quotes', () => {
  const text = fc
    .array(fc.constantFrom(...Array.from('[]{}",:\\1 ')), { maxLength: 12 })
    .map((signs) => signs.join(''))
  fc.assert(
    fc.property(text, (text) => assert.deepEqual(elementsOf(text), parsed(text), text)),
    { numRuns: 20_000 },
  )
})
