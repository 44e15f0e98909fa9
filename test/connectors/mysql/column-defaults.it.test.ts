/**
 * Defaults of columns, of tables with rows and without: what is known is what the server puts into a row
 * (invariant 9), and what cannot be known of an empty table is said to be missing, never guessed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultColumns, loadDefaults } from '../../../connectors/mysql/schema/column-defaults.ts'
import { columnReader, selectSql } from '../../../connectors/mysql/values/column-reader.ts'
import {
  loadTables,
  topicSchema,
  type CatalogTable,
} from '../../../connectors/mysql/schema/catalog.ts'
import { connect, targetOf, type Session } from '../../../connectors/mysql/connection.ts'
import { parseTablePattern, quoteTable } from '../../../connectors/mysql/schema/table-pattern.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { textAt } from '../../../core/record/value.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'

const policies = { tinyint1: 'bool', zeroDates: 'null' } as const

/** Each is there once as NOT NULL and once as nullable. */
const declared = [
  `VARCHAR(5) CHARACTER SET latin1 DEFAULT 'é'`,
  `CHAR(6) DEFAULT 'a '`,
  `VARCHAR(30) DEFAULT 'a''b\\\\c\\nd"x %_'`,
  `VARCHAR(9) CHARACTER SET ucs2 DEFAULT 'aé漢'`,
  `VARCHAR(9) CHARACTER SET sjis DEFAULT '漢字'`,
  `VARCHAR(9) DEFAULT ''`,
  `VARCHAR(9) DEFAULT 'NULL'`,
  `VARCHAR(9) DEFAULT '''q'''`,
  `VARCHAR(9) DEFAULT 'b''1'''`,
  `VARCHAR(9) DEFAULT 'x''41'''`,
  `VARCHAR(9) DEFAULT '0x41'`,
  `VARCHAR(9) DEFAULT 5`,
  `ENUM('x''y','ü') CHARACTER SET latin1 DEFAULT 'ü'`,
  `ENUM('it''s','\\\\') DEFAULT '\\\\'`,
  `SET('a','b','ä') DEFAULT 'a,ä'`,
  `BIT(10) DEFAULT b'101'`,
  `BIT(64) DEFAULT b'1000000000000000000000000000000000000000000000000000000000000001'`,
  `BIT(1) DEFAULT 1`,
  `DOUBLE DEFAULT 0.1234567890123456`,
  `DOUBLE DEFAULT 1e300`,
  `BIGINT UNSIGNED DEFAULT 18446744073709551615`,
  `BIGINT DEFAULT -9223372036854775808`,
  `INT(5) ZEROFILL DEFAULT 7`,
  `TINYINT(1) DEFAULT TRUE`,
  `DECIMAL(10,3) DEFAULT -1.5`,
  `TIME(2) DEFAULT '-10:00:00.5'`,
  `YEAR DEFAULT 70`,
  `DATE DEFAULT '2020-02-29'`,
  `DATETIME(6) DEFAULT '2020-01-01 00:00:00.000001'`,
  `FLOAT DEFAULT 0.1`,
  `FLOAT DEFAULT 0.123456789`,
  `FLOAT(7,2) DEFAULT 1.239`,
  `TIMESTAMP DEFAULT '2020-01-01 00:00:00'`,
  `TIMESTAMP(3) DEFAULT '0000-00-00 00:00:00'`,
  `BINARY(4) DEFAULT 'ab'`,
  `VARBINARY(9) DEFAULT 0x00ff27`,
] as const
const mariadbOnly = [
  `UUID DEFAULT '00112233-4455-6677-8899-aabbccddeeff'`,
  `INET6 DEFAULT '::1'`,
  `INET4 DEFAULT '1.2.3.4'`,
  `VARCHAR(20) COMPRESSED DEFAULT 'zü'`,
  `JSON DEFAULT '{"a": 1}'`,
]
/** What servers print of a default is rounded (floats), in the time zone of whoever made the table, or cut short. */
const needsRow = /^(?:FLOAT|TIMESTAMP|BINARY|VARBINARY)/

interface Known {
  /** Per column, as the topic's values print; undefined = not known. */
  readonly texts: readonly (string | null | undefined)[]
  readonly incomplete: boolean
}

async function known(session: Session, table: CatalogTable): Promise<Known> {
  const defaults = await loadDefaults(session.query, table)
  const schema = topicSchema(table, policies)
  const columns = defaultColumns(schema, table, defaults, policies)
  return {
    texts: columns.map((column, i) =>
      column === null ? undefined : textAt(schema.fields[i]!.type, column, 0),
    ),
    incomplete: defaults.incomplete,
  }
}

/** The only row, read as the first copy reads it. */
async function rowOf(session: Session, table: CatalogTable): Promise<(string | null)[]> {
  // Otherwise their bytes would be the server's own.
  const asText = new Set(['enum', 'set', 'uuid', 'inet4', 'inet6'])
  const list = table.columns.map((column, i) => {
    const sql = selectSql(column)
    const hex = asText.has(column.type.kind)
      ? `CONVERT(${sql} USING utf8mb4)`
      : `CONVERT(${sql}, BINARY)`
    return `HEX(${hex}) AS c${i}`
  })
  const [row] = await session.query(`SELECT ${list.join(', ')} FROM ${quoteTable(table)}`)
  const schema = topicSchema(table, policies)
  return table.columns.map(({ type }, i) => {
    const reader = columnReader(type, null, policies)
    const hex = row![`c${i}`]
    const bytes = Buffer.from(String(hex), 'hex')
    if (hex === null) reader.appendNull()
    else reader.text(bytes, 0, bytes.length)
    return textAt(schema.fields[i]!.type, reader.builder.finish(), 0)
  })
}

for (const { name, flavour, ...starter } of await mysqlServers(
  'mysql-9.7',
  'mariadb-10.11',
  'mariadb-11.8',
)) {
  test(`${name}: defaults are what rows have (invariant 9)`, async () => {
    await using server = await starter.start()
    const types = flavour === 'mariadb' ? [...declared, ...mariadbOnly] : declared
    const columns = types.flatMap((type, i) => [
      `n${i} ${type.replace(/ DEFAULT /, ' NOT NULL DEFAULT ')}`,
      `c${i} ${type.replace(/ DEFAULT /, ' NULL DEFAULT ')}`,
    ])
    const client = await server.client()
    // As a client far away does it: what is printed in its time zone must not be taken for UTC.
    await client.query(`SET time_zone = '+05:00', sql_mode = ''; CREATE DATABASE shop; USE shop;
      CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')}) CHARSET utf8mb4`)
    await using session = await connect(
      targetOf(new Secret(server.url), { compress: false }),
      new AbortController().signal,
    )
    const [table] = await loadTables(session.query, [parseTablePattern('shop.t')!])
    const empty = await known(session, table!)
    assert.equal(empty.incomplete, true)
    await client.query('INSERT INTO t (id) VALUES (1)')
    const truth = await rowOf(session, table!)
    const filled = await known(session, table!)
    assert.equal(filled.incomplete, false)
    table!.columns.forEach((column, i) => {
      if (column.name === 'id') return
      const type = types[Number(column.name.slice(1))]!
      const what = `${column.name} ${type}`
      assert.equal(filled.texts[i], truth[i], what)
      if (!column.nullable && needsRow.test(type) && empty.texts[i] === undefined) return
      assert.equal(empty.texts[i], truth[i], `${what}, of an empty table`)
    })
  })
}
