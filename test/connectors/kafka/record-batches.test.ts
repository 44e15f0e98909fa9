/**
 * Record sets of real brokers (test/fixtures/kafka), read by kafkajs' own decoder as the judge; then every way to
 * cut them off, and every bit of them turned around. Attacks invariants 5 (nothing vanishes) and 8 (bounded): damage
 * is an error with a code, or a shorter answer, never a wrong value.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { SluiceError } from '../../../core/errors/error.ts'
import { RecordBatches } from '../../../connectors/kafka/record-batches.ts'
import { judged, readAll, type Fetched } from './record-reading.ts'

const folder = new URL('../../fixtures/kafka/', import.meta.url)
const fixtures = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, fetched: load(name) }))

const brokersTimes = '0.10-gzip-LogAppendTime.json'

function load(name: string): Fetched {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const { aborted, records } = JSON.parse(text) as {
    readonly aborted: readonly { readonly producerId: string; readonly firstOffset: string }[]
    readonly records: string
  }
  return {
    records: new Uint8Array(Buffer.from(records, 'base64')),
    aborted: aborted.map((each) => ({
      producerId: BigInt(each.producerId),
      firstOffset: BigInt(each.firstOffset),
    })),
  }
}

/** What may come of damage. */
const codes = new Set(['source.kafka.corrupt', 'source.kafka.batch_size', 'source.kafka.position'])
function isTyped(error: unknown): boolean {
  return error instanceof SluiceError && codes.has(error.code)
}

/** Offsets at which batches begin. */
function* batchesOf(records: Uint8Array): Generator<{ readonly at: number; readonly end: number }> {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  for (let at = 0; at < records.length;) {
    const end = at + 12 + view.getInt32(at + 8)
    yield { at, end: Math.min(end, records.length) }
    at = end
  }
}

describe('record sets of real brokers', () => {
  it('has all formats, codecs and kinds', () => {
    assert.ok(fixtures.length >= 24, `${fixtures.length} recordings`)
  })

  for (const { name, fetched } of fixtures) {
    it(`${name}: as kafkajs reads it`, async () => {
      const own = readAll(fetched)
      const judge = await judged(fetched)
      assert.ok(own.length > 0)
      if (name !== brokersTimes) return assert.deepEqual(own, judge)
      // kafkajs leaves the times within a wrapper as they are, though its flag says that they are the broker's.
      assert.ok(own.every(({ timeMs }, index) => timeMs > judge[index]!.timeMs))
      const untimed = judge.map((record, index) => ({ ...record, timeMs: own[index]!.timeMs }))
      assert.deepEqual(own, untimed)
    })

    it(`${name}: cut off anywhere`, () => {
      const whole = readAll(fetched)
      const ends = new Set([...batchesOf(fetched.records)].map(({ end }) => end))
      const heads = headBytes(fetched.records)
      let before = 0
      for (let length = 0; length <= fetched.records.length; length++) {
        // At the edges every byte, between them some.
        if (!heads.has(length) && !ends.has(length) && length % 7 !== 0) continue
        const records = fetched.records.subarray(0, length)
        const read = readAll({ ...fetched, records })
        // More comes exactly where a batch is complete.
        assert.ok(read.length === before || ends.has(length))
        if (read.length !== before) assert.deepEqual(read, whole.slice(0, read.length))
        before = read.length
      }
      assert.equal(before, whole.length)
    })

    it(`${name}: any bit turned around`, () => {
      const whole = readAll(fetched).map((record) => JSON.stringify(record))
      const values = new Set(whole.map((text) => text.replace(/"offset":\d+,/, '')))
      const records = Uint8Array.from(fetched.records)
      const heads = headBytes(records)
      let refused = 0
      for (let bit = 0; bit < records.length * 8; bit++) {
        // All of the heads, and some of what their checksums cover.
        if (bit % 31 !== 0 && !heads.has(bit >> 3)) continue
        records[bit >> 3]! ^= 1 << (bit & 7)
        try {
          for (const record of readAll({ ...fetched, records })) {
            // The offset of a batch is outside of its checksum, and the end of it is where it is cut off.
            const text = JSON.stringify(record).replace(/"offset":\d+,/, '')
            assert.ok(values.has(text), `bit ${bit}: ${text}`)
          }
        } catch (error) {
          if (!isTyped(error)) throw error
          refused++
        }
        records[bit >> 3]! ^= 1 << (bit & 7)
      }
      assert.ok(refused > heads.size)
    })
  }

  it('transactions: what was committed and only that, in order', () => {
    for (const name of ['4.3-transactions.json', '0.11-transactions.json']) {
      const values = readAll(load(name)).map(({ value }) => value)
      assert.equal(values.length, 20)
      assert.ok(values.every((value) => value!.startsWith('commit')))
      // Without the list of what was aborted, all of it is there.
      assert.equal(readAll({ ...load(name), aborted: [] }).length, 36)
    }
  })

  it('goes on behind the last batch, though it has no records to be seen', () => {
    const { records } = load('4.3-transactions.json')
    const batches = new RecordBatches()
    batches.open({ records, aborted: [] }, 0)
    let seen = 0
    for (let read = batches.next(); read !== null; read = batches.next()) seen += read.count
    // Eight markers, of which the last ones stand at the end.
    assert.deepEqual([seen, batches.end], [36, 44])
  })
})

it('what is before a damaged batch is handed out first', () => {
  for (const name of ['4.3-uncompressed.json', '4.3-zstd.json', '0.10-gzip.json']) {
    const { records, aborted } = load(name)
    const damaged = Uint8Array.from(records)
    damaged[damaged.length - 1]! ^= 1
    const batches = new RecordBatches()
    batches.open({ records: damaged, aborted, topic: 'orders' }, 3)
    let seen = 0
    const rest = (): void => {
      for (let read = batches.next(); read !== null; read = batches.next()) seen += read.count
    }
    assert.throws(rest, /orders partition 3 at offset (24|35) is damaged/)
    assert.equal(seen, 24)
    assert.equal(batches.end, 24)
  }
})

function headBytes(records: Uint8Array): ReadonlySet<number> {
  const found = new Set<number>()
  for (const { at, end } of batchesOf(records)) {
    for (let byte = at; byte < Math.min(at + 61, end); byte++) found.add(byte)
  }
  return found
}

describe('damage behind a checksum that is right', () => {
  for (const { name, fetched } of fixtures) {
    if (!/^(4\.3|0\.11)/.test(name)) continue
    it(`${name}: any byte of any batch`, () => {
      for (const { at, end } of [...batchesOf(fetched.records)].slice(0, 2)) {
        const records = Uint8Array.from(fetched.records)
        const view = new DataView(records.buffer)
        for (let byte = at + 21; byte < end; byte++) {
          for (const mask of [1, 0x80, 0xff]) {
            records[byte]! ^= mask
            view.setUint32(at + 17, crc32c(records.subarray(at + 21, end)))
            try {
              readAll({ ...fetched, records }, 1 << 20)
            } catch (error) {
              if (!isTyped(error)) throw error
            }
            records[byte]! ^= mask
          }
        }
      }
    })
  }
})

describe('bombs', () => {
  const zeros = Buffer.alloc(8 << 20)
  const bombs = [gzipSync(zeros), snappy.compressSync(zeros), lz4.compressFrameSync(zeros)]
  for (const [index, payload] of [...bombs, zstdCompressSync(zeros)].entries()) {
    it(`codec ${index + 1}: more than a batch may have is not inflated`, () => {
      const records = batchOf(payload, index + 1)
      assert.throws(
        () => readAll({ records, aborted: [] }, 1 << 20),
        (error: SluiceError) => error.code === 'source.kafka.batch_size',
      )
      // Zeros are no records.
      assert.throws(
        () => readAll({ records, aborted: [] }, 16 << 20),
        (error: SluiceError) => error.code === 'source.kafka.corrupt',
      )
    })
  }

  it('a number of records that cannot be there is not allocated', () => {
    const records = batchOf(Buffer.alloc(64), 0, 0x7fff_ffff)
    assert.throws(() => readAll({ records, aborted: [] }), isTyped)
  })
})

function batchOf(payload: Buffer, codec: number, count = 1): Uint8Array {
  const batch = Buffer.alloc(61 + payload.length)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(codec, 21)
  batch.writeInt32BE(Math.max(0, count - 1), 23)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt32BE(count, 57)
  payload.copy(batch, 61)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return new Uint8Array(batch)
}
