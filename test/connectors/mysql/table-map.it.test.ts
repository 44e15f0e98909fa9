/**
 * Table maps of real servers against their INFORMATION_SCHEMA: signs, collations, names, labels, keys.
 * Their bits and lists count only the columns of a kind, and which types are of it differs between the
 * servers: one miscounted type gives every column after it another's. Attacks invariant 9.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { headerBytes, typeOf } from '../../../connectors/mysql/binlog/event-header.ts'
import { EventType } from '../../../connectors/mysql/binlog/events.ts'
import type { TableMap } from '../../../connectors/mysql/schema/table-directory.ts'
import { parseTableMap } from '../../../connectors/mysql/binlog/table-map.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { eventsOf } from './binlog-files.ts'

const common = [
  `CREATE TABLE signs (a TINYINT UNSIGNED, y YEAR, b TINYINT, bi BIT(9), c INT UNSIGNED, d DATE, e FLOAT UNSIGNED,
    f DOUBLE, t TIMESTAMP(3) NULL, g DECIMAL(5,2) UNSIGNED, en ENUM('a','b'), h BIGINT, i MEDIUMINT UNSIGNED, se SET('x'), j SMALLINT UNSIGNED)`,
  `CREATE TABLE texts (a CHAR(10) CHARACTER SET latin1, b VARCHAR(300) CHARACTER SET utf8mb4, g GEOMETRY, c TEXT CHARACTER SET ucs2,
    d BINARY(5), e VARBINARY(20), en ENUM('ü','b,c') CHARACTER SET latin1, f LONGBLOB, j JSON, h TINYTEXT CHARACTER SET cp1251,
    se SET('x','ä') CHARACTER SET utf8mb4, i CHAR(200) CHARACTER SET utf8mb4, p POINT, k CHAR(1) CHARACTER SET latin1, en2 ENUM('one'))`,
  `CREATE TABLE same (a TEXT CHARACTER SET latin1, b TEXT CHARACTER SET latin1, c TEXT CHARACTER SET utf8mb4, d TEXT CHARACTER SET latin1)`,
  `CREATE TABLE keyed (a INT, b VARCHAR(50) NOT NULL, c INT NOT NULL, d TEXT NOT NULL, PRIMARY KEY (c, b, d(10)))`,
  'CREATE TABLE `späße` (`ключ` INT NOT NULL PRIMARY KEY, `` INT)'.replace('``', '`漢`'),
]
const own = {
  mysql: [
    `CREATE TABLE news (a TEXT CHARACTER SET latin1, v VECTOR(3), b TEXT CHARACTER SET utf8mb4, j JSON, n INT UNSIGNED,
      inv INT INVISIBLE, gen INT GENERATED ALWAYS AS (n + 1) VIRTUAL, c CHAR(3) CHARACTER SET cp1251)`,
  ],
  'mariadb-10.11': [
    `CREATE TABLE news (a TEXT CHARACTER SET latin1, u UUID, b TEXT COMPRESSED CHARACTER SET utf8mb4, i INET6, i4 INET4, n INT UNSIGNED,
      vc VARCHAR(50) COMPRESSED CHARACTER SET cp1251, c CHAR(3) CHARACTER SET greek)`,
  ],
  'mariadb-11.8': [
    `CREATE TABLE news (a TEXT CHARACTER SET latin1, u UUID, b TEXT COMPRESSED CHARACTER SET utf8mb4, v VECTOR(3), i INET6, i4 INET4, n INT UNSIGNED,
      vc VARCHAR(50) COMPRESSED CHARACTER SET cp1251, c CHAR(3) CHARACTER SET greek)`,
  ],
}

interface Column {
  readonly name: string
  readonly type: string
  readonly declared: string
  readonly collation: string | null
  readonly nullable: string
}

/** The map of each table's first event in the file. */
async function mapsOf(server: MysqlServer, tables: readonly string[]): Promise<TableMap[]> {
  const client = await server.client()
  await client.query('CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop')
  for (const table of tables) await client.query(table)
  await client.query('FLUSH BINARY LOGS')
  const status = server.flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'
  const [{ File: file }] = (await server.query<{ File: string }>(status)) as [{ File: string }]
  await client.query("SET sql_mode = ''")
  for (const table of tables) {
    const name = /TABLE `?(.+?)`? \(/.exec(table)![1]!
    await client.query(`INSERT INTO \`${name}\` () VALUES ()`)
  }
  await client.query('FLUSH BINARY LOGS')
  const maps: TableMap[] = []
  const format = { tableIdBytes: 6, isMariadb: server.flavour === 'mariadb' } as const
  for (const event of eventsOf(readFileSync(join(server.dir, 'data', file)))) {
    if (typeOf(event, 0) !== EventType.tableMap) continue
    maps.push(parseTableMap(event, headerBytes, event.length - 4, format))
  }
  return maps
}

const numeric = /^(?:tinyint|smallint|mediumint|int|bigint|float|double|decimal|year)$/
const textual = /char|text|enum|set/

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  const { name, flavour } = starter
  for (const metadata of ['FULL', 'MINIMAL'] as const) {
    test(`${name}: table maps are what the catalog says, metadata ${metadata}`, async () => {
      await using server = await starter.start({ settings: { 'binlog-row-metadata': metadata } })
      const special = flavour === 'mysql' ? own.mysql : own[name as 'mariadb-11.8']
      const tables = [...common, ...special]
      const maps = await mapsOf(server, tables)
      assert.equal(maps.length, tables.length)
      const collations = await server.query<{ id: string | number; name: string }>(
        'SELECT ID AS id, COLLATION_NAME AS name FROM information_schema.COLLATIONS',
      )
      const uca = await server
        .query<{ id: string | number; name: string }>(
          'SELECT ID AS id, FULL_COLLATION_NAME AS name FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY',
        )
        .catch(() => [])
      const ids = new Map([...collations, ...uca].map((row) => [row.name, Number(row.id)]))
      for (const map of maps) await check(server, map, ids, metadata === 'FULL')
    })
  }
}

async function check(
  server: MysqlServer,
  map: TableMap,
  ids: ReadonlyMap<string, number>,
  full: boolean,
): Promise<void> {
  const columns = await server.query<Column>(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS declared, COLLATION_NAME AS collation,
      IS_NULLABLE AS nullable FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = '${map.database}' AND TABLE_NAME = '${map.table}' ORDER BY ORDINAL_POSITION`,
  )
  const what = `${map.table} `
  assert.equal(map.columns.length, columns.length, what)
  if (full) {
    assert.deepEqual(
      map.names,
      columns.map((column) => column.name),
      what,
    )
  } else assert.equal(map.names, null)
  columns.forEach((column, i) => {
    const one = `${what}${column.name} ${column.declared}`
    assert.equal(map.nullable[i], column.nullable === 'YES', one)
    if (numeric.test(column.type)) {
      // A year has no sign, and counts as unsigned.
      const unsigned = column.declared.includes('unsigned') || column.type === 'year'
      assert.equal(map.unsigned?.[i], unsigned, one)
    }
    const isLabelled = column.type === 'enum' || column.type === 'set'
    if (textual.test(column.type) && (full || !isLabelled)) {
      assert.equal(map.collations?.[i], ids.get(column.collation!), one)
    }
    if (/binary|blob/.test(column.type)) assert.equal(map.collations?.[i], 63, one)
    if (isLabelled && full) {
      const labels = map.labels?.[i]?.length
      assert.equal(labels, column.declared.split("','").length, one)
    }
  })
  const key = await server.query<{ name: string }>(
    `SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = '${map.database}'
      AND TABLE_NAME = '${map.table}' AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX`,
  )
  if (!full) return assert.equal(map.primaryKey, null)
  const named = map.primaryKey?.map((place) => map.names![place]) ?? []
  assert.deepEqual(
    named,
    key.map((part) => part.name),
    what,
  )
}
