/** Positions survive their text, and are ordered partially (invariant 1 rests on it: ack only moves forward). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  atOrAfter,
  formatPosition,
  parsePosition,
  type KafkaPosition,
  type TopicPlace,
} from '../../../connectors/kafka/position.ts'
import { position } from '../../../core/connector/source.ts'

/** Few values, so that equal and comparable ones are frequent. */
const offset = fc.oneof(fc.integer({ min: -1, max: 3 }), fc.constant(Number.MAX_SAFE_INTEGER))
const plain = { noNullPrototype: true }
const record = fc.option(fc.tuple(fc.nat(), fc.nat({ max: 0xffff_ffff })))
const place: fc.Arbitrary<TopicPlace> = fc.record(
  {
    cluster: fc.constantFrom(null, 'c1', 'c2'),
    id: fc.constantFrom(null, 'i1', 'i2'),
    restarts: fc.integer({ min: 0, max: 1 }),
    restart: fc.constantFrom(null, 'again'),
    next: fc.array(offset, { maxLength: 3 }),
    // That nothing is known has one text.
    last: fc
      .array(record, { maxLength: 3 })
      .map((last) => (last.every((each) => each === null) ? [] : last)),
  },
  plain,
)
const content: fc.Arbitrary<KafkaPosition> = fc.record(
  {
    topics: fc
      .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', '__proto__'), place), {
        selector: ([name]) => name,
      })
      .map((entries) => new Map(entries)),
    patterns: fc.subarray(['a*', '*']),
  },
  plain,
)
const any = content.map(formatPosition)

/** What the order is about: without what it leaves out, and without partitions that nobody knows. */
function compared({ topics }: KafkaPosition): unknown {
  return new Map(
    [...topics].map(([name, { cluster, id, restarts, next }]) => {
      const known = next.map((offset, i) => [i, offset]).filter(([, offset]) => offset! >= 0)
      return [name, { cluster, id, restarts, known }]
    }),
  )
}

test('a position survives its text', () => {
  fc.assert(
    fc.property(content, (value) => {
      const text = formatPosition(value)
      // A text of its own, that nobody remembers.
      const parsed = parsePosition(position(text.replace('{', '{ ')))
      assert.deepEqual(parsed, value)
      assert.deepEqual(parsePosition(text), value)
    }),
  )
})

test('atOrAfter is reflexive, transitive, and antisymmetric in what it compares', () => {
  fc.assert(
    fc.property(any, any, any, (a, b, c) => {
      assert.ok(atOrAfter(a, a))
      if (atOrAfter(a, b) && atOrAfter(b, c)) assert.ok(atOrAfter(a, c))
      if (atOrAfter(a, b) && atOrAfter(b, a)) {
        assert.deepEqual(compared(parsePosition(a)), compared(parsePosition(b)))
      }
    }),
    { numRuns: 2000 },
  )
})

test('a position is after another exactly when no partition is behind', () => {
  const at = (next: readonly number[]): KafkaPosition => ({
    topics: new Map([['a', { cluster: 'c', id: 'i', restarts: 0, restart: null, next, last: [] }]]),
    patterns: [],
  })
  const nexts = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 2, maxLength: 2 })
  fc.assert(
    fc.property(nexts, nexts, (a, b) => {
      const expected = a.every((offset, i) => offset >= b[i]!)
      assert.equal(atOrAfter(formatPosition(at(a)), formatPosition(at(b))), expected)
    }),
  )
})

test('what is no position of this source is refused', () => {
  for (const text of ['', '{}', '{"topics":[["a",{}]]}', '{"topics":[["a",{"next":[1.5]}]]}']) {
    assert.throws(() => parsePosition(position(text)), { code: 'internal.bug' })
  }
})
