/**
 * What each type takes of JSON, and what it refuses. Attacks invariant 9: what a column cannot hold as it
 * is written is refused, not changed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JsonFormat } from '../../../../core/connector/format/json-format.ts'
import { fieldsOf, readAll, readOne } from './support.ts'

/** Per type: JSON and the text of the value, `null`, or `false` = refused. */
const cases: Readonly<
  Record<string, readonly (readonly [json: string, text: string | null | false])[]>
> = {
  'bool?': [
    ['true', 't'],
    ['false', 'f'],
    ['null', null],
    ['1', false],
    ['"true"', false],
    ['{}', false],
  ],
  int16: [
    ['32767', '32767'],
    ['-32768', '-32768'],
    ['32768', false],
    ['-32769', false],
    ['-0', '0'],
    ['12.0', '12'],
    ['1.2e1', '12'],
    ['0e999999999', '0'],
    ['1e999999999', false],
    ['12.5', false],
    ['"12"', '12'],
    ['"12x"', false],
    ['""', false],
    ['null', false],
    ['[]', false],
  ],
  int64: [
    ['9007199254740993', '9007199254740993'],
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['9223372036854775808', false],
    ['"-9223372036854775808"', '-9223372036854775808'],
    ['"\\u0031\\u0032"', '12'],
    ['123456789012345', '123456789012345'],
    ['1234567890123456', '1234567890123456'],
    ['9.223372036854775807e18', '9223372036854775807'],
    ['0', '0'],
    ['true', false],
  ],
  uint64: [
    ['18446744073709551615', '18446744073709551615'],
    ['18446744073709551616', false],
    ['-1', false],
    ['-0', '0'],
  ],
  float64: [
    ['0.1', '0.1'],
    ['1e308', '1e+308'],
    ['1e309', false],
    ['-1e309', false],
    ['1e-400', '0'],
    ['123456789012345678', '1.2345678901234568e+17'],
    ['52.520006599999997', '52.520006599999995'],
    ['"NaN"', 'NaN'],
    ['"-Infinity"', '-Infinity'],
    ['"1.5"', '1.5'],
    ['"nan"', false],
    ['"0x10"', false],
    ['" 1"', false],
  ],
  float32: [
    ['0.1', '0.1'],
    ['3.4028235e38', '3.4028235e+38'],
    ['3.40282356e38', '3.4028235e+38'],
    ['3.4028236e38', false],
    ['3.5e38', false],
    ['16777217', '1.6777216e+07'],
    // In the middle between two floats as a double, above it as a number.
    ['16777217.0000000001', '1.6777218e+07'],
    ['-16777217.0000000001', '-1.6777218e+07'],
    ['1.00000017881393432617187499', '1.0000001'],
    ['1.00000017881393432617187500', '1.0000002'],
    ['1.00000017881393432617187501', '1.0000002'],
  ],
  'decimal(12,2)': [
    ['0', '0.00'],
    ['-0.00', '0.00'],
    ['12.5', '12.50'],
    ['12.500', '12.50'],
    ['12.505', false],
    ['9999999999.99', '9999999999.99'],
    ['10000000000', false],
    ['1.25e1', '12.50'],
    ['"12.50"', '12.50'],
    ['"NaN"', 'NaN'],
    ['"Infinity"', false],
    ['123456789012345678901234567890', false],
  ],
  'decimal(18,4)': [
    ['99999999999999.9999', '99999999999999.9999'],
    ['-99999999999999.9999', '-99999999999999.9999'],
    ['100000000000000', false],
    ['0.00001', false],
  ],
  'decimal(30,5)': [
    ['1234567890123456789012345.12345', '1234567890123456789012345.12345'],
    ['1.5', '1.50000'],
    ['-0', '0.00000'],
    ['0.000001', false],
  ],
  decimal: [
    ['0.10', '0.10'],
    ['1e5', '100000'],
    ['1.5e-10', '0.00000000015'],
    ['-0.0', '0.0'],
    ['1e200000', false],
    ['"Infinity"', 'Infinity'],
    ['"12a"', false],
  ],
  text: [
    ['"a"', 'a'],
    ['""', ''],
    ['12.50', '12.50'],
    ['true', 'true'],
    ['"\\ud83d\\ude00\\n\\u00e9\\/\\u0000"', '😀\né/\0'],
    ['"😀é"', '😀é'],
    ['"\\ud83d"', false],
    ['"\\ude00\\ud83d"', false],
    ['"\\ud83dx"', false],
    ['{"a":1}', false],
    ['[]', false],
    ['null', false],
  ],
  json: [
    ['{"a": [1, 2.50, "\\u0041"]}', '{"a": [1, 2.50, "\\u0041"]}'],
    ['"a"', '"a"'],
    ['12.50', '12.50'],
    ['"\\ud83d"', '"\\ud83d"'],
    ['null', false],
  ],
  bytes: [
    ['""', '\\x'],
    ['"AAH/"', '\\x0001ff'],
    ['"AAH_"', '\\x0001ff'],
    ['"AQ=="', '\\x01'],
    ['"AQ"', '\\x01'],
    ['"AR=="', false],
    ['"A"', false],
    ['"AQ="', false],
    ['"A=Q="', false],
    ['"AQ\\u003d\\u003d"', '\\x01'],
    ['1', false],
  ],
  uuid: [
    ['"6ba7b810-9dad-11d1-80b4-00c04fd430c8"', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
    ['"6BA7B8109DAD11D180B400C04FD430C8"', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
    ['"6ba7b810-9dad-11d1-80b4-00c04fd430c"', false],
    ['"6ba7b8109-dad-11d1-80b4-00c04fd430c8"', false],
    ['"6ba7b810-9dad-11d1-80b4-00c04fd430cg"', false],
  ],
  date: [
    ['"2026-01-31"', '2026-01-31'],
    ['"2024-02-29"', '2024-02-29'],
    ['"2026-02-29"', false],
    ['"1900-02-29"', false],
    ['"2026-13-01"', false],
    ['"2026-00-01"', false],
    ['"0000-01-01"', '0001-01-01 BC'],
    ['"+012345-01-01"', '12345-01-01'],
    ['"-000043-03-15"', '0044-03-15 BC'],
    ['"26-01-31"', false],
    ['"2026-1-31"', false],
    ['"2026-01-31T00:00:00"', false],
    ['"infinity"', 'infinity'],
    ['"-infinity"', '-infinity'],
    ['20260131', false],
  ],
  time: [
    ['"23:59:59.999999"', '23:59:59.999999'],
    ['"10:30"', '10:30:00'],
    ['"24:00:00"', '24:00:00'],
    ['"24:00:01"', '24:00:01'],
    ['"838:59:59"', '838:59:59'],
    ['"839:00:00"', false],
    ['"10:60:00"', false],
    ['"-838:59:59.5"', '-838:59:59.5'],
    ['"10:00:00Z"', false],
    ['"10:00:00.1234565"', '10:00:00.123457'],
  ],
  timestamp: [
    ['"2026-01-31T10:00:00"', '2026-01-31 10:00:00'],
    ['"2026-01-31 10:00:00.5"', '2026-01-31 10:00:00.5'],
    ['"2026-01-31"', '2026-01-31 00:00:00'],
    ['"2026-01-31T10:00:00Z"', false],
    ['"2026-12-31T23:59:60"', '2027-01-01 00:00:00'],
    ['"2026-12-31T23:59:59.9999999"', '2027-01-01 00:00:00'],
    ['"+200000-01-01T00:00:00.000001"', '200000-01-01 00:00:00.000001'],
    ['"+300000-01-01T00:00:00"', false],
    ['1700000000', false],
    ['"2026-01-31T"', false],
    ['"2026-01-31T10"', false],
  ],
  timestamptz: [
    ['"2026-01-31T10:00:00Z"', '2026-01-31 10:00:00+00'],
    ['"2026-01-31t10:00:00.123z"', '2026-01-31 10:00:00.123+00'],
    ['"2026-01-31T10:00:00,5+02:00"', '2026-01-31 08:00:00.5+00'],
    ['"2026-01-31 10:00:00 -0530"', '2026-01-31 15:30:00+00'],
    ['"2026-01-31T10:00+02"', '2026-01-31 08:00:00+00'],
    ['"1883-11-18T12:00:00-04:56:02"', '1883-11-18 16:56:02+00'],
    ['"2026-01-31T10:00:00\\u005a"', '2026-01-31 10:00:00+00'],
    ['"2026-01-31T10:00:00"', false],
    ['"2026-01-31"', false],
    ['"2026-01-31Z"', false],
    ['"2026-01-31T10:00:00+25:00"', false],
    ['"2026-01-31T10:00:00+02:"', false],
    ['"2026-01-31T10:00:00Zx"', false],
    ['"infinity"', 'infinity'],
    ['1700000000', false],
  ],
  interval: [
    ['"P1Y2M3DT4H5M6.7S"', '1 year 2 mons 3 days 04:05:06.7'],
    ['"PT-1M"', '-00:01:00'],
    ['"-P1D"', '-1 days'],
    ['"P2W"', '14 days'],
    ['"P"', false],
    ['"P1DT"', false],
    ['"1D"', false],
    ['"P3000000000D"', false],
  ],
  'list<int32>': [
    ['[]', '{}'],
    ['[1,null, -2 ]', '{1,NULL,-2}'],
    ['[1,"2"]', '{1,2}'],
    ['[1,2.5]', false],
    ['[[1]]', false],
    ['1', false],
  ],
  'list<list<text>>': [['[["a"],[],null]', '{{a},{},NULL}']],
}

for (const [type, all] of Object.entries(cases)) {
  test(type, () => {
    const format = new JsonFormat(fieldsOf({ v: type }))
    for (const [json, text] of all) {
      // Once by the way of a name that is new, once by that of one that was learned.
      for (const round of [1, 2]) {
        const read = readOne(format, `{"v":${json},"w":${round}}`)
        if (text === false)
          assert.match(String(read), /^v: (?:is null; )?expected /, `${json}: ${String(read)}`)
        else assert.deepEqual(read, [text], json)
      }
    }
  })
}

test('numbers are times where a unit is given, exactly to the microsecond', () => {
  const read = (unit: 's' | 'ms' | 'us' | 'ns', json: string): unknown =>
    readOne(new JsonFormat(fieldsOf({ v: 'timestamptz' }), { epoch: unit }), `{"v":${json}}`)
  assert.deepEqual(read('s', '1700000000'), ['2023-11-14 22:13:20+00'])
  assert.deepEqual(read('s', '1700000000.1234565'), ['2023-11-14 22:13:20.123457+00'])
  assert.deepEqual(read('s', '1.7e9'), ['2023-11-14 22:13:20+00'])
  assert.deepEqual(read('s', '-0.5'), ['1969-12-31 23:59:59.5+00'])
  assert.deepEqual(read('ms', '1700000000123'), ['2023-11-14 22:13:20.123+00'])
  assert.deepEqual(read('us', '1700000000123456'), ['2023-11-14 22:13:20.123456+00'])
  assert.deepEqual(read('ns', '1700000000123456499'), ['2023-11-14 22:13:20.123456+00'])
  assert.deepEqual(read('ns', '1700000000123456500'), ['2023-11-14 22:13:20.123457+00'])
  assert.deepEqual(read('ns', '499'), ['1970-01-01 00:00:00+00'])
  assert.deepEqual(read('ns', '-500'), ['1969-12-31 23:59:59.999999+00'])
  assert.deepEqual(read('ms', '"2026-01-31T10:00:00Z"'), ['2026-01-31 10:00:00+00'])
  assert.deepEqual(read('s', '7000000000000'), ['223791-03-03 12:26:40+00'])
  assert.match(String(read('s', '9223372036855')), /^v: expected timestamptz/)
  assert.match(String(read('s', '1e999999999')), /^v: expected timestamptz/)
})

test('units may differ by column', () => {
  const fields = fieldsOf({ a: 'timestamptz', b: 'timestamp', c: 'timestamptz' })
  const format = new JsonFormat(fields, { epoch: { a: 's', b: 'ms' } })
  assert.deepEqual(readOne(format, '{"a":1,"b":1,"c":"1970-01-01T00:00:00Z"}'), [
    '1970-01-01 00:00:01+00',
    '1970-01-01 00:00:00.001',
    '1970-01-01 00:00:00+00',
  ])
  assert.match(String(readOne(format, '{"a":1,"b":1,"c":1}')), /^c: expected .*`epoch`/)
})

test('a name that comes twice counts the last time, also where the first did not fit', () => {
  const format = new JsonFormat(fieldsOf({ a: 'int64', l: 'list<int64>?' }))
  assert.deepEqual(readOne(format, '{"a":1,"a":2}'), ['2', null])
  assert.deepEqual(readOne(format, '{"a":"x","a":2}'), ['2', null])
  assert.deepEqual(readOne(format, '{"l":[1,2,"x"],"a":2,"l":[3]}'), ['2', '{3}'])
  assert.match(String(readOne(format, '{"a":2,"a":"x"}')), /^a: expected int64/)
  assert.deepEqual(readOne(format, '{"\\u0061":5}'), ['5', null])
})

test('what is missing is null, or refused by name', () => {
  const format = new JsonFormat(fieldsOf({ a: 'int64', b: 'text?' }))
  assert.deepEqual(readOne(format, '{"a":1}'), ['1', null])
  assert.match(String(readOne(format, '{"b":"x"}')), /^a: is missing; expected int64/)
  assert.match(String(readOne(format, '{}')), /^a: is missing/)
})

test('messages never hold the value', () => {
  const format = new JsonFormat(fieldsOf({ a: 'int64' }))
  assert.doesNotMatch(String(readOne(format, '{"a":"secret"}')), /secret/)
  assert.doesNotMatch(String(readOne(format, '{"a":secret}')), /secret/)
})

test('a key may be a bare value', () => {
  const bare = new JsonFormat(fieldsOf({ id: 'int64' }), { bare: true })
  assert.deepEqual(readOne(bare, ' 9007199254740993 '), ['9007199254740993'])
  assert.deepEqual(readOne(bare, '{"id":7}'), ['7'])
  assert.match(String(readOne(bare, '12 x')), /^: not JSON/)
  assert.match(String(readOne(bare, '"a"')), /^id: expected int64/)
  assert.match(String(readOne(bare, '')), /^: not JSON/)
  const json = new JsonFormat(fieldsOf({ id: 'json' }), { bare: true })
  assert.deepEqual(readOne(json, '{"id":7}'), ['{"id":7}'])
})

test('nesting is bounded', () => {
  const format = new JsonFormat(fieldsOf({ a: 'json?' }))
  const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
  assert.deepEqual(readOne(format, nested(200)), [`${'['.repeat(200)}${']'.repeat(200)}`])
  assert.match(String(readOne(format, nested(100_000))), /^: not JSON: nesting too deep/)
  assert.match(String(readOne(format, `{"b":${'{"x":'.repeat(100_000)}`)), /nesting too deep/)
})

test('members in changing order and number are found', () => {
  const names = Array.from({ length: 40 }, (_, i) => `field_${i}`)
  const format = new JsonFormat(fieldsOf(Object.fromEntries(names.map((name) => [name, 'int64?']))))
  let state = 1
  const values: { text: string; row: (string | null)[] }[] = []
  for (let i = 0; i < 500; i++) {
    const members = new Map<string, number>()
    for (let j = 0; j < 30; j++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      members.set(state % 3 === 0 ? `other_${state % 5000}` : names[state % 40]!, state)
    }
    const row = names.map((name) => members.get(name)?.toString() ?? null)
    values.push({ text: JSON.stringify(Object.fromEntries(members)), row })
  }
  const rows = readAll(
    format,
    values.map(({ text }) => Buffer.from(text)),
  )
  assert.deepEqual(
    rows,
    values.map(({ row }) => row),
  )
})

test('texts of any length, plain or not, anywhere in them', () => {
  const format = new JsonFormat(fieldsOf({ v: 'text', w: 'text?' }))
  const texts: string[] = []
  for (const length of [0, 1, 2, 3, 4, 5, 7, 8, 63, 250, 254, 255, 256, 257, 258, 259, 260, 5000]) {
    texts.push('x'.repeat(length))
    for (const odd of ['é', '"', '\\', '\u0001', '😀', '~', '\u007f']) {
      for (const place of [0, 1, 2, 3, length - 1, length]) {
        texts.push('x'.repeat(Math.max(0, place)) + odd + 'y'.repeat(Math.max(0, length - place)))
      }
    }
  }
  const values = texts.map((text) => Buffer.from(JSON.stringify({ v: text, w: text })))
  assert.deepEqual(
    readAll(format, values),
    texts.map((text) => [text, text]),
  )
  for (const text of ['x'.repeat(255), 'x'.repeat(256), 'x'.repeat(257)]) {
    assert.match(String(readOne(format, `{"v":"${text}`)), /a string is not closed/)
    assert.match(String(readOne(format, `{"v":"${text}\n"}`)), /a control character/)
  }
})
