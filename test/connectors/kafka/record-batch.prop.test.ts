/**
 * Any records, written by kafkajs' encoder, are read as they were written; any bytes in LZ4 frames come out of ours as
 * out of the library's. Attacks invariant 9 (exact values).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import lz4 from 'lz4-napi'
import { inflateLz4, lz4Bound } from '../../../connectors/kafka/lz4.ts'
import { readAll, type ReadRecord } from './record-reading.ts'
import { Record, RecordBatch } from './written-batch.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
const nullable = fc.option(bytes, { nil: null })
const records = fc.array(
  fc.record({
    gap: fc.integer({ min: 1, max: 300 }),
    timeDelta: fc.maxSafeInteger().map((each) => Math.trunc(each / 4096)),
    key: nullable,
    value: nullable,
    headers: fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), bytes, {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  }),
  { minLength: 1, maxLength: 20 },
)

describe('record batches', () => {
  it('are read as they were written, with gaps, whatever is in them', async () => {
    const firstOffset = fc.integer({ min: 0, max: 2 ** 40 })
    await fc.assert(
      fc.asyncProperty(
        records,
        firstOffset,
        fc.constantFrom(0, 1, 2, 3, 4),
        async (list, base, codec) => {
          let delta = -1
          const placed = list.map((each) => ({ ...each, delta: (delta += each.gap) }))
          const baseTime = 1_700_000_000_000
          const encoded = await RecordBatch({
            compression: codec,
            firstOffset: String(base),
            firstTimestamp: baseTime,
            maxTimestamp: baseTime,
            lastOffsetDelta: delta,
            records: placed.map(({ delta, timeDelta, ...rest }) =>
              Record({ ...rest, offsetDelta: delta, timestampDelta: timeDelta }),
            ),
          })
          const wanted = placed.map((each): ReadRecord => ({
            offset: base + each.delta,
            timeMs: baseTime + each.timeDelta,
            key: each.key?.toString('latin1') ?? null,
            value: each.value?.toString('latin1') ?? null,
            headers: Object.entries(each.headers).map(([name, value]) => [
              Buffer.from(name).toString('latin1'),
              value?.toString('latin1') ?? null,
            ]),
          }))
          const read = readAll({ records: new Uint8Array(encoded.buffer), aborted: [] })
          // Milliseconds are kept as microseconds, which a double holds exactly up to the year 2255.
          const near = (list: readonly ReadRecord[]): readonly ReadRecord[] =>
            list.map((each) => ({ ...each, timeMs: Math.round(each.timeMs / 4096) }))
          assert.deepEqual(near(read), near(wanted))
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('LZ4', () => {
  const texts = fc.array(
    fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.constant('the same again '),
      fc.constant('0'.repeat(999)),
    ),
    { maxLength: 400 },
  )

  it('frames come out as of the library', () => {
    fc.assert(
      fc.property(texts, fc.boolean(), fc.boolean(), (parts, contentChecksum, blockChecksums) => {
        const plain = Buffer.from(parts.join(''))
        const frame = lz4.compressFrameSync(plain, { contentChecksum, blockChecksums })
        const bound = lz4Bound(frame, 0, frame.length)
        assert.ok(bound >= plain.length)
        const to = new Uint8Array(bound + 7)
        assert.equal(inflateLz4(frame, 0, frame.length, to, 7), plain.length + 7)
        assert.ok(plain.equals(to.subarray(7, plain.length + 7)))
      }),
      { numRuns: 200 },
    )
  })

  it('blocks that refer to those before are read, where the frame says that they do', () => {
    // Stored `abcdefgh`; then a match of 8 bytes, 8 back, and the last five as they are.
    const block = [0x04, 8, 0, 0x50, ...Buffer.from('12345')]
    const frame = (flags: number): Uint8Array =>
      Uint8Array.from(
        [
          [0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0],
          [8, 0, 0, 0x80, ...Buffer.from('abcdefgh')],
          [block.length, 0, 0, 0, ...block],
          [0, 0, 0, 0],
        ].flat(),
      )
    const to = new Uint8Array(64)
    const linked = frame(0x40)
    assert.equal(inflateLz4(linked, 0, linked.length, to, 0), 21)
    assert.equal(Buffer.from(to.subarray(0, 21)).toString(), 'abcdefghabcdefgh12345')
    const alone = frame(0x60)
    assert.equal(inflateLz4(alone, 0, alone.length, to, 0), -1)
  })

  it('damage is told, and writes nothing beyond its room', () => {
    fc.assert(
      fc.property(texts, fc.nat(), fc.integer({ min: 1, max: 255 }), (parts, where, mask) => {
        const plain = Buffer.from(parts.join(''))
        const frame = lz4.compressFrameSync(plain)
        frame[where % frame.length]! ^= mask
        const to = new Uint8Array(plain.length)
        const end = inflateLz4(frame, 0, frame.length, to, 0)
        assert.ok(end >= -2 && end <= plain.length)
        lz4Bound(frame, 0, frame.length)
      }),
      { numRuns: 500 },
    )
  })
})
