/** Positions: their text gives them back, and their order is a partial order. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { formatLsn, parseLsn } from '../../../connectors/postgres/lsn.ts'
import { atOrAfter, formatPosition, parsePosition } from '../../../connectors/postgres/position.ts'
import { nothingCopied } from '../../../connectors/postgres/snapshot-progress.ts'
import { position } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'

const lsn = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 20n))
const pgPosition = fc.record(
  { lsn, snapshot: fc.option(fc.nat(4).map((steps) => ({ ...nothingCopied, steps }))) },
  { noNullPrototype: true },
)

describe('positions', () => {
  it('come back from their text', () => {
    fc.assert(
      fc.property(pgPosition, lsn, (place, at) => {
        assert.deepEqual(parsePosition(formatPosition(place)), place)
        assert.equal(parseLsn(formatLsn(at)), at)
      }),
    )
    for (const text of ['', '{}', '{"lsn":"1"}', 'null', '{"lsn":"G/0"}']) {
      assert.throws(() => parsePosition(position(text)), SluiceError)
    }
  })

  it('are ordered partially: reflexive, transitive, and equal both ways only where nothing differs', () => {
    fc.assert(
      fc.property(pgPosition, pgPosition, pgPosition, (a, b, c) => {
        const [x, y, z] = [formatPosition(a), formatPosition(b), formatPosition(c)]
        assert.ok(atOrAfter(x, x))
        if (atOrAfter(x, y) && atOrAfter(y, z)) assert.ok(atOrAfter(x, z))
        if (atOrAfter(x, y) && atOrAfter(y, x)) {
          assert.equal(a.lsn, b.lsn)
          assert.equal(a.snapshot?.steps ?? 0, b.snapshot?.steps ?? 0)
        }
        if (atOrAfter(x, y)) assert.ok(a.lsn >= b.lsn)
      }),
    )
  })

  it('compares LSNs as numbers, not as text', () => {
    const at = (text: string) => formatPosition({ lsn: parseLsn(text), snapshot: null })
    assert.ok(atOrAfter(at('10/0'), at('9/FFFFFFFF')))
    assert.ok(!atOrAfter(at('9/FFFFFFFF'), at('10/0')))
  })
})
