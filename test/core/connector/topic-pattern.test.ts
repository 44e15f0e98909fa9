/** Topic patterns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchTopic } from '../../../core/connector/topic-pattern.ts'

test('a star stands for any characters, as in a regular expression', () => {
  const part = fc.constantFrom('a', 'b', '.', '*', 'ab')
  const name = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(name, name, (pattern, text) => {
      const topic = text.replaceAll('*', 'c')
      const expression = pattern
        .split('*')
        .map((text) => text.replaceAll('.', '\\.'))
        .join('.*')
      const expected = new RegExp(`^${expression}$`).test(topic)
      assert.equal(matchTopic(pattern, topic), expected, `${pattern} ${topic}`)
    }),
    { numRuns: 2000 },
  )
})

test('a pattern of many stars takes no time', () => {
  assert.equal(matchTopic(`${'*a'.repeat(2000)}b`, 'a'.repeat(5000)), false)
})
