/** Positions: written and read back, and a partial order. Attacks invariant 1. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { position } from '../../../core/connector/source.ts'
import { GtidSet } from '../../../connectors/mysql/binlog/gtid-set.ts'
import { MariadbGtids } from '../../../connectors/mysql/binlog/mariadb-gtid.ts'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import { atOrAfter, formatPosition, parsePosition } from '../../../connectors/mysql/position.ts'

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const small = fc.integer({ min: 1, max: 4 })

const mysqlGtids = fc
  .array(fc.record({ n: small, tag: fc.boolean() }), { maxLength: 5 })
  .map((list) => {
    const set = new GtidSet()
    for (const { n, tag } of list) set.add(tag ? `${uuid}:t` : uuid, n)
    return set.toString()
  })
const mariadbGtids = fc.array(fc.record({ d: small, n: small }), { maxLength: 3 }).map((list) => {
  const gtids = new MariadbGtids()
  for (const { d, n } of list) gtids.set({ domain: d, server: 1, number: n })
  return gtids.toString()
})

const place: fc.Arbitrary<StreamPlace> = fc
  .oneof(
    fc.record({ flavour: fc.constant('mysql' as const), gtids: fc.option(mysqlGtids) }),
    fc.record({ flavour: fc.constant('mariadb' as const), gtids: mariadbGtids }),
  )
  .chain((gtids) =>
    fc.record({
      flavour: fc.constant(gtids.flavour),
      gtids: fc.constant(gtids.gtids),
      server: fc.constantFrom('a', 'b'),
      file: fc.constantFrom(
        'binlog.000009',
        'binlog.000010',
        'binlog.1000000',
        'other.000001',
        'odd',
      ),
      offset: small,
    }),
  )

const written = fc
  .record({ place, steps: fc.option(small), extra: fc.option(fc.string()) })
  .map(({ place: at, steps, extra }) =>
    formatPosition({
      place: at,
      snapshot: steps === null ? null : { steps, tables: {} },
      extras: extra === null ? {} : { schemas: extra },
    }),
  )

test('a position is read as it was written', () => {
  fc.assert(
    fc.property(place, fc.option(fc.jsonValue()), (at, extra) => {
      const prepared = [
        { xid: '6162,,1', gtids: null, server: 'a', file: 'binlog.000001', offset: 4 },
      ]
      const whole = {
        place: { ...at, prepared },
        snapshot: { steps: 1, tables: {} },
        extras: extra === null ? {} : { schemas: JSON.parse(JSON.stringify(extra)) as unknown },
      }
      assert.deepEqual(parsePosition(formatPosition(whole)), whole)
    }),
  )
})

test('positions are partially ordered', () => {
  fc.assert(
    fc.property(written, written, written, (a, b, c) => {
      assert.ok(atOrAfter(a, a), 'reflexive')
      if (atOrAfter(a, b) && atOrAfter(b, c)) assert.ok(atOrAfter(a, c), 'transitive')
      if (atOrAfter(a, b) && atOrAfter(b, a)) {
        const [left, right] = [parsePosition(a), parsePosition(b)]
        assert.equal(left.place.gtids, right.place.gtids, 'antisymmetric')
        if (left.place.gtids === null) {
          assert.deepEqual(
            [left.place.server, left.place.file, left.place.offset],
            [right.place.server, right.place.file, right.place.offset],
          )
        }
        assert.equal(left.snapshot?.steps ?? 0, right.snapshot?.steps ?? 0)
      }
    }),
    { numRuns: 3000 },
  )
})

test('what comes later in one server is after what came before', () => {
  const at = (file: string, offset: number): ReturnType<typeof formatPosition> =>
    formatPosition({
      place: { flavour: 'mysql', gtids: null, server: 'a', file, offset },
      snapshot: null,
      extras: {},
    })
  assert.ok(atOrAfter(at('binlog.1000000', 4), at('binlog.999999', 2 ** 40)))
  assert.ok(!atOrAfter(at('binlog.000002', 4), at('binlog.000002', 5)))
  assert.ok(!atOrAfter(at('other.000003', 4), at('binlog.000002', 4)))
})

test('a text that is no position is a bug of ours', () => {
  for (const text of [
    '',
    '{}',
    '{"lsn":"0/1"}',
    '{"flavour":"mysql","server":"a","file":1,"offset":4}',
  ]) {
    assert.throws(() => parsePosition(position(text)), { code: 'internal.bug' }, text)
  }
})
