/** Column types from the catalog's text and from table maps; the policies; texts that are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnReader, selectSql } from '../../../connectors/mysql/values/column-reader.ts'
import {
  isNullable,
  logicalType,
  parseColumnType,
} from '../../../connectors/mysql/values/column-types.ts'
import { wireCodes } from '../../../connectors/mysql/values/column-types-codes.ts'
import {
  mysqlTypeOf,
  type WireDetails,
} from '../../../connectors/mysql/values/column-types-wire.ts'
import { ResultRows } from '../../../connectors/mysql/snapshot/result-rows.ts'
import type { MysqlType, ValuePolicies } from '../../../connectors/mysql/types.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { typeName } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'

const noText = { charset: null, isJson: false }
const utf8 = { charset: 'utf8mb4', isJson: false }
const stop: ValuePolicies = { tinyint1: 'int', zeroDates: 'stop' }

test('COLUMN_TYPE as MySQL 8 to 9.7 and MariaDB write it', () => {
  const cases: readonly (readonly [string, MysqlType])[] = [
    ['tinyint(1)', { kind: 'int', bytes: 1, unsigned: false, displayOne: true }],
    ['tinyint(1) unsigned', { kind: 'int', bytes: 1, unsigned: true, displayOne: true }],
    ['tinyint(10)', { kind: 'int', bytes: 1, unsigned: false, displayOne: false }],
    ['int(10) unsigned zerofill', { kind: 'int', bytes: 4, unsigned: true, displayOne: false }],
    ['bigint unsigned', { kind: 'int', bytes: 8, unsigned: true, displayOne: false }],
    ['decimal(65,30) unsigned', { kind: 'decimal', precision: 65, scale: 30 }],
    ['float(7,3)', { kind: 'float' }],
    ['double unsigned', { kind: 'double' }],
    ['bit(64)', { kind: 'bit', bits: 64 }],
    ['year(4)', { kind: 'year' }],
    ['year', { kind: 'year' }],
    ['year(2)', { kind: 'year2' }],
    ['time(3) /* mariadb-5.3 */', { kind: 'time', fraction: 3 }],
    ['datetime', { kind: 'datetime', fraction: 0 }],
    ['timestamp(6)', { kind: 'timestamp', fraction: 6 }],
    ['binary(5)', { kind: 'bytes', fixed: 5 }],
    ['varbinary(300)', { kind: 'bytes', fixed: null }],
    ['multipolygon', { kind: 'geometry' }],
    ['vector(3)', { kind: 'vector' }],
    ['uuid', { kind: 'uuid' }],
    ['xmltype', { kind: 'unknown', name: 'xmltype' }],
  ]
  for (const [text, type] of cases) assert.deepEqual(parseColumnType(text, noText), type, text)
})

test('labels with everything that stands between labels', () => {
  const text = `enum('a','b,c','it''s','','x\\\\y','(',')','l\\nn','\\0','%')`
  assert.deepEqual(parseColumnType(text, utf8), {
    kind: 'enum',
    labels: ['a', 'b,c', "it's", '', 'x\\y', '(', ')', 'l\nn', '\0', '%'],
  })
  assert.throws(() => parseColumnType("enum('a", utf8), { code: 'source.mysql.protocol' })
})

test('text, and JSON only where its bytes are UTF-8', () => {
  assert.deepEqual(parseColumnType('longtext', { ...utf8, isJson: true }), { kind: 'json' })
  assert.deepEqual(parseColumnType('longtext', { charset: 'latin1', isJson: true }), {
    kind: 'text',
    charset: 'latin1',
  })
  assert.deepEqual(parseColumnType('varchar(3)', { charset: 'binary', isJson: false }), {
    kind: 'bytes',
    fixed: null,
  })
})

test('a table map that says less than a type needs, with and without the catalog', () => {
  const silent: WireDetails = { unsigned: null, charset: null, labels: null, hint: null }
  const long = { code: wireCodes.long, meta: 0 }
  assert.equal(mysqlTypeOf(long, silent).kind, 'unknown', 'a sign is not guessed')
  const hint: MysqlType = { kind: 'int', bytes: 4, unsigned: true, displayOne: false }
  assert.deepEqual(mysqlTypeOf(long, { ...silent, hint }), hint)
  assert.equal(mysqlTypeOf(long, { ...silent, hint: { ...hint, bytes: 8 } }).kind, 'unknown')
  const varchar = { code: wireCodes.varchar, meta: 40 }
  assert.equal(mysqlTypeOf(varchar, silent).kind, 'unknown', 'nor a character set')
  const latin: MysqlType = { kind: 'text', charset: 'latin1' }
  assert.deepEqual(mysqlTypeOf(varchar, { ...silent, hint: latin }), latin)
  const labels = { code: wireCodes.enum, meta: 1 }
  assert.equal(mysqlTypeOf(labels, silent).kind, 'unknown')
  assert.deepEqual(
    mysqlTypeOf(labels, { ...silent, charset: 'latin1', labels: [Uint8Array.of(0xfc)] }),
    { kind: 'enum', labels: ['ü'] },
  )
  assert.equal(mysqlTypeOf({ code: 0x63, meta: 0 }, silent).kind, 'unknown')
})

test('a hint that does not fit the wire is not followed', () => {
  const details: WireDetails = {
    unsigned: null,
    charset: 'binary',
    labels: null,
    hint: { kind: 'uuid' },
  }
  assert.deepEqual(mysqlTypeOf({ code: wireCodes.string, meta: 16 }, details), { kind: 'uuid' })
  assert.deepEqual(mysqlTypeOf({ code: wireCodes.string, meta: 12 }, details), {
    kind: 'bytes',
    fixed: 12,
  })
  const json: WireDetails = { ...details, charset: 'latin1', hint: { kind: 'json' } }
  assert.deepEqual(mysqlTypeOf({ code: wireCodes.blob, meta: 4 }, json), {
    kind: 'text',
    charset: 'latin1',
  })
})

/** The zero date of each type in a row image and in a result set. */
const zeros: readonly (readonly [MysqlType, number, string, string])[] = [
  [{ kind: 'date' }, wireCodes.date, '000000', '0000-00-00'],
  [{ kind: 'date' }, wireCodes.date, '3fc80f', '2020-01-31'],
  [{ kind: 'datetime', fraction: 0 }, wireCodes.datetime2, '8000000000', '0000-00-00 00:00:00'],
  [{ kind: 'timestamp', fraction: 0 }, wireCodes.timestamp2, '00000000', '0000-00-00 00:00:00'],
]

test('invariant 9: a date that no calendar has stops the source, or is what was declared', () => {
  for (const [type, code, hex, text] of zeros) {
    const image = Buffer.from(hex, 'hex')
    const isReal = !text.startsWith('0000')
    for (const zeroDates of ['stop', 'null', 'text'] as const) {
      const policies: ValuePolicies = { ...stop, zeroDates }
      for (const wire of ['binlog', 'text'] as const) {
        const reader = columnReader(type, { code, meta: 0 }, policies)
        const bytes = wire === 'binlog' ? image : Buffer.from(text)
        const read = (): unknown => reader[wire](bytes, 0, bytes.length)
        if (zeroDates === 'stop' && !isReal) {
          assert.throws(read, { code: 'source.mysql.zero_date', fault: 'config' })
          continue
        }
        read()
        const expected = isReal || zeroDates === 'text' ? text : null
        assert.equal(textAt(logicalType(type, policies), reader.builder.finish(), 0), expected)
      }
      const column = { name: 'v', type, nullable: false }
      assert.equal(isNullable(column, policies), zeroDates === 'null')
    }
  }
})

test('what the first copy selects', () => {
  const select = (type: MysqlType): string => selectSql({ name: 'a`b', type, nullable: true })
  assert.equal(select({ kind: 'float' }), '(`a``b` * 1e0)')
  assert.equal(select({ kind: 'text', charset: 'utf8mb4' }), '`a``b`')
  assert.equal(select({ kind: 'text', charset: 'gbk' }), 'CONVERT(`a``b` USING binary)')
})

test('a text that is none of its type is refused, not read as another value', () => {
  const cases: readonly (readonly [MysqlType, readonly string[]])[] = [
    [
      { kind: 'int', bytes: 4, unsigned: false, displayOne: false },
      ['', '-', '1.5', '2147483648', ' 1', '1e3'],
    ],
    [
      { kind: 'int', bytes: 8, unsigned: true, displayOne: false },
      ['-1', '18446744073709551616', 'x'],
    ],
    [{ kind: 'decimal', precision: 5, scale: 2 }, ['1', '1.5', '1.555', '1.5.', '', 'NaN', '.']],
    [{ kind: 'decimal', precision: 30, scale: 2 }, ['1', '.55', '1.5x', '']],
    [{ kind: 'double' }, ['', 'nan', 'inf', '1e', '0x10', '.']],
    [{ kind: 'date' }, ['2020-1-01', '2020/01/01', '2020-01-01 00:00:00', '']],
    [{ kind: 'time', fraction: 0 }, ['24:60:00', '839:00:00', '1:00:00', '00:00', '00:00:00.', '']],
    [
      { kind: 'datetime', fraction: 0 },
      ['2020-01-01', '2020-01-01T00:00:00', '2020-01-01 24:00:00'],
    ],
    [{ kind: 'bit', bits: 9 }, ['1', '123']],
    [
      { kind: 'uuid' },
      ['123e4567-e89b-12d3-a456-42661417400', '123e4567xe89b-12d3-a456-426614174000'],
    ],
    [{ kind: 'text', charset: 'utf8mb4' }, ['\xff', 'x'.repeat(100) + '\xc3']],
    [{ kind: 'text', charset: 'ascii' }, ['\xe9']],
  ]
  for (const [type, texts] of cases) {
    for (const text of texts) {
      const bytes = Buffer.from(text, 'latin1')
      const reader = columnReader(type, null, stop)
      const name = `${typeName(logicalType(type, stop))} ${JSON.stringify(text)}`
      assert.throws(() => reader.text(bytes, 0, bytes.length), { code: 'source.mysql.value' }, name)
    }
  }
})

test('a type that is not known: text in the copy, refused in the stream', () => {
  const reader = columnReader({ kind: 'unknown', name: 'xmltype' }, { code: 99, meta: 0 }, stop)
  reader.text(Buffer.from('<a/>'), 0, 4)
  assert.equal(textAt({ kind: 'other', name: 'xmltype' }, reader.builder.finish(), 0), '<a/>')
  assert.throws(() => reader.binlog(Buffer.alloc(9), 0, 9), { code: 'source.mysql.type' })
})

test('a character set that is not known is named', () => {
  const type: MysqlType = { kind: 'text', charset: 'klingon' }
  assert.throws(() => columnReader(type, null, stop), /klingon/)
})

test('an error of a value names the table and the column, never the value', () => {
  const fields = ['id', 'made_on', 'name'].map((name) => ({
    name,
    type: { kind: 'text' as const },
    nullable: true,
  }))
  const types: readonly MysqlType[] = [
    { kind: 'int', bytes: 4, unsigned: false, displayOne: false },
    { kind: 'date' },
    { kind: 'text', charset: 'utf8mb4' },
  ]
  const readers = types.map((type) => columnReader(type, null, stop))
  const schema = makeSchema(fields, [0], 'upsert')
  const rows = new ResultRows(readers, { topic: 'shop.orders', schema })
  const read = (...values: string[]): void => {
    const row = Buffer.concat(
      values.flatMap((value) => [Buffer.from([value.length]), Buffer.from(value)]),
    )
    rows.row(row, 0, row.length)
  }
  read('1', '2020-01-31', 'a')
  assert.throws(() => read('2', '2020-00-00', 'b'), {
    code: 'source.mysql.zero_date',
    message: /^shop\.orders, column made_on: (?!.*2020)/,
    remedy: /zero_dates/,
  })
})
