/**
 * GTID sets against a plain set of numbers, both binary forms, and the order of places. Attacks
 * invariant 1: a position that claims too much loses what it claims.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GtidSet } from '../../../connectors/mysql/binlog/gtid-set.ts'
import { MariadbGtids } from '../../../connectors/mysql/binlog/mariadb-gtid.ts'
import { isTyped } from './binlog-files.ts'

const uuids = [
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  '0e11fa47-71ca-11e1-9e33-c80aa9429562',
] as const
const sources = [uuids[0], `${uuids[0]}:tag`, `${uuids[0]}:_a9`, uuids[1]] as const

const member = fc.record({
  source: fc.constantFrom(...sources),
  first: fc.integer({ min: 1, max: 40 }),
  length: fc.integer({ min: 1, max: 6 }),
})
const members = fc.array(member, { maxLength: 30 })
type Member = typeof member extends fc.Arbitrary<infer M> ? M : never

/** The same as a plain set of texts. */
function both(list: readonly Member[]): { set: GtidSet; plain: Set<string> } {
  const set = new GtidSet()
  const plain = new Set<string>()
  for (const { source, first, length } of list) {
    if (length === 1) set.add(source, first)
    else set.addInterval(source, first, first + length)
    for (let i = first; i < first + length; i++) plain.add(`${source}/${i}`)
  }
  return { set, plain }
}

function membersOf(set: GtidSet): Set<string> {
  const plain = new Set<string>()
  for (const source of sources) {
    for (let i = 1; i < 60; i++) if (set.has(source, i)) plain.add(`${source}/${i}`)
  }
  return plain
}

test('a GTID set has what was added, however it is written', () => {
  fc.assert(
    fc.property(members, (list) => {
      const { set, plain } = both(list)
      assert.deepEqual(membersOf(set), plain)
      const again = GtidSet.parse(set.toString())
      assert.equal(again.toString(), set.toString())
      assert.ok(again.equals(set))
      const bytes = set.encode()
      assert.equal(GtidSet.decode(bytes, 0, bytes.length).toString(), set.toString())
      assert.equal(set.isEmpty, plain.size === 0)
    }),
  )
})

test('inclusion, union and difference of GTID sets are those of sets', () => {
  fc.assert(
    fc.property(members, members, (a, b) => {
      const [left, right] = [both(a), both(b)]
      const [a1, b1] = [left.plain, right.plain]
      assert.equal(
        left.set.contains(right.set),
        [...b1].every((one) => a1.has(one)),
      )
      assert.deepEqual(membersOf(left.set.union(right.set)), new Set([...a1, ...b1]))
      const rest = new Set([...a1].filter((one) => !b1.has(one)))
      assert.deepEqual(membersOf(left.set.subtract(right.set)), rest)
      const same = a1.size === b1.size && rest.size === 0
      assert.equal(left.set.equals(right.set), same)
    }),
  )
})

test('GTID sets are read as the server writes them', () => {
  const text = ` ${uuids[0].toUpperCase()}:1-5:7 : tag : 3 - 4:9,\n${uuids[1].replaceAll('-', '')}:5-3:1`
  assert.equal(GtidSet.parse(text).toString(), `${uuids[1]}:1,${uuids[0]}:1-5:7:tag:3-4:9`)
  assert.equal(GtidSet.parse('').toString(), '')
  for (const bad of ['x', `${uuids[0]}:0`, `${uuids[0]}:1-`, `${uuids[0]}:-tag:1`, ':1']) {
    assert.throws(() => GtidSet.parse(bad), isTyped, bad)
  }
  assert.throws(() => GtidSet.parse(`${uuids[0]}:9999999999999999`), isTyped)
})

test('any bytes as a binary GTID set: a set or a typed error', () => {
  const { set } = both([
    { source: sources[1], first: 3, length: 4 },
    { source: sources[3], first: 1, length: 1 },
  ])
  const bytes = set.encode()
  for (let cut = 0; cut < bytes.length; cut++) {
    assert.throws(() => GtidSet.decode(bytes, 0, cut), isTyped, `cut at ${cut}`)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (random) => {
      try {
        GtidSet.decode(random, 0, random.length)
      } catch (error) {
        assert.ok(isTyped(error))
      }
    }),
  )
})

test('MariaDB places: the last of each domain', () => {
  const place = MariadbGtids.parse('5-1-10,0-2-3')
  assert.equal(place.toString(), '0-2-3,5-1-10')
  assert.ok(place.contains(MariadbGtids.parse('0-7-3')))
  assert.ok(!place.contains(MariadbGtids.parse('0-2-4')))
  assert.ok(!place.contains(MariadbGtids.parse('1-1-1')))
  assert.ok(place.contains(MariadbGtids.parse('')))
  for (const bad of ['1-2', '1-2-3-4', 'x', '0-1-2,,0-1-3', '0-1-9999999999999999']) {
    assert.throws(() => MariadbGtids.parse(bad), isTyped, bad)
  }
})
