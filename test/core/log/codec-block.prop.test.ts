/**
 * The block codec: invariants 6 (same input, same bytes) and 9 (exact values). Any batch of any
 * schema comes back bit for bit, and no damage yields a batch.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  decodeBlock,
  decodeBlockSync,
  encodeBlock,
  encodeBlockSync,
} from '../../../core/log/codec-block.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeBatch, type Batch } from '../../../core/record/batch.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { anyBatch } from '../../support/batches.ts'
import { assertSameBatch, assertSameBytes } from '../../support/same-batch.ts'

const place = { object: 'seg/x', byte: 4096 }

/** The bytes at an address that is no multiple of 8, with other bytes around them. */
function misaligned(bytes: Uint8Array, by: number): Uint8Array {
  const around = new Uint8Array(bytes.length + 16).fill(0xa5)
  around.set(bytes, by)
  return around.subarray(by, by + bytes.length)
}

test('invariant 9: any batch survives bit for bit, from any address', () => {
  fc.assert(
    fc.property(anyBatch(), fc.integer({ min: 1, max: 7 }), (batch, by) => {
      const bytes = encodeBlockSync(batch)
      assert.equal(bytes.length % 8, 0)
      assertSameBatch(decodeBlockSync(batch.schema, bytes, place), batch)
      assertSameBatch(decodeBlockSync(batch.schema, misaligned(bytes, by), place), batch)
      // The store may hand over a Buffer, whose slice() does not copy.
      assertSameBatch(decodeBlockSync(batch.schema, Buffer.from(bytes), place), batch)
    }),
    { numRuns: 400 },
  )
})

test('invariant 6: the same batch gives the same bytes, on this thread or on others', async () => {
  await fc.assert(
    fc.asyncProperty(anyBatch(), async (batch) => {
      const bytes = encodeBlockSync(batch)
      assertSameBytes('again', encodeBlockSync(batch), bytes)
      assertSameBytes('threads', await encodeBlock(batch), bytes)
    }),
    { numRuns: 60 },
  )
  for (const batch of [largeBatch(30_000, 1), largeBatch(70_000, 7)]) {
    const bytes = encodeBlockSync(batch)
    assertSameBytes('threads', await encodeBlock(batch), bytes)
    assertSameBatch(decodeBlockSync(batch.schema, bytes, place), batch)
    assertSameBatch(await decodeBlock(batch.schema, misaligned(bytes, 3), place), batch)
  }
})

test('a decoded batch keeps no reference to the bytes it came from', () => {
  fc.assert(
    fc.property(anyBatch(), (batch) => {
      const bytes = encodeBlockSync(batch)
      const decoded = decodeBlockSync(batch.schema, bytes, place)
      bytes.fill(0xff)
      assertSameBatch(decoded, batch)
    }),
    { numRuns: 60 },
  )
})

test('any damaged byte without its checksum: an error of the log or some batch, never a crash or a hang', () => {
  fc.assert(
    fc.property(
      anyBatch({ rowsMax: 20 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (batch, at, by) => {
        const bytes = encodeBlockSync(batch)
        bytes[at % bytes.length]! ^= by
        onlyCorrupt(() => decodeBlockSync(batch.schema, bytes, place))
      },
    ),
    { numRuns: 1500 },
  )
})

test('any truncation or growth of a block is refused', () => {
  fc.assert(
    fc.property(anyBatch({ rowsMax: 20 }), fc.nat(), (batch, cut) => {
      const bytes = encodeBlockSync(batch)
      const short = bytes.subarray(0, cut % bytes.length)
      assert.throws(() => decodeBlockSync(batch.schema, short, place), isCorrupt)
      const grown = new Uint8Array(bytes.length + 8)
      grown.set(bytes)
      assert.throws(() => decodeBlockSync(batch.schema, grown, place), isCorrupt)
    }),
    { numRuns: 300 },
  )
})

test('a forged size asks for no memory: rows, parts and raw sizes are bounded', () => {
  const batch = largeBatch(64, 1)
  for (const [at, value] of [
    [0, 0xffffffff],
    [0, 2 ** 24 + 1],
    [4, 0xffffffff],
    [8, 0xffffffff],
    [16, 0xffffffff],
    [20, 0x7fffffff],
  ] as const) {
    const bytes = encodeBlockSync(batch)
    new DataView(bytes.buffer).setUint32(at, value, true)
    const before = process.memoryUsage().arrayBuffers
    assert.throws(() => decodeBlockSync(batch.schema, bytes, place), isCorrupt, `${at}`)
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24, `${at}`)
  }
})

test('errors name the object and a byte within it', () => {
  const bytes = encodeBlockSync(largeBatch(10, 1))
  assert.throws(
    () => decodeBlockSync(largeBatch(1, 1).schema, bytes.subarray(0, 8), place),
    (error: unknown) => isCorrupt(error) && /^seg\/x, byte 41\d\d: /.test((error as Error).message),
  )
})

test('blocks of another schema are refused', () => {
  const batch = largeBatch(10, 1)
  const other = makeSchema(batch.schema.fields.slice(1), [], 'append')
  assert.throws(() => decodeBlockSync(other, encodeBlockSync(batch), place), isCorrupt)
})

test('invariant 9: numbers at the borders of each packing', () => {
  const borders = [
    0,
    1,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 48 - 1,
    2 ** 48,
    2 ** 52,
    2 ** 53 - 1,
  ]
  const values = borders.flatMap((v) => [v, -v - 1]).filter((v) => Number.isSafeInteger(v))
  for (const a of values) {
    for (const b of values) {
      for (const row of [
        [a, b],
        [a, b, a],
        [b, a, a, b],
        [a, a + 1, a + 2, b],
      ]) {
        roundTripDoubles(row)
      }
    }
  }
  for (const special of [NaN, Infinity, -Infinity, -0, 0.5, 2 ** 60])
    roundTripDoubles([1, special, 2])
})

function roundTripDoubles(values: readonly number[]): void {
  const schema = makeSchema(
    [{ name: 'v', type: { kind: 'float64' }, nullable: false }],
    [],
    'append',
  )
  const rows = values.length
  const batch = makeBatch(
    schema,
    [{ encoding: 'float64', length: rows, validity: null, values: Float64Array.from(values) }],
    new Int32Array(rows).fill(1),
    new Uint8Array(rows),
    Float64Array.from(values),
  )
  assertSameBatch(decodeBlockSync(schema, encodeBlockSync(batch), place), batch)
}

/** Enough rows for frames of their own and for libuv's threads; `mix` makes the numbers unruly. */
function largeBatch(rows: number, mix: number): Batch {
  const schema = makeSchema(
    [
      { name: 'id', type: { kind: 'int64' }, nullable: false },
      { name: 'note', type: { kind: 'text' }, nullable: false },
      { name: 'wide', type: { kind: 'int64' }, nullable: false },
    ],
    [0],
    'append',
  )
  const text = new TextEncoder().encode(
    Array.from({ length: rows }, (_, i) =>
      `row ${(i * 7919 * mix) % 9973} of many;`.padEnd(24),
    ).join(''),
  )
  return makeBatch(
    schema,
    [
      {
        encoding: 'float64',
        length: rows,
        validity: null,
        values: Float64Array.from({ length: rows }, (_, i) => i * mix),
      },
      {
        encoding: 'bytes',
        length: rows,
        validity: null,
        offsets: Int32Array.from({ length: rows + 1 }, (_, i) =>
          Math.floor((text.length * i) / rows),
        ),
        data: text,
      },
      {
        encoding: 'int64',
        length: rows,
        validity: null,
        values: BigInt64Array.from(
          { length: rows },
          (_, i) => BigInt(i) * 0x1234567890n ** BigInt(mix % 2),
        ),
      },
    ],
    new Int32Array(rows).fill(1),
    new Uint8Array(rows),
    Float64Array.from({ length: rows }, (_, i) => 1e15 + i),
  )
}

function isCorrupt(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'log.corrupt'
}

function onlyCorrupt(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    if (!isCorrupt(error)) throw error
  }
}
