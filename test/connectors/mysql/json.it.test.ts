/**
 * Binary JSON of a real server → text, against the text that the same server selects; partial updates
 * applied to the text from before, against the document that they led to (DESIGN §4, invariant 9).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { columnReader } from '../../../connectors/mysql/values/column-reader.ts'
import { EventType } from '../../../connectors/mysql/binlog/events.ts'
import { jsonDiff } from '../../../connectors/mysql/values/json-diff.ts'
import { textAt } from '../../../core/record/value.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { rowsInBinlog, type RowsOf } from '../../support/mysql-binlog.ts'

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1e9)

/** SQL of documents with everything that has a form of its own. */
const documents = [
  `'null'`,
  `'true'`,
  `'false'`,
  `'[]'`,
  `'{}'`,
  `'""'`,
  `'0'`,
  `'-0.0'`,
  `'1.0'`,
  `'-1'`,
  `'[32767, -32768, 32768, -32769, 65535, 65536, 2147483647, -2147483648, 2147483648, 4294967295, 4294967296]'`,
  `'[9223372036854775807, -9223372036854775808, 18446744073709551615, 9007199254740993, -9007199254740993]'`,
  `'[0.1, 1e15, 1e16, 123456789012345.6, 1234567890123456.7, 1e-4, 1e-14, 1e-15, 1.5e-15, 1e-16, 1e300, 1.7976931348623157e308, 5e-324, 999999999999999.9, 1e14, 12345678901234567890.0]'`,
  `'[100000000000000000.0, 123456789012345680000.0, 0.000001, 1e21, -1.5e-7]'`,
  `'{"bb": 1, "a": 2, "ccc": 3, "": 4, "ä": 5, "😀": 6}'`,
  `JSON_QUOTE(CHAR(1, 8, 9, 10, 12, 13, 31, 34, 92, 127 USING utf8mb4))`,
  `JSON_OBJECT(CHAR(10, 34 USING utf8mb4), '漢 \\\\ /')`,
  `JSON_ARRAY(CAST('1.50' AS DECIMAL(10, 4)), CAST('-0.001' AS DECIMAL(65, 30)), CAST('12345678901234567890123' AS DECIMAL(30)), CAST(0 AS DECIMAL(5, 2)))`,
  `JSON_ARRAY(DATE'2020-01-31', DATE'0001-01-01', TIMESTAMP'2020-01-31 23:59:59.123456', TIMESTAMP'9999-12-31 23:59:59')`,
  `JSON_ARRAY(TIME'-838:59:59', TIME'838:59:58.999999', TIME'-00:00:00.000001', TIME'12:34:56.5', TIME'-01:00:00.25')`,
  `JSON_ARRAY(x'00ff', REPEAT(x'ab', 200), b'101', CAST('x' AS BINARY(3)))`,
  `JSON_ARRAY(CAST(2020 AS YEAR), ST_GeomFromText('POINT(1 2)'), TRUE, NULL, 1 = 1)`,
  `JSON_OBJECT('long', REPEAT('é"', 20000), 'longer', REPEAT('x', 100000))`,
  `CONCAT('[', REPEAT('[1, ', 99), '2', REPEAT(']', 99), ']')`,
  `CONCAT('[', REPEAT('70000, ', 20000), '-70000]')`,
  `CONCAT('{', REPEAT('"k":1,', 3), '"k": {"k": [3.5, true, null, "s"]}}')`,
]

for (const starter of await mysqlServers('mysql-9.7')) {
  describe(`binary JSON of ${starter.name}`, () => {
    let server: MysqlServer
    let client: Connection

    before(async () => {
      server = await starter.start()
      client = await server.client()
      await client.query(`CREATE DATABASE docs; USE docs; SET time_zone = '+00:00'`)
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
    })

    test('what has a form of its own', async () => {
      await client.query('CREATE TABLE forms (id INT PRIMARY KEY, v JSON)')
      for (const [id, sql] of documents.entries()) {
        await client.query(`INSERT INTO forms VALUES (${id}, ${sql})`)
      }
      assert.deepEqual(streamed(server, 'forms'), await selected(client, 'forms'))
    })

    test(`documents by chance, seed ${seed}`, async () => {
      const values = fc.sample(fc.json({ maxDepth: 5 }), { seed, numRuns: 400 })
      const doubles = fc.sample(fc.double({ noNaN: true, noDefaultInfinity: true }), {
        seed,
        numRuns: 400,
      })
      const texts = [...values, ...doubles.map((value) => `[${value.toExponential()}]`)]
      await client.query('CREATE TABLE chance (id INT PRIMARY KEY, v JSON)')
      for (const [id, text] of texts.entries()) {
        await client.query('INSERT IGNORE INTO chance VALUES (?, ?)', [id, text])
      }
      const stream = streamed(server, 'chance')
      assert.ok(stream.length > texts.length / 2)
      assert.deepEqual(stream, await selected(client, 'chance'))
    })

    test(`partial updates, seed ${seed}`, async () => {
      await client.query(`SET binlog_row_value_options = PARTIAL_JSON;
        CREATE TABLE edits (id INT PRIMARY KEY, v JSON, pad VARCHAR(10))`)
      const expected: string[] = []
      const start = `{"a": [1, 2.50, {"x": "y"}, "${'pad'.repeat(50)}"], "bb": {"c": null, "d d": [true]}, "e": 18446744073709551615, "ü": "${'z'.repeat(80)}"}`
      await client.query('INSERT INTO edits VALUES (1, ?, ?)', [start, ''])
      for (const change of fc.sample(fc.constantFrom(...changes), { seed, numRuns: 120 })) {
        const [{ affectedRows, changedRows }] = (await client.query(
          `UPDATE edits SET v = ${change} WHERE id = 1`,
        )) as unknown as [{ affectedRows: number; changedRows: number }]
        assert.equal(affectedRows, 1)
        const [text] = await selected(client, 'edits')
        if (changedRows > 0) expected.push(text!)
        // Too little is left of it to go on changing it.
        if (text!.length < 100) await client.query('UPDATE edits SET v = ? WHERE id = 1', [start])
        if (text!.length < 100 && text !== start)
          expected.push(...(await selected(client, 'edits')))
      }
      const { texts, partial } = updated(server, 'edits')
      assert.deepEqual(texts, expected)
      assert.ok(partial > 20, `${partial} partial updates`)
    })
  })
}

const changes = [
  `JSON_SET(v, '$.a[0]', 7)`,
  `JSON_SET(v, '$.a[99]', 'new')`,
  `JSON_SET(v, '$.bb.c', CAST('1.250' AS DECIMAL(5, 3)))`,
  `JSON_SET(v, '$."d d"', DATE'2020-01-01')`,
  `JSON_SET(v, '$."q\\\\"\\\\\\\\."', JSON_ARRAY())`,
  `JSON_SET(v, '$.b', 1, '$.aa', 2, '$.aaaa', 3)`,
  `JSON_REMOVE(v, '$.a[1]')`,
  `JSON_REMOVE(v, '$.a[0]', '$.bb."d d"')`,
  `JSON_REMOVE(v, '$.aa')`,
  `JSON_REMOVE(v, '$.a[last]')`,
  `JSON_REPLACE(v, '$.a[last]', 'l')`,
  `JSON_REPLACE(v, '$.e', -0.0)`,
  `JSON_REPLACE(v, '$.ü', 'short ü "quoted" \\\\\\\\')`,
  `JSON_SET(v, '$.bb.new', JSON_OBJECT('k', JSON_ARRAY(1, 2)))`,
  `JSON_SET(v, '$.bb.new.k[1]', 3)`,
  `JSON_REMOVE(v, '$.bb.new')`,
  `JSON_SET(v, '$.a', JSON_ARRAY(1, 2, 3))`,
  `JSON_SET(v, '$.ü', REPEAT('z', 80))`,
  `JSON_SET(v, '$."😀"', 1.5e300)`,
]

function reader() {
  return columnReader(
    { kind: 'json' },
    { code: 245, meta: 4 },
    { tinyint1: 'int', zeroDates: 'stop' },
  )
}

const nullBits = 1
const idBytes = 4

/** The second column of all rows that were written, as text. */
function streamed(server: MysqlServer, table: string): string[] {
  const texts: string[] = []
  for (const rows of eventsOf(server, table)) {
    for (let at = rows.at; at < rows.end;) {
      const read = reader()
      at = read.binlog(rows.source, at + nullBits + idBytes, rows.end)
      texts.push(textAt({ kind: 'json' }, read.builder.finish(), 0)!)
    }
  }
  return texts
}

/** The documents after each update, the diffs applied to the document before it. */
function updated(server: MysqlServer, table: string): { texts: string[]; partial: number } {
  const texts: string[] = []
  let partial = 0
  for (const { kind, type, source, at, end } of eventsOf(server, table)) {
    if (kind !== 'update') continue
    const old = reader()
    const padAt = old.binlog(source, at + nullBits + idBytes, end)
    const before = Buffer.from(textAt({ kind: 'json' }, old.builder.finish(), 0)!)
    let from = padAt + 1 + source[padAt]!
    let isDiff = false
    if (type === EventType.partialUpdateRows) {
      const options = source[from++]!
      if (options === 1) isDiff = (source[from++]! & 1) !== 0
    }
    from += nullBits + idBytes
    if (isDiff) {
      partial++
      const length = Buffer.from(source).readUInt32LE(from)
      const { next, edit } = jsonDiff(source, from + 4, from + 4 + length)
      assert.equal(next, from + 4 + length)
      texts.push(Buffer.from(edit(before)!).toString())
    } else {
      const now = reader()
      now.binlog(source, from, end)
      texts.push(textAt({ kind: 'json' }, now.builder.finish(), 0)!)
    }
  }
  return { texts, partial }
}

function eventsOf(server: MysqlServer, table: string): RowsOf[] {
  return rowsInBinlog(server).filter(({ map }) => map.database === 'docs' && map.table === table)
}

async function selected(client: Connection, table: string): Promise<string[]> {
  const [rows] = await client.query<RowDataPacket[]>(
    `SELECT CAST(v AS CHAR CHARACTER SET utf8mb4) AS v FROM ${table} ORDER BY id`,
  )
  return rows.map((row) => String(row['v']))
}
