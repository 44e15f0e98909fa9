/**
 * Values by chance in columns of every shape: what the stream reads from the row image is what the first
 * copy reads from its result set, and for what has a text of its own, what was put in (DESIGN §4,
 * invariant 9). The seed is in the name of the test; SLUICE_TEST_SEED repeats it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { loadTables, type CatalogTable } from '../../../connectors/mysql/schema/catalog.ts'
import { columnReader, selectSql } from '../../../connectors/mysql/values/column-reader.ts'
import { logicalType } from '../../../connectors/mysql/values/column-types.ts'
import type { ColumnReader, ValuePolicies } from '../../../connectors/mysql/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { rowsInBinlog, type RowsOf } from '../../support/mysql-binlog.ts'

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1e9)
const rowCount = 200
const policies: ValuePolicies = { tinyint1: 'int', zeroDates: 'null' }

interface Shape {
  readonly type: string
  readonly literal: fc.Arbitrary<string>
  /** The literal is the text of the value. */
  readonly isText: boolean
}

const digits = (count: number): fc.Arbitrary<string> =>
  fc.array(fc.nat(9), { minLength: count, maxLength: count }).map((each) => each.join(''))
const two = (value: number): string => String(value).padStart(2, '0')
const sign = fc.constantFrom('', '-')

function decimal(precision: number, scale: number): Shape {
  const integer = digits(precision - scale).map((text) => text.replace(/^0+(?=\d)/, '') || '0')
  return {
    type: `DECIMAL(${precision}, ${scale})`,
    literal: fc.tuple(sign, integer, digits(scale)).map(([minus, whole, fraction]) => {
      const text = scale === 0 ? whole : `${whole}.${fraction}`
      return /[1-9]/.test(text) ? minus + text : text
    }),
    isText: true,
  }
}

function integer(type: string, min: bigint, max: bigint): Shape {
  return { type, literal: fc.bigInt({ min, max }).map(String), isText: true }
}

function time(fraction: number): Shape {
  return {
    type: `TIME(${fraction})`,
    literal: fc
      .tuple(sign, fc.nat(838), fc.nat(59), fc.nat(58), digits(fraction))
      .map(([minus, h, m, s, part]) => `'${minus}${h}:${two(m)}:${two(s)}${part && `.${part}`}'`),
    isText: false,
  }
}

function datetime(type: 'DATETIME' | 'TIMESTAMP', fraction: number): Shape {
  const year = type === 'DATETIME' ? { min: 0, max: 9999 } : { min: 1971, max: 2037 }
  return {
    type: `${type}(${fraction}) NULL`,
    literal: fc
      .tuple(
        fc.integer(year),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 28 }),
        fc.nat(86_399),
        digits(fraction),
      )
      .map(([y, m, d, s, part]) => {
        const clock = `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
        return `'${String(y).padStart(4, '0')}-${two(m)}-${two(d)} ${clock}${part && `.${part}`}'`
      }),
    isText: false,
  }
}

function text(charset: string): Shape {
  // Characters that all of these sets have.
  return {
    type: `VARCHAR(80) CHARACTER SET ${charset}`,
    literal: fc
      .string({
        unit: fc.constantFrom('a', 'Z', ' ', '~', '0', 'é', 'ß', '漢', '字', 'い', '—', '한', '😀'),
      })
      .map((value) => `CONVERT(x'${Buffer.from(value).toString('hex')}' USING utf8mb4)`),
    isText: false,
  }
}

const scales = fc.sample(
  fc.integer({ min: 1, max: 65 }).chain((p) => fc.tuple(fc.constant(p), fc.nat(Math.min(p, 30)))),
  { seed, numRuns: 24 },
)
const shapes: readonly Shape[] = [
  ...scales.map(([precision, scale]) => decimal(precision, scale)),
  integer('TINYINT', -128n, 127n),
  integer('SMALLINT UNSIGNED', 0n, 65535n),
  integer('MEDIUMINT', -8388608n, 8388607n),
  integer('INT UNSIGNED', 0n, 2n ** 32n - 1n),
  integer('BIGINT', -(2n ** 63n), 2n ** 63n - 1n),
  integer('BIGINT UNSIGNED', 0n, 2n ** 64n - 1n),
  integer('BIT(13)', 0n, 2n ** 13n - 1n),
  integer('BIT(53)', 0n, 2n ** 53n - 1n),
  integer('BIT(64)', 0n, 2n ** 64n - 1n),
  {
    type: 'FLOAT',
    literal: fc
      .float({ noNaN: true, noDefaultInfinity: true })
      .map((v) => `${v}e0`.replace(/(e[+-]?\d+)e0$/, '$1')),
    isText: false,
  },
  {
    type: 'DOUBLE',
    literal: fc.double({ noNaN: true, noDefaultInfinity: true }).map((v) => v.toExponential()),
    isText: false,
  },
  ...[0, 1, 2, 3, 4, 5, 6].flatMap((fraction) => [
    time(fraction),
    datetime('DATETIME', fraction),
    datetime('TIMESTAMP', fraction),
  ]),
  {
    type: 'BINARY(7)',
    literal: fc.uint8Array({ maxLength: 7 }).map((v) => `x'${Buffer.from(v).toString('hex')}'`),
    isText: false,
  },
  {
    type: 'VARBINARY(300)',
    literal: fc.uint8Array({ maxLength: 300 }).map((v) => `x'${Buffer.from(v).toString('hex')}'`),
    isText: false,
  },
  ...['utf8mb4', 'utf16', 'utf32', 'gbk', 'big5', 'sjis', 'ujis', 'euckr', 'latin1', 'cp932'].map(
    text,
  ),
  {
    type: `SET(${Array.from({ length: 40 }, (_, i) => `'${i}'`).join()})`,
    literal: fc.bigInt({ min: 0n, max: 2n ** 40n - 1n }).map(String),
    isText: false,
  },
]

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  test(`values by chance on ${starter.name}, seed ${seed}`, async () => {
    await using server = await starter.start()
    const client = await server.client()
    await client.query(
      `CREATE DATABASE chance; USE chance; SET sql_mode = '', time_zone = '+00:00'`,
    )
    const columns = shapes.map(({ type }, i) => `c${i} ${type}`)
    await client.query(`CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')})`)
    const literals = shapes.map(({ literal }) => fc.sample(literal, { seed, numRuns: rowCount }))
    for (let row = 0; row < rowCount; row++) {
      const values = literals.map((column, i) => ((row + i) % 17 === 0 ? 'NULL' : column[row]!))
      await client.query(`INSERT INTO t VALUES (${row}, ${values.join(', ')})`)
    }
    const query = async (sql: string): Promise<RowDataPacket[]> =>
      (await client.query<RowDataPacket[]>(sql))[0]
    const [table] = await loadTables(query, [{ database: 'chance', table: 't' }])
    const images = rowsInBinlog(server).filter(({ map }) => map.database === 'chance')
    const stream = streamed(table!, images)
    const copy = await copied(table!, client)
    for (const [i, { type, isText }] of shapes.entries()) {
      assert.deepEqual(stream[i + 1], copy[i + 1], type)
      const put = literals[i]!.map((value, row) => ((row + i) % 17 === 0 ? null : value))
      if (isText) assert.deepEqual(stream[i + 1], put, type)
    }
  })
}

type Columns = (string | null)[][]

/** Per column the texts of all rows. */
function texts(table: CatalogTable, readers: readonly ColumnReader[]): Columns {
  return readers.map((reader, i) => {
    const column = reader.builder.finish()
    const type = logicalType(table.columns[i]!.type, policies)
    return Array.from({ length: column.length }, (_, row) => textAt(type, column, row))
  })
}

function streamed(table: CatalogTable, events: readonly RowsOf[]): Columns {
  const wires = events[0]!.map.columns
  const readers = table.columns.map(({ type }, i) => columnReader(type, wires[i]!, policies))
  const nullBytes = (readers.length + 7) >> 3
  for (const { source, at, end } of events) {
    for (let from = at; from < end;) {
      const nulls = from
      from += nullBytes
      for (const [i, reader] of readers.entries()) {
        if ((source[nulls + (i >> 3)]! & (1 << (i & 7))) !== 0) reader.appendNull()
        else from = reader.binlog(source, from, end)
      }
    }
  }
  return texts(table, readers)
}

async function copied(table: CatalogTable, client: Connection): Promise<Columns> {
  const readers = table.columns.map(({ type }) => columnReader(type, null, policies))
  const [rows] = await client.query<RowDataPacket[][]>({
    sql: `SELECT ${table.columns.map(selectSql).join(', ')} FROM t ORDER BY id`,
    rowsAsArray: true,
    typeCast: (field: { buffer(): Buffer | null }) => field.buffer(),
  })
  for (const row of rows as unknown as readonly (Buffer | null)[][]) {
    for (const [i, reader] of readers.entries()) {
      const value = row[i] ?? null
      if (value === null) reader.appendNull()
      else reader.text(value, 0, value.length)
    }
  }
  return texts(table, readers)
}
