/**
 * Every column type of every server: what the binlog's row image gives is what the first copy reads, and
 * both are the value that was put in (DESIGN §4, invariant 9). What stands here for each value is written
 * down by hand, in the text that core/record/value.ts gives.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import type { Connection } from 'mysql2/promise'
import { loadTables, type CatalogTable } from '../../../connectors/mysql/schema/catalog.ts'
import {
  loadCollations,
  type Collations,
} from '../../../connectors/mysql/schema/charsets-catalog.ts'
import { columnReader, selectSql } from '../../../connectors/mysql/values/column-reader.ts'
import { logicalType } from '../../../connectors/mysql/values/column-types.ts'
import { mysqlTypeOf } from '../../../connectors/mysql/values/column-types-wire.ts'
import type { ColumnReader, MysqlType, ValuePolicies } from '../../../connectors/mysql/types.ts'
import { typeName } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { rowsInBinlog, type RowsOf } from '../../support/mysql-binlog.ts'
import { numberCases } from './type-cases-number.ts'
import { otherCases } from './type-cases-other.ts'
import { textCases } from './type-cases-text.ts'
import { oldFormatCases, timeCases } from './type-cases-time.ts'

const typeCases = [...numberCases, ...timeCases, ...textCases, ...otherCases, ...oldFormatCases]

const plain: ValuePolicies = { tinyint1: 'int', zeroDates: 'null' }

/** What the table maps say of their columns: all, or as little as the server can. */
const modes = [
  ['mysql-9.7', 'FULL'],
  ['mysql-9.7', 'MINIMAL'],
  ['mariadb-10.11', 'FULL'],
  ['mariadb-11.8', 'FULL'],
  ['mariadb-11.8', 'NO_LOG'],
] as const
const starters = await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')

for (const [name, metadata] of modes) {
  const starter = starters.find((each) => each.name === name)
  if (starter === undefined) continue
  describe(`values on ${name}, metadata ${metadata}`, () => {
    const cases = typeCases.filter((each) => each.on === undefined || each.on.includes(name))
    let server: MysqlServer
    let client: Connection
    let tables: readonly CatalogTable[]
    let collations: Collations
    let rows: readonly RowsOf[]

    before(async () => {
      server = await starter.start({ settings: { 'binlog-row-metadata': metadata } })
      client = await server.client()
      await client.query(
        `CREATE DATABASE kinds CHARACTER SET utf8mb4; USE kinds;
          SET sql_mode = '', time_zone = '+00:00'`,
      )
      for (const [i, each] of cases.entries()) {
        await client.query(each.session ?? 'DO 0')
        await client.query(`CREATE TABLE t${i} (id INT PRIMARY KEY, v ${each.type})`)
        const values = each.values.map(([sql], row) => `(${row}, ${sql})`)
        await client.query(
          each.isGenerated === true
            ? `INSERT INTO t${i} (id) VALUES ${each.values.map((_, row) => `(${row})`).join()}`
            : `INSERT INTO t${i} (id, v) VALUES ${values.join(', ')}`,
        )
      }
      const query = async (sql: string): Promise<RowDataPacket[]> =>
        (await client.query<RowDataPacket[]>(sql))[0]
      tables = await loadTables(query, [{ database: 'kinds', table: null }])
      collations = await loadCollations(query)
      rows = rowsInBinlog(server)
    })

    after(async () => {
      await server[Symbol.asyncDispose]()
    })

    for (const [i, each] of cases.entries()) {
      test(`${each.type}${each.name === undefined ? '' : `: ${each.name}`}`, async () => {
        const policies = { ...plain, ...each.policies }
        const table = tables.find(({ table }) => table === `t${i}`)!
        const known = table.columns.find((column) => column.name === 'v')!
        const images = rows.filter(({ map }) => map.table === `t${i}` && map.database === 'kinds')!
        const streamed = wireType(images[0]!, known.type, collations)
        if (each.codes !== undefined)
          assert.ok(each.codes.includes(images[0]!.map.columns[1]!.code))
        assert.deepEqual(streamed, known.type, 'the binlog and the catalog say the same type')
        assert.equal(typeName(logicalType(known.type, policies)), each.logical)
        const expected = each.values.map(([, text]) => text)
        const stream = images.flatMap((image) => fromBinlog(image, streamed, policies))
        assert.deepEqual(stream, expected, 'stream')
        assert.deepEqual(await fromCopy(client, `t${i}`, known.type, policies), expected, 'copy')
      })
    }
  })
}

function wireType({ map }: RowsOf, hint: MysqlType, collations: Collations): MysqlType {
  const collation = map.collations?.[1]
  return mysqlTypeOf(map.columns[1]!, {
    unsigned: map.unsigned?.[1] ?? null,
    charset: typeof collation === 'number' ? (collations.get(collation) ?? null) : null,
    labels: map.labels?.[1] ?? null,
    hint,
  })
}

/** The second column of all rows: an image is a byte of null bits, the id, the value. */
function fromBinlog(
  { map, source, at, end }: RowsOf,
  type: MysqlType,
  policies: ValuePolicies,
): (string | null)[] {
  const reader = columnReader(type, map.columns[1]!, policies)
  let from = at
  let rows = 0
  while (from < end) {
    const isNull = (source[from]! & 2) !== 0
    from += 5
    if (isNull) reader.appendNull()
    else {
      const next = reader.skip(source, from, end)
      assert.equal(reader.binlog(source, from, end), next)
      if (next - from < 100)
        refusesParts(columnReader(type, map.columns[1]!, policies), source, from, next)
      from = next
    }
    rows++
  }
  const column = reader.builder.finish()
  return Array.from({ length: rows }, (_, row) => textAt(logicalType(type, policies), column, row))
}

/** A value that is cut short anywhere is no value. */
function refusesParts(reader: ColumnReader, source: Uint8Array, from: number, next: number): void {
  for (let end = from; end < next; end++) {
    assert.throws(() => reader.binlog(source, from, end), { code: 'source.mysql.protocol' })
    assert.throws(() => reader.skip(source, from, end), { code: 'source.mysql.protocol' })
  }
}

async function fromCopy(
  client: Connection,
  table: string,
  type: MysqlType,
  policies: ValuePolicies,
): Promise<(string | null)[]> {
  const [rows] = await client.query<RowDataPacket[][]>({
    sql: `SELECT ${selectSql({ name: 'v', type, nullable: true })} FROM ${table} ORDER BY id`,
    rowsAsArray: true,
    typeCast: (field: { buffer(): Buffer | null }) => field.buffer(),
  })
  const reader = columnReader(type, null, policies)
  for (const [value] of rows as unknown as readonly (Buffer | null)[][]) {
    if (value === null || value === undefined) reader.appendNull()
    else reader.text(value, 0, value.length)
  }
  const column = reader.builder.finish()
  return rows.map((_, row) => textAt(logicalType(type, policies), column, row))
}
