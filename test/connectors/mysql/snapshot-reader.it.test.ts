/**
 * The first copy's chunks on real servers: for every type that a key can have, chunks by key hold each
 * row once, and the order in which rows of the stream are told apart is the order in which chunks are
 * read (invariant 5: nothing vanishes, nothing is there twice).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { connect, targetOf } from '../../../connectors/mysql/connection.ts'
import { placeNow } from '../../../connectors/mysql/binlog-place.ts'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import { SnapshotSource } from '../../../connectors/mysql/snapshot/snapshot-table.ts'
import { loadServerInfo } from '../../../connectors/mysql/server-info.ts'
import { MysqlSnapshotReader } from '../../../connectors/mysql/snapshot/snapshot-reader.ts'
import type { ValuePolicies } from '../../../connectors/mysql/types.ts'
import { systemClock, type Clock } from '../../../core/connector/context.ts'
import { Secret } from '../../../core/connector/secret.ts'
import {
  SnapshotTableChanged,
  type KeyText,
  type SnapshotTable,
} from '../../../core/connector/snapshot/reader.ts'
import { position, type Position } from '../../../core/connector/source.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { rowKey } from '../../../core/record/key.ts'
import { textAt } from '../../../core/record/value.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'

const rows = 240
/** By name: the column's declaration, its value for n from 1 to `rows`, and whether all servers have it. */
const keyTypes: readonly (readonly [name: string, declared: string, value: string])[] = [
  ['tiny', 'tinyint', 'n - 120'],
  ['int', 'int', 'n * 7919 - 1000000'],
  ['big_unsigned', 'bigint unsigned', '18446744073709551615 - n * 3'],
  ['year', 'year', 'IF(n = 1, 0, 1900 + n)'],
  ['decimal', 'decimal(20,5)', '(n - 120) / 7'],
  ['long_decimal', 'decimal(65,30)', '(n - 120) / 7 * 1e20'],
  ['float', 'float', '(n - 120) / 7'],
  ['double', 'double', '(n - 120) / 7e-5'],
  ['bit1', 'bit(1)', 'n % 2'],
  ['bit64', 'bit(64)', '18446744073709551615 - n'],
  ['date', 'date', `DATE_ADD('1960-01-30', INTERVAL n * 97 DAY)`],
  ['datetime', 'datetime(3)', `DATE_ADD('1969-12-31 23:59:00.123', INTERVAL n SECOND)`],
  ['timestamp', 'timestamp(6)', `DATE_ADD('1990-03-25 01:58:00.000123', INTERVAL n SECOND)`],
  ['binary', 'binary(4)', `UNHEX(LPAD(HEX(n * 7919), 8, '0'))`],
  [
    'varbinary',
    'varbinary(9)',
    `UNHEX(CONCAT(HEX(n % 16), '0', IF(n % 3 = 0, '00', ''), HEX(n + 256), '0'))`,
  ],
  ['enum', `enum('z','y','with, comma','a','it''s')`, '1 + n % 5'],
  ['utf8mb4_bin', 'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', words('utf8mb4')],
  ['utf8mb4_ci', 'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci', words('utf8mb4')],
  [
    'utf8mb4_uca',
    'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci',
    words('utf8mb4'),
  ],
  ['utf8mb3_bin', 'varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin', words('utf8mb3')],
  ['latin1_ci', 'varchar(20) CHARACTER SET latin1 COLLATE latin1_german1_ci', words('latin1')],
  ['latin1_bin', 'char(20) CHARACTER SET latin1 COLLATE latin1_bin', words('latin1')],
  ['utf16_ci', 'varchar(20) CHARACTER SET utf16 COLLATE utf16_unicode_ci', words('utf16')],
  ['char_bin', 'char(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', words('utf8mb4')],
  ['time', 'time(6)', `SEC_TO_TIME((n - 120) * 20000.123456)`],
]
const mysqlOnly: typeof keyTypes = [
  [
    'utf8mb4_0900',
    'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci',
    words('utf8mb4'),
  ],
  [
    'utf8mb4_0900_bin',
    'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin',
    words('utf8mb4'),
  ],
]
const mariadbOnly: typeof keyTypes = [
  [
    'uuid',
    'uuid',
    `CONCAT(LPAD(HEX(n * 7919), 8, '0'), '-', LPAD(HEX(n % 7), 4, '0'), '-1000-8000-', LPAD(HEX(n % 3), 12, '0'))`,
  ],
  ['inet6', 'inet6', `CONCAT('2001:db8::', HEX(n * 7919 % 65536))`],
  ['nopad_bin', 'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin', words('utf8mb4')],
]

/** Cases, accents, trailing spaces, what sorts below a space, and characters of two to four bytes. */
function words(charset: string): string {
  const beyond = charset === 'latin1' ? 'ÿ' : charset === 'utf8mb3' ? '漢' : '😀'
  const list = ['a', 'A', 'ä', 'a ', 'a\\t', 'ab', 'Z', 'z', 'é', 'ß', '', '€', beyond, 'a-b', 'aB']
  return `CONCAT(ELT(1 + n % ${list.length}, ${list.map((word) => `'${word}'`).join(', ')}), IF(n % 4 = 0, '', CHAR(64 + n % 50)))`
}

const signal = new AbortController().signal
const policies: ValuePolicies = { tinyint1: 'int', zeroDates: 'stop' }

for (const { name, flavour, ...servers } of await mysqlServers(
  'mysql-9.7',
  'mariadb-10.11',
  'mariadb-11.8',
)) {
  describe(`${name}: chunks of a table`, () => {
    let server: MysqlServer
    let here: Position
    const readers: MysqlSnapshotReader[] = []

    async function open(
      more: Partial<ValuePolicies> = {},
      chunkBytes = 1000,
      compress = false,
      clock: Clock = systemClock,
    ): Promise<MysqlSnapshotReader> {
      const target = targetOf(new Secret(server.url), { compress })
      await using session = await connect(target, signal)
      const info = await loadServerInfo(session.query)
      here = position(JSON.stringify(await placeNow(session.query, info)))
      const reader = new MysqlSnapshotReader({
        connect: (until) => connect(target, until),
        info,
        policies: { ...policies, ...more },
        tableOf: (topic) => ({ database: 'keys', table: topic.slice('keys.'.length) }),
        placeOf: (at) => JSON.parse(at) as StreamPlace,
        clock,
        chunkBytes,
      })
      readers.push(reader)
      return reader
    }

    before(async () => {
      server = await servers.start()
      await server.query('CREATE DATABASE `keys` CHARACTER SET utf8mb4')
    })
    after(async () => {
      for (const reader of readers) await reader[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    /** All chunks of the table, each with where it ends. */
    async function chunksOf(
      reader: MysqlSnapshotReader,
      table: SnapshotTable,
    ): Promise<{ readonly upTo: KeyText | null; readonly batches: readonly Batch[] }[]> {
      const chunks: { upTo: KeyText | null; batches: readonly Batch[] }[] = []
      for (let from: KeyText | null = null; ;) {
        const upTo: KeyText | null = await reader.split(table, from, signal)
        const { batches } = await reader.read(table, { after: from, upTo }, here, signal)
        chunks.push({ upTo, batches })
        if (upTo === null) return chunks
        from = upTo
      }
    }

    it('holds each row once, in the order of its key, for every type of a key', async () => {
      const reader = await open()
      const types = [...(flavour === 'mysql' ? mysqlOnly : mariadbOnly), ...keyTypes]
      await using client = await connect(
        targetOf(new Secret(server.url), { compress: false }),
        signal,
      )
      await client.query('CREATE TABLE `keys`.n (n int PRIMARY KEY)')
      const numbers = Array.from({ length: rows }, (_, i) => `(${i + 1})`).join(',')
      await client.query(`INSERT INTO \`keys\`.n VALUES ${numbers}`)
      for (const [type, declared, value] of types) {
        await client.query(
          `CREATE TABLE \`keys\`.${type} (pad int, k ${declared} NOT NULL, n int NOT NULL, PRIMARY KEY (k, n))`,
        )
        await client.query(
          `INSERT INTO \`keys\`.${type} (pad, k, n) SELECT n, ${value}, n FROM \`keys\`.n`,
        )
        const table = await reader.describe(`keys.${type}`, signal)
        assert.equal(table?.key.length, 2, `${type} is read by its key`)
        const half = await assertChunks(reader, table!, type)
        // Without statistics MySQL takes the whole index for as good as a range of it.
        await client.query(`ANALYZE TABLE \`keys\`.${type}`)
        const name = { database: 'keys', table: type }
        const source = (await SnapshotSource.load(client.query, name, policies))!
        for (const sql of [
          source.rowsSql({ after: half, upTo: half }),
          source.rowsSql({ after: null, upTo: half }),
          source.splitSql(half, 10),
        ]) {
          const format = flavour === 'mysql' ? 'FORMAT=TRADITIONAL' : ''
          const [plan] = await client.query(`EXPLAIN ${format} ${sql}`)
          // Where no row can be, the optimiser says so and reads nothing.
          const isRange = plan!['type'] === 'range' && plan!['key'] === 'PRIMARY'
          assert.ok(isRange || plan!['table'] === null, `${type}: ${JSON.stringify(plan)}: ${sql}`)
        }
      }
    })

    it('reads over compressed connections, and keys that are zero dates', async () => {
      const reader = await open({ zeroDates: 'text' }, 300, true)
      await server.query('CREATE TABLE `keys`.zero (d date, t datetime(3), PRIMARY KEY (d, t))')
      const days = [
        '0000-00-00',
        '2020-00-00',
        '2020-01-00',
        '1999-12-31',
        '2020-01-01',
        '9999-12-31',
      ]
      const times = ['0000-00-00 00:00:00', '2020-00-10 10:00:00.5', '1969-12-31 23:59:59.999']
      const values = days.flatMap((day) => times.map((time) => `('${day}', '${time}')`))
      await server.query(`SET sql_mode = ''; INSERT INTO \`keys\`.zero VALUES ${values.join(',')}`)
      const table = (await reader.describe('keys.zero', signal))!
      assert.deepEqual(table.key, ['d date', 't datetime(3)'])
      const chunks = await chunksOf(reader, table)
      assert.ok(chunks.length > 2)
      const seen = chunks.flatMap(({ batches }) =>
        batches.flatMap((batch) =>
          Array.from({ length: batch.rows }, (_, row) => rowKey(batch, row)),
        ),
      )
      assert.deepEqual(seen, [...new Set(seen)].sort(), 'each once, in the order of their texts')
      assert.equal(seen.length, values.length)
    })

    it('copies a table without a key under a lock, which goes before the rows are read', async () => {
      const reader = await open()
      await server.query('CREATE TABLE `keys`.whole (a int, b text)')
      await server.query(`INSERT INTO \`keys\`.whole VALUES (1, 'x'), (1, 'x'), (NULL, NULL)`)
      const table = (await reader.describe('keys.whole', signal))!
      assert.deepEqual(table.key, [])
      await using whole = await reader.readWhole(table, signal)
      let isWritten = false
      const writing = server.query(`INSERT INTO \`keys\`.whole VALUES (2, 'later')`).then(() => {
        isWritten = true
      })
      await systemClock.sleep(300, signal)
      assert.equal(isWritten, false, 'nobody writes while the lock is held')
      assert.equal(await whole.release(), true)
      await writing
      const texts: (string | null)[] = []
      for await (const batch of whole.batches(signal)) {
        for (let row = 0; row < batch.rows; row++) {
          texts.push(textAt(batch.schema.fields[0]!.type, batch.columns[0]!, row))
        }
      }
      assert.deepEqual(texts, ['1', '1', null], 'what came later is the stream’s')
      const start = JSON.parse(here) as StreamPlace
      assert.equal(whole.isPassed(position(JSON.stringify({ ...start, offset: 4 }))), false)
      assert.equal(whole.isPassed(position(JSON.stringify({ ...start, offset: 1e9 }))), true)
    })

    it('does not keep writers out for long: the lock goes by itself, and says so', async () => {
      const fast = {
        ...systemClock,
        sleep: (ms: number, on: AbortSignal) => systemClock.sleep(ms / 20, on),
      }
      const reader = await open({}, 1000, false, fast)
      await server.query('CREATE TABLE `keys`.held (a int)')
      const table = (await reader.describe('keys.held', signal))!
      await using whole = await reader.readWhole(table, signal)
      await server.query('INSERT INTO `keys`.held VALUES (1)')
      assert.equal(await whole.release(), false)
    })

    it('gives up at once when it is told to, and leaves nothing running', async () => {
      const reader = await open()
      await server.query('CREATE TABLE `keys`.locked (id int PRIMARY KEY)')
      const table = (await reader.describe('keys.locked', signal))!
      const locker = await server.client()
      await locker.query('LOCK TABLES `keys`.locked WRITE')
      const stop = new AbortController()
      const reading = reader.read(table, { after: null, upTo: null }, here, stop.signal)
      const reason = new Error('enough')
      setTimeout(() => stop.abort(reason), 200)
      await assert.rejects(reading, reason)
      await locker.query('UNLOCK TABLES')
      await reader.read(table, { after: null, upTo: null }, here, signal)
    })

    async function assertChunks(
      reader: MysqlSnapshotReader,
      table: SnapshotTable,
      type: string,
    ): Promise<KeyText> {
      const chunks = await chunksOf(reader, table)
      assert.ok(chunks.length > 3, `${type}: ${chunks.length} chunks`)
      const seen = new Set<string>()
      for (const [i, { batches }] of chunks.entries()) {
        for (const batch of batches) {
          const all = Int32Array.from({ length: batch.rows }, (_, row) => row)
          for (const row of all) {
            const key = rowKey(batch, row)
            assert.ok(!seen.has(key), `${type}: ${key} is there twice`)
            seen.add(key)
          }
          for (const [j, { upTo }] of chunks.entries()) {
            if (upTo === null) continue
            const marks = await reader.isUpTo(table, batch, all, upTo, signal)
            const wanted = i <= j ? 1 : 0
            const wrong = marks.findIndex((mark) => mark !== wanted)
            assert.equal(
              wrong,
              -1,
              `${type}: a row of chunk ${i}, ${rowKey(batch, Math.max(wrong, 0))}, against the end of chunk ${j}, ${upTo.join()}`,
            )
          }
        }
      }
      assert.equal(seen.size, rows, `${type}: rows`)
      const half = chunks[chunks.length >> 1]!.upTo!
      const [batch] = chunks[2]!.batches
      const { fields, key } = batch!.schema
      const keys = [0, 1].map((row) =>
        key.map((index) => textAt(fields[index]!.type, batch!.columns[index]!, row)!),
      )
      const single = await reader.read(table, { keys }, here, signal)
      const found = single.batches.flatMap((one) =>
        Array.from({ length: one.rows }, (_, row) => rowKey(one, row)),
      )
      assert.deepEqual(found.sort(), [0, 1].map((row) => rowKey(batch!, row)).sort(), type)
      return half
    }

    it('sees a change of the columns, and refuses a table whose key is another', async () => {
      const reader = await open()
      await server.query('CREATE TABLE `keys`.changing (id int PRIMARY KEY, a int)')
      await server.query('INSERT INTO `keys`.changing VALUES (1, 10), (2, 20)')
      const table = (await reader.describe('keys.changing', signal))!
      const all = { after: null, upTo: null }
      await reader.read(table, all, here, signal)
      await server.query('ALTER TABLE `keys`.changing ADD COLUMN b varchar(10) DEFAULT "new"')
      const { batches } = await reader.read(table, all, here, signal)
      assert.deepEqual(
        batches[0]!.schema.fields.map((field) => field.name),
        ['id', 'a', 'b'],
      )
      await server.query('ALTER TABLE `keys`.changing DROP PRIMARY KEY, ADD PRIMARY KEY (a, id)')
      await assert.rejects(reader.read(table, all, here, signal), SnapshotTableChanged)
      await server.query('DROP TABLE `keys`.changing')
      await assert.rejects(reader.read(table, all, here, signal), SnapshotTableChanged)
      assert.equal(await reader.describe('keys.changing', signal), null)
    })
  })
}
