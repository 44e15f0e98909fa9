/** Positions are a total order that a restart goes on from (invariant 1: nothing older is ever acknowledged anew). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { atOrAfter, formatPosition, parsePosition } from '../../../connectors/http/position.ts'
import { position } from '../../../core/connector/source.ts'

const counter = fc.nat({ max: Number.MAX_SAFE_INTEGER })

test('what is written is read back', () => {
  fc.assert(
    fc.property(counter, (push) =>
      assert.deepEqual(parsePosition(formatPosition({ push })), { push }),
    ),
  )
})

test('atOrAfter is reflexive, antisymmetric, transitive and total', () => {
  fc.assert(
    fc.property(counter, counter, counter, (x, y, z) => {
      const [a, b, c] = [x, y, z].map((push) => formatPosition({ push })) as [never, never, never]
      assert.ok(atOrAfter(a, a))
      assert.ok(atOrAfter(a, b) || atOrAfter(b, a))
      if (atOrAfter(a, b) && atOrAfter(b, a)) assert.equal(a, b)
      if (atOrAfter(a, b) && atOrAfter(b, c)) assert.ok(atOrAfter(a, c))
      assert.equal(atOrAfter(a, b), x >= y)
    }),
  )
})

test('what is no position is a bug, not a place', () => {
  for (const text of ['', 'push:', 'push:-1', 'push:1.5', 'push:1 ', '0/16B3748']) {
    assert.throws(() => parsePosition(position(text)), { code: 'internal.bug' })
  }
})
