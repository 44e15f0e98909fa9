/**
 * Result sets from bytes: every border of the reads, every size of a value, and whatever a broken
 * server may send (invariants 8 and 9: bounded, exact).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { columnReader } from '../../../connectors/mysql/values/column-reader.ts'
import { packetReader } from '../../../connectors/mysql/binlog/packets.ts'
import { ResultRows } from '../../../connectors/mysql/snapshot/result-rows.ts'
import { Answer } from '../../../connectors/mysql/snapshot/result-set.ts'
import type { MysqlType, ValuePolicies } from '../../../connectors/mysql/types.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { Op } from '../../../core/record/batch.ts'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import { textAt } from '../../../core/record/value.ts'

const policies: ValuePolicies = { tinyint1: 'int', zeroDates: 'stop' }
const types: readonly MysqlType[] = [
  { kind: 'int', bytes: 8, unsigned: false, displayOne: false },
  { kind: 'text', charset: 'utf8mb4' },
]
const fields: readonly Field[] = [
  { name: 'id', type: { kind: 'int64' }, nullable: false },
  { name: 'note', type: { kind: 'text' }, nullable: true },
]
const schema = makeSchema(fields, [0], 'upsert')

type Row = readonly (string | null)[]

/** Packets numbered from 1 on; a payload of 16 MiB or more in several. */
function packets(...payloads: readonly Buffer[]): Buffer {
  const parts: Buffer[] = []
  let sequence = 1
  for (const payload of payloads) {
    for (let at = 0; ; at += 0xffffff) {
      const body = payload.subarray(at, at + 0xffffff)
      const header = Buffer.alloc(4)
      header.writeUIntLE(body.length, 0, 3)
      header[3] = sequence++ & 0xff
      parts.push(header, body)
      if (body.length < 0xffffff) break
    }
  }
  return Buffer.concat(parts)
}

function lengthEncoded(length: number): Buffer {
  if (length <= 250) return Buffer.from([length])
  const [marker, bytes] = length < 65_536 ? [0xfc, 2] : length < 2 ** 24 ? [0xfd, 3] : [0xfe, 8]
  const out = Buffer.alloc(1 + bytes)
  out[0] = marker
  out.writeUIntLE(length, 1, Math.min(bytes, 6))
  return out
}

function rowPayload(row: Row): Buffer {
  return Buffer.concat(
    row.flatMap((value) =>
      value === null
        ? [Buffer.from([0xfb])]
        : [lengthEncoded(Buffer.byteLength(value)), Buffer.from(value)],
    ),
  )
}

const eof = Buffer.from([0xfe, 0, 0, 2, 0])
const definition = Buffer.from('\x03defsomething')

function answerOf(rows: readonly Row[]): Buffer {
  return packets(Buffer.from([2]), definition, definition, eof, ...rows.map(rowPayload), eof)
}

/** Reads the answer in pieces; the rows as text, and whether it came to its end. */
function read(
  bytes: Buffer,
  cuts: readonly number[],
): { rows: Row[]; ended: boolean; error: unknown } {
  const rows = new ResultRows(types.map((type) => columnReader(type, null, policies)))
  const answer = new Answer(rows)
  const reader = packetReader(answer, false)
  const borders = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])]
  borders.sort((a, b) => a - b)
  for (let i = 1; i < borders.length; i++) {
    reader.give(Buffer.from(bytes.subarray(borders[i - 1], borders[i])))
    reader.run()
  }
  const batch = rows.take(schema, 17)
  assert.ok(batch.ops.every((op) => op === Op.snapshot) && batch.weights.every((w) => w === 1))
  assert.ok(batch.timesUs.every((time) => time === 17))
  const texts = Array.from({ length: batch.rows }, (_, row) =>
    fields.map(({ type }, i) => textAt(type, batch.columns[i]!, row)),
  )
  return { rows: texts, ended: answer.ended, error: answer.error }
}

describe('a result set', () => {
  it('is the same wherever the reads of the socket end', () => {
    const row = fc.tuple(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      fc.option(
        fc.oneof(
          fc.string({ unit: 'grapheme' }),
          fc.nat(70_000).map((n) => 'x'.repeat(n)),
        ),
      ),
    )
    fc.assert(
      fc.property(fc.array(row, { maxLength: 12 }), fc.array(fc.nat()), (rows, cuts) => {
        assert.deepEqual(read(answerOf(rows), cuts), { rows, ended: true, error: null })
      }),
      { numRuns: 300 },
    )
  })

  it('holds values of every form of length, and rows of several packets', () => {
    for (const length of [250, 251, 65_535, 65_536, 0xffffff - 12, 0xffffff, 0xffffff + 100]) {
      const rows = [
        ['7', 'x'.repeat(length)],
        ['8', null],
      ] as const
      const found = read(answerOf(rows), [5, 100_000, 0xffffff + 7])
      assert.ok(found.ended)
      assert.deepEqual(
        found.rows.map(([id, note]) => [id, note?.length ?? null]),
        [
          ['7', length],
          ['8', null],
        ],
        `${length} bytes`,
      )
    }
  })

  it('ends with the server’s error, after the rows before it', () => {
    const error = Buffer.from([0xff, 0x84, 0x05, ...Buffer.from('#HY000table changed')])
    const bytes = packets(
      Buffer.from([2]),
      definition,
      definition,
      eof,
      rowPayload(['1', 'a']),
      error,
    )
    const found = read(bytes, [])
    assert.deepEqual(found.rows, [['1', 'a']])
    assert.ok(found.ended)
    assert.equal((found.error as { errno: number }).errno, 1412)
    assert.match(String(found.error), /table changed/)
  })

  it('refuses whatever is no result set, and never reads past a packet', () => {
    const good = answerOf([
      ['1', 'hello'],
      ['-9223372036854775808', null],
      ['3', 'ä'.repeat(300)],
    ])
    fc.assert(
      fc.property(
        fc.nat(good.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.option(fc.nat(good.length)),
        (at, change, end) => {
          const bytes = Buffer.from(good)
          bytes[at]! ^= change
          try {
            read(bytes.subarray(0, end ?? bytes.length), [at])
          } catch (error) {
            assert.ok(error instanceof SluiceError, String(error))
            assert.match(error.code, /^source\.mysql\./)
          }
        },
      ),
      { numRuns: 2000 },
    )
    const head = [Buffer.from([2]), definition, definition]
    const malformed: readonly (readonly Buffer[])[] = [
      [...head, rowPayload(['1', 'a'])],
      [Buffer.from([0]), Buffer.from([2])],
      [Buffer.from([0xfb, 0x61])],
      [Buffer.alloc(0)],
      [...head, eof, Buffer.from([1])],
      [...head, eof, rowPayload(['1', 'a', 'b'])],
      [...head, eof, rowPayload(['1'])],
    ]
    for (const [i, payloads] of malformed.entries()) {
      assert.throws(() => read(packets(...payloads), []), SluiceError, `case ${i}`)
    }
  })
})
