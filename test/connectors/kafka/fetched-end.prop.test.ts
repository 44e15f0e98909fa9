/** Where a fetch goes on, by heads alone: as record-batches.ts has it, for any cut, and never by a guess. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fetchedEnd } from '../../../connectors/kafka/fetched-end.ts'

interface Head {
  readonly magic: 1 | 2
  /** Offsets that it holds. */
  readonly offsets: number
  readonly bodyBytes: number
}

/** Batches one after the other, whose offsets begin at `from`; where each ends, in bytes and offsets. */
function batches(from: number, heads: readonly Head[]) {
  const pieces: Buffer[] = []
  const ends: { readonly bytes: number; readonly offset: number }[] = []
  let bytes = 0
  let offset = from
  for (const { magic, offsets, bodyBytes } of heads) {
    const count = magic === 1 ? 1 : offsets
    const piece = Buffer.alloc(61 + bodyBytes, 0xff)
    piece.writeBigInt64BE(BigInt(offset), 0)
    piece.writeInt32BE(piece.length - 12, 8)
    piece[16] = magic
    if (magic === 2) piece.writeInt32BE(count - 1, 23)
    offset += count
    bytes += piece.length
    pieces.push(piece)
    ends.push({ bytes, offset })
  }
  return { bytes: Buffer.concat(pieces), ends }
}

const head: fc.Arbitrary<Head> = fc.record({
  magic: fc.constantFrom(1, 2),
  offsets: fc.integer({ min: 1, max: 1 << 20 }),
  bodyBytes: fc.nat(50),
})

test('it is the end of the last batch that is all there', () => {
  fc.assert(
    fc.property(
      fc.nat(2 ** 40),
      fc.array(head, { maxLength: 5 }),
      fc.nat(600),
      (from, heads, cut) => {
        const { bytes, ends } = batches(from, heads)
        const there = bytes.subarray(0, Math.min(cut, bytes.length))
        const last = ends.findLast((end) => end.bytes <= there.length)
        assert.equal(fetchedEnd(there, from), last?.offset ?? from)
      },
    ),
  )
})

test('bytes that are no batches end it, and are not read beyond', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(typeof fetchedEnd(bytes, 7), 'number')
    }),
    { numRuns: 2000 },
  )
})
