/**
 * Row images cut short, and with bits turned over: each value reads as something or is refused with a
 * code, and no reader looks beyond its end or goes on for ever (DESIGN §4, invariants 5 and 8). Values
 * written by the formats' grammar come back exactly (invariant 9).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { columnReader } from '../../../connectors/mysql/values/column-reader.ts'
import { logicalType } from '../../../connectors/mysql/values/column-types.ts'
import { wireCodes } from '../../../connectors/mysql/values/column-types-codes.ts'
import { jsonDiff } from '../../../connectors/mysql/values/json-diff.ts'
import type { MysqlType, ValuePolicies, WireColumn } from '../../../connectors/mysql/types.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { textAt } from '../../../core/record/value.ts'

const policies: ValuePolicies = { tinyint1: 'int', zeroDates: 'null' }

/** Every kind of reader, with a wire form of its own. */
const kinds: readonly (readonly [MysqlType, WireColumn])[] = [
  [
    { kind: 'int', bytes: 1, unsigned: false, displayOne: true },
    { code: wireCodes.tiny, meta: 0 },
  ],
  [
    { kind: 'int', bytes: 3, unsigned: true, displayOne: false },
    { code: wireCodes.int24, meta: 0 },
  ],
  [
    { kind: 'int', bytes: 4, unsigned: true, displayOne: false },
    { code: wireCodes.long, meta: 0 },
  ],
  [
    { kind: 'int', bytes: 8, unsigned: true, displayOne: false },
    { code: wireCodes.longlong, meta: 0 },
  ],
  [{ kind: 'float' }, { code: wireCodes.float, meta: 4 }],
  [{ kind: 'double' }, { code: wireCodes.double, meta: 8 }],
  [
    { kind: 'decimal', precision: 12, scale: 3 },
    { code: wireCodes.newDecimal, meta: 0xc03 },
  ],
  [
    { kind: 'decimal', precision: 18, scale: 0 },
    { code: wireCodes.newDecimal, meta: 0x1200 },
  ],
  [
    { kind: 'decimal', precision: 65, scale: 30 },
    { code: wireCodes.newDecimal, meta: 0x411e },
  ],
  [
    { kind: 'bit', bits: 1 },
    { code: wireCodes.bit, meta: 1 },
  ],
  [
    { kind: 'bit', bits: 61 },
    { code: wireCodes.bit, meta: 0x705 },
  ],
  [{ kind: 'year' }, { code: wireCodes.year, meta: 0 }],
  [{ kind: 'date' }, { code: wireCodes.date, meta: 0 }],
  [
    { kind: 'time', fraction: 0 },
    { code: wireCodes.time, meta: 0 },
  ],
  [
    { kind: 'time', fraction: 3 },
    { code: wireCodes.time, meta: 0 },
  ],
  [
    { kind: 'time', fraction: 2 },
    { code: wireCodes.time2, meta: 2 },
  ],
  [
    { kind: 'time', fraction: 6 },
    { code: wireCodes.time2, meta: 6 },
  ],
  [
    { kind: 'datetime', fraction: 0 },
    { code: wireCodes.datetime, meta: 0 },
  ],
  [
    { kind: 'datetime', fraction: 6 },
    { code: wireCodes.datetime, meta: 0 },
  ],
  [
    { kind: 'datetime', fraction: 4 },
    { code: wireCodes.datetime2, meta: 4 },
  ],
  [
    { kind: 'timestamp', fraction: 0 },
    { code: wireCodes.timestamp, meta: 0 },
  ],
  [
    { kind: 'timestamp', fraction: 6 },
    { code: wireCodes.timestamp2, meta: 6 },
  ],
  [
    { kind: 'text', charset: 'utf8mb4' },
    { code: wireCodes.varchar, meta: 100 },
  ],
  [
    { kind: 'text', charset: 'latin1' },
    { code: wireCodes.blob, meta: 3 },
  ],
  [
    { kind: 'text', charset: 'gb18030' },
    { code: wireCodes.varchar, meta: 300 },
  ],
  [
    { kind: 'text', charset: 'ujis' },
    { code: wireCodes.varchar, meta: 300 },
  ],
  [
    { kind: 'text', charset: 'utf16' },
    { code: wireCodes.string, meta: 400 },
  ],
  [
    { kind: 'text', charset: 'utf32' },
    { code: wireCodes.string, meta: 40 },
  ],
  [
    { kind: 'text', charset: 'utf8mb4' },
    { code: wireCodes.blobCompressed, meta: 2 },
  ],
  [
    { kind: 'bytes', fixed: 12 },
    { code: wireCodes.string, meta: 12 },
  ],
  [
    { kind: 'bytes', fixed: null },
    { code: wireCodes.blob, meta: 4 },
  ],
  [
    { kind: 'enum', labels: ['a', 'b'] },
    { code: wireCodes.enum, meta: 1 },
  ],
  [
    { kind: 'set', labels: ['a', 'b', 'c'] },
    { code: wireCodes.set, meta: 1 },
  ],
  [{ kind: 'json' }, { code: wireCodes.json, meta: 4 }],
  [{ kind: 'geometry' }, { code: wireCodes.geometry, meta: 4 }],
  [{ kind: 'vector' }, { code: wireCodes.vector, meta: 4 }],
  [{ kind: 'uuid' }, { code: wireCodes.string, meta: 16 }],
  [{ kind: 'inet4' }, { code: wireCodes.string, meta: 4 }],
  [{ kind: 'inet6' }, { code: wireCodes.string, meta: 16 }],
]

/** The value within a source whose other bytes are `around`; the code of the refusal where it is refused. */
function outcome(
  [type, wire]: (typeof kinds)[number],
  method: 'binlog' | 'skip',
  bytes: Uint8Array,
  around: number,
): string | null {
  const start = 3
  const end = start + bytes.length
  const source = new Uint8Array(end + 64).fill(around)
  source.set(bytes, start)
  const reader = columnReader(type, wire, policies)
  try {
    const next = reader[method](source, start, end)
    assert.ok(next > start && next <= end, 'stays inside')
    if (method === 'skip') return String(next)
    const column = reader.builder.finish()
    assert.equal(column.length, 1, 'one value')
    return `${next} ${textAt(logicalType(type, policies), column, 0)}`
  } catch (error) {
    assert.ok(error instanceof SluiceError, String(error))
    assert.match(error.code, /^source\.mysql\.(protocol|value)$/)
    return error.code
  }
}

/** A reader that looked beyond the end would see other bytes there. */
function readsOrRefuses(type: MysqlType, wire: WireColumn, bytes: Uint8Array): void {
  for (const method of ['binlog', 'skip'] as const) {
    const first = outcome([type, wire], method, bytes, 0x31)
    assert.equal(outcome([type, wire], method, bytes, 0xff), first)
  }
}

for (const [type, wire] of kinds) {
  test(`any bytes: ${JSON.stringify(type)}, code ${wire.code}`, () => {
    const short = fc.uint8Array({ maxLength: 40 })
    const sized = fc.uint8Array({ maxLength: 40 }).map((bytes) => {
      const width = wire.meta >= 1 && wire.meta <= 4 ? wire.meta : wire.meta > 255 ? 2 : 1
      return Uint8Array.from([bytes.length, ...Array<number>(width - 1).fill(0), ...bytes])
    })
    fc.assert(
      fc.property(fc.oneof(short, sized), (bytes) => readsOrRefuses(type, wire, bytes)),
      { numRuns: 400 },
    )
  })
}

/** {"a": 1, "b": [true, "x"]} */
const document = Buffer.from(
  '00 0200 2000 1200 0100 1300 0100 05 0100 02 1400 61 62 0200 0c00 04 0100 0c 0a00 01 78'.replaceAll(
    ' ',
    '',
  ),
  'hex',
)

test('the JSON documents that bits are turned over in are whole', () => {
  for (const [bytes, text] of [
    [document, '{"a": 1, "b": [true, "x"]}'],
    [nestedArrays(3), '[[[[]]]]'],
  ] as const) {
    const reader = columnReader({ kind: 'json' }, { code: wireCodes.json, meta: 1 }, policies)
    reader.binlog(prefixed(bytes), 0, bytes.length + 1)
    assert.equal(textAt({ kind: 'json' }, reader.builder.finish(), 0), text)
  }
})

test('JSON with bits turned over ends, with a text or a refusal', () => {
  const nested = nestedArrays(60)
  fc.assert(
    fc.property(
      fc.constantFrom(document, nested),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      (valid, flips, cut) => {
        const bytes = Uint8Array.from(valid)
        for (const [place, value] of flips) bytes[place % bytes.length] = value
        const kept = bytes.subarray(0, 1 + (cut % bytes.length))
        readsOrRefuses({ kind: 'json' }, { code: wireCodes.json, meta: 1 }, prefixed(kept))
        readsOrRefuses({ kind: 'json' }, { code: wireCodes.json, meta: 1 }, prefixed(bytes))
      },
    ),
    { numRuns: 3000 },
  )
})

test('a JSON document whose offsets all lead to one place is refused, however deep', () => {
  // Each level has two entries that both are the next level: 2^40 values out of 400 bytes.
  const levels = 30
  const bytes: number[] = [2]
  for (let level = 0; level < levels; level++) {
    const size = (levels - level) * 10
    bytes.push(2, 0, size & 0xff, size >> 8, 2, 10, 0, 2, 10, 0)
  }
  const reader = columnReader({ kind: 'json' }, { code: wireCodes.json, meta: 2 }, policies)
  const source = Uint8Array.from([bytes.length & 0xff, bytes.length >> 8, ...bytes])
  assert.throws(() => reader.binlog(source, 0, source.length), { code: 'source.mysql.protocol' })
})

test('any bytes as changes of a JSON document', () => {
  const text = Buffer.from('{"a": [1, 2], "b": {"c": "x"}}')
  const path = fc.constantFrom(
    '$.a',
    '$.a[0]',
    '$.b."c"',
    '$[last]',
    '$',
    'x',
    '$.a[last-1]',
    '$."',
  )
  const change = fc
    .tuple(fc.nat(3), path, fc.uint8Array({ maxLength: 12 }))
    .map(([op, at, value]) =>
      Buffer.concat([
        Buffer.from([op, at.length]),
        Buffer.from(at),
        Buffer.from([value.length]),
        value,
      ]),
    )
  fc.assert(
    fc.property(fc.oneof(change, fc.uint8Array({ maxLength: 30 })), (bytes) => {
      try {
        jsonDiff(bytes, 0, bytes.length).edit(text)
      } catch (error) {
        assert.ok(error instanceof SluiceError, String(error))
        assert.match(error.code, /^source\.mysql\.(protocol|json_diff)$/)
      }
    }),
    { numRuns: 2000 },
  )
})

test('times of every precision come back from their packed form', () => {
  const us = fc.integer({ min: -3_020_399_999_999, max: 3_020_399_999_999 })
  fc.assert(
    fc.property(us, fc.nat(6), (value, fraction) => {
      const unit = 10 ** (6 - fraction)
      const exact = Math.trunc(value / unit) * unit
      const reader = columnReader(
        { kind: 'time', fraction },
        { code: wireCodes.time2, meta: fraction },
        policies,
      )
      const bytes = packedTime(exact, (fraction + 1) >> 1)
      assert.equal(reader.binlog(bytes, 0, bytes.length), bytes.length)
      const column = reader.builder.finish()
      assert.equal(column.encoding === 'float64' ? column.values[0] : null, exact === 0 ? 0 : exact)
    }),
  )
})

/** As sql-common/my_time.cc packs them: hour × 4096 + minute × 64 + second, the fraction behind. */
function packedTime(us: number, fractionBytes: number): Uint8Array {
  const size = BigInt(Math.abs(us))
  const seconds = size / 1_000_000n
  const hms = ((seconds / 3600n) << 12n) | (((seconds / 60n) % 60n) << 6n) | (seconds % 60n)
  const unit = [1_000_000n, 10_000n, 100n, 1n][fractionBytes]!
  const bits = BigInt(fractionBytes * 8)
  const packed = (hms << bits) + (size % 1_000_000n) / unit
  let value = (0x800000n << bits) + (us < 0 ? -packed : packed)
  const bytes = new Uint8Array(3 + fractionBytes)
  for (let i = bytes.length - 1; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 0xffn)
  return bytes
}

function prefixed(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([bytes.length, ...bytes])
}

/** [[[…]]]: small arrays with one element each. */
function nestedArrays(depth: number): Uint8Array {
  let inner: number[] = [0, 0, 4, 0]
  for (let i = 0; i < depth && inner.length < 240; i++) {
    const size = inner.length + 7
    inner = [1, 0, size & 0xff, size >> 8, 2, 7, 0, ...inner]
  }
  return Uint8Array.from([2, ...inner])
}
