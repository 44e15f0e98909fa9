/** Two values of every type: as our rows have them, and as Feast's SDK takes and gives them (feast.ts). */
import type { LogicalType } from '../../../../core/record/types.ts'
import type { Value } from '../../../conformance/rows.ts'

export interface Case {
  readonly column: string
  readonly logical: LogicalType
  /** Under `types`, where it is not the default. */
  readonly chosen?: string
  readonly feast: string
  /** As our source has it, and as Feast's SDK is given it and gives it back. */
  readonly values: readonly (readonly [ours: Value, theirs: unknown])[]
}

export const int = (text: string) => ({ int: text })
const float = (text: string) => ({ float: text })
const list = (element: LogicalType): LogicalType => ({ kind: 'list', element })

const uuid = '0b4ad3b2-7b0e-4b6c-9d7e-0c9d9a3f1a2b'
export const cases: readonly Case[] = [
  {
    column: 'flag',
    logical: { kind: 'bool' },
    feast: 'Bool',
    values: [
      [true, true],
      [false, false],
    ],
  },
  {
    column: 'small',
    logical: { kind: 'int16' },
    feast: 'Int32',
    values: [
      [-32768, int('-32768')],
      [0, int('0')],
    ],
  },
  {
    column: 'medium',
    logical: { kind: 'int32' },
    feast: 'Int32',
    values: [
      [-2147483648, int('-2147483648')],
      [2147483647, int('2147483647')],
    ],
  },
  {
    column: 'medium64',
    logical: { kind: 'int32' },
    chosen: 'int64',
    feast: 'Int64',
    values: [
      [-1, int('-1')],
      [300, int('300')],
    ],
  },
  {
    column: 'large',
    logical: { kind: 'int64' },
    feast: 'Int64',
    values: [
      [9223372036854775807n, int('9223372036854775807')],
      [-9223372036854775808n, int('-9223372036854775808')],
    ],
  },
  {
    column: 'exact',
    logical: { kind: 'int64' },
    feast: 'Int64',
    values: [
      [9007199254740993n, int('9007199254740993')],
      [-9007199254740991n, int('-9007199254740991')],
    ],
  },
  {
    column: 'unsigned',
    logical: { kind: 'uint64' },
    feast: 'Int64',
    values: [
      [9223372036854775807n, int('9223372036854775807')],
      [1n, int('1')],
    ],
  },
  {
    column: 'whole',
    logical: { kind: 'uint64' },
    chosen: 'decimal',
    feast: 'Decimal',
    values: [
      [18446744073709551615n, { decimal: '18446744073709551615' }],
      [0n, { decimal: '0' }],
    ],
  },
  {
    column: 'single',
    logical: { kind: 'float32' },
    feast: 'Float32',
    values: [
      [0.9273980259895325, float('0x1.dad3ea0000000p-1')],
      [-0, float('-0x0.0p+0')],
    ],
  },
  {
    column: 'real',
    logical: { kind: 'float64' },
    feast: 'Float64',
    values: [
      [0.1, float('0x1.999999999999ap-4')],
      [Infinity, float('inf')],
    ],
  },
  {
    column: 'price',
    logical: { kind: 'decimal', precision: 12, scale: 2 },
    feast: 'Decimal',
    values: [
      ['12.50', { decimal: '12.50' }],
      ['-0.01', { decimal: '-0.01' }],
    ],
  },
  {
    column: 'huge',
    logical: { kind: 'decimal', precision: null, scale: null },
    feast: 'Decimal',
    values: [
      [
        '123456789012345678901234567890.123456789',
        { decimal: '123456789012345678901234567890.123456789' },
      ],
      ['NaN', { decimal: 'NaN' }],
    ],
  },
  {
    column: 'name',
    logical: { kind: 'text' },
    feast: 'String',
    values: [
      ['é 😀 \n\u0000', 'é 😀 \n\u0000'],
      ['', ''],
    ],
  },
  {
    column: 'blob',
    logical: { kind: 'bytes' },
    feast: 'Bytes',
    values: [
      [Buffer.from('00ff80', 'hex'), { hex: '00ff80' }],
      [Buffer.alloc(0), { hex: '' }],
    ],
  },
  {
    column: 'doc',
    logical: { kind: 'json' },
    feast: 'Json',
    values: [
      ['{"a": [1, null]}', { json: '{"a": [1, null]}' }],
      ['17', int('17')],
    ],
  },
  {
    column: 'token',
    logical: { kind: 'uuid' },
    feast: 'Uuid',
    values: [
      [uuid, { uuid }],
      [uuid, { uuid }],
    ],
  },
  {
    column: 'day',
    logical: { kind: 'date' },
    feast: 'UnixTimestamp',
    values: [
      [-1, { time: '1969-12-31T00:00:00+00:00' }],
      [20454, { time: '2026-01-01T00:00:00+00:00' }],
    ],
  },
  {
    column: 'moment',
    logical: { kind: 'timestamptz' },
    chosen: 'unix_timestamp',
    feast: 'UnixTimestamp',
    values: [
      [1_767_225_600_000_000, { time: '2026-01-01T00:00:00+00:00' }],
      [-62_135_596_800_000_000n, { time: '0001-01-01T00:00:00+00:00' }],
    ],
  },
  {
    column: 'micros',
    logical: { kind: 'timestamptz' },
    chosen: 'int64',
    feast: 'Int64',
    values: [
      [1_767_225_600_000_001, int('1767225600000001')],
      [-62_135_596_799_999_999n, int('-62135596799999999')],
    ],
  },
  {
    column: 'clock',
    logical: { kind: 'time' },
    feast: 'String',
    values: [
      [86_399_999_999, '23:59:59.999999'],
      [0, '00:00:00'],
    ],
  },
  {
    column: 'flags',
    logical: list({ kind: 'bool' }),
    feast: 'Array(Bool)',
    values: [
      [
        [true, false],
        [true, false],
      ],
      [[false], [false]],
    ],
  },
  {
    column: 'ints',
    logical: list({ kind: 'int32' }),
    feast: 'Array(Int32)',
    values: [
      [
        [-1, 300, 0],
        [int('-1'), int('300'), int('0')],
      ],
      [[7], [int('7')]],
    ],
  },
  {
    column: 'longs',
    logical: list({ kind: 'int64' }),
    feast: 'Array(Int64)',
    values: [
      [
        [9223372036854775807n, -1n],
        [int('9223372036854775807'), int('-1')],
      ],
      [[0n], [int('0')]],
    ],
  },
  {
    column: 'singles',
    logical: list({ kind: 'float32' }),
    feast: 'Array(Float32)',
    values: [
      [
        [1.5, -2],
        [float('0x1.8000000000000p+0'), float('-0x1.0000000000000p+1')],
      ],
      [[0], [float('0x0.0p+0')]],
    ],
  },
  {
    column: 'reals',
    logical: list({ kind: 'float64' }),
    feast: 'Array(Float64)',
    values: [
      [
        Array.from({ length: 40 }, () => 0.1),
        Array.from({ length: 40 }, () => float('0x1.999999999999ap-4')),
      ],
      [[2], [float('0x1.0000000000000p+1')]],
    ],
  },
  {
    column: 'texts',
    logical: list({ kind: 'text' }),
    feast: 'Array(String)',
    values: [
      [
        ['a', '', 'é'],
        ['a', '', 'é'],
      ],
      [['x'.repeat(300)], ['x'.repeat(300)]],
    ],
  },
  {
    column: 'blobs',
    logical: list({ kind: 'bytes' }),
    feast: 'Array(Bytes)',
    values: [
      [[Buffer.from('ff', 'hex')], [{ hex: 'ff' }]],
      [[Buffer.from('00', 'hex')], [{ hex: '00' }]],
    ],
  },
  {
    column: 'days',
    logical: list({ kind: 'date' }),
    feast: 'Array(UnixTimestamp)',
    values: [
      [
        [-1, 0],
        [{ time: '1969-12-31T00:00:00+00:00' }, { time: '1970-01-01T00:00:00+00:00' }],
      ],
      [[1], [{ time: '1970-01-02T00:00:00+00:00' }]],
    ],
  },
  {
    column: 'tokens',
    logical: list({ kind: 'uuid' }),
    feast: 'Array(Uuid)',
    values: [
      [
        [uuid, uuid],
        [{ uuid }, { uuid }],
      ],
      [[uuid], [{ uuid }]],
    ],
  },
  {
    column: 'prices',
    logical: list({ kind: 'decimal', precision: 12, scale: 2 }),
    feast: 'Array(Decimal)',
    values: [
      [
        ['1.50', '-2.00'],
        [{ decimal: '1.50' }, { decimal: '-2.00' }],
      ],
      [['0.01'], [{ decimal: '0.01' }]],
    ],
  },
]
