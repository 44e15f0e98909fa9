/**
 * A random workload on real servers, read twice: by the decoder, and by @vlasky/zongji, an
 * implementation of the same protocol by others. The same changes in the same order, and in the end the
 * server's own rows. Attacks invariants 5 and 9.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import ZongJi from '@vlasky/zongji'
import { textAt } from '../../../core/record/value.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { decodeFile, decoderFor, FileDirectory, Fold, sorted } from './binlog-files.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)
let state = seed
function random(below: number): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return (state >>> 8) % below
}

const columns = ['id', 'big', 'price', 'name', 'note', 'raw'] as const
const create = `CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT NOT NULL PRIMARY KEY,
  big BIGINT UNSIGNED, price DECIMAL(30,6), name VARCHAR(300) CHARACTER SET utf8mb4, note MEDIUMTEXT
  CHARACTER SET utf8mb4, raw VARBINARY(40)) ENGINE=InnoDB`

const names = ["'ü 漢 🙂'", "''", 'NULL', "'plain'", "REPEAT('long ', 55)"] as const
const bigs = ['0', '18446744073709551615', '9007199254740993', 'NULL'] as const
const prices = ['NULL', '0', '-0.000001', '999999999999999999999999.999999', '12.5'] as const

function pick<T>(of: readonly T[]): T {
  return of[random(of.length)]!
}

function values(): string {
  const note = pick(['NULL', "'n'", `REPEAT('${String(random(10))}', ${random(70_000)})`])
  return `${pick(bigs)}, ${pick(prices)}, ${pick(names)}, ${note}, ${pick(["x'00ff'", 'NULL', "''"])}`
}

function statement(): string {
  const id = random(300)
  switch (random(6)) {
    case 0:
      return `DELETE FROM t WHERE id BETWEEN ${id} AND ${id + random(5)}`
    case 1:
      return `UPDATE IGNORE t SET id = ${random(300)} WHERE id = ${id}`
    case 2:
      return `UPDATE t SET big = ${pick(bigs)}, name = ${pick(names)} WHERE id > ${id} LIMIT 4`
    case 3:
      return `INSERT INTO t VALUES (${id}, ${values()}) ON DUPLICATE KEY UPDATE price = ${pick(prices)}, note = 'again'`
    default:
      return `REPLACE INTO t VALUES (${id}, ${values()}), (${id + 1}, ${values()})`
  }
}

async function work(server: MysqlServer): Promise<void> {
  const client = await server.client({ database: 'shop' })
  for (let i = 0; i < 250; i++) {
    const end = random(5) === 0 ? 'ROLLBACK' : 'COMMIT'
    const statements = Array.from({ length: 1 + random(5) }, statement)
    await client.query(`BEGIN; ${statements.join('; ')}; ${end}`)
  }
}

type Values = Readonly<Record<string, unknown>>

function printed(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number)
}

function line(weight: number, row: Values): string {
  return JSON.stringify([weight, ...columns.map((name) => printed(row[name]))])
}

/** What zongji says, in the decoder's terms, up to the row that ends the workload. */
async function byZongji(server: MysqlServer, file: string): Promise<string[]> {
  const { host, port, user, password } = server
  const zongji = new ZongJi({ host, port, user, password, supportBigNumbers: true })
  const lines: string[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      zongji.on('error', reject)
      zongji.on('binlog', (event) => {
        const type = event.getTypeName()
        const rows = 'rows' in event ? (event.rows as readonly unknown[]) : []
        for (const row of rows) {
          if (type === 'UpdateRows') {
            const { before, after: now } = row as { before: Values; after: Values }
            if (before['id'] !== now['id']) lines.push(line(-1, before))
            lines.push(line(1, now))
          } else lines.push(line(type === 'DeleteRows' ? -1 : 1, row as Values))
          if (type === 'WriteRows' && (row as Values)['id'] === -1) resolve()
        }
      })
      zongji.start({
        filename: file,
        position: 4,
        serverId: 4_000_000_000 + random(1000),
        includeEvents: ['rotate', 'tablemap', 'writerows', 'updaterows', 'deleterows'],
        includeSchema: { shop: ['t'] },
      })
    })
  } finally {
    zongji.stop()
  }
  return lines
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  const { name, flavour } = starter
  test(`${name}: the same changes as zongji reads, seed ${seed}`, async () => {
    const settings = { 'binlog-row-image': 'FULL', 'binlog-row-metadata': 'FULL' }
    await using server = await starter.start({ settings })
    const client = await server.client()
    await client.query(create)
    await client.query('FLUSH BINARY LOGS')
    const status = flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'
    const [{ File: file }] = (await server.query<{ File: string }>(status)) as [{ File: string }]
    await work(server)
    await client.query("INSERT INTO shop.t (id, name) VALUES (-1, 'end')")
    const expected = await byZongji(server, file)
    const [rows] = (await client.query({
      sql: `SELECT CONCAT(id, ''), CONCAT(big, ''), CONCAT(price, ''), name, note,
        CONCAT('\\\\x', LOWER(HEX(raw))) FROM shop.t`,
      rowsAsArray: true,
    })) as unknown as [(string | null)[][]]
    await client.query('FLUSH BINARY LOGS')
    const from = { flavour, gtids: null, server: 's', file: '', offset: 4 }
    const decoder = decoderFor(new FileDirectory(['shop']), from)
    const bytes = readFileSync(join(server.dir, 'data', file))
    const lines: string[] = []
    const fold = new Fold()
    for (const batch of await decodeFile(decoder, bytes, file)) {
      fold.add(batch)
      for (const change of batch.changes) {
        if (!('batch' in change)) continue
        const { schema, columns: found, weights } = change.batch
        for (let row = 0; row < change.batch.rows; row++) {
          const texts = found.map((column, i) => textAt(schema.fields[i]!.type, column, row))
          lines.push(JSON.stringify([weights[row], ...texts]))
        }
      }
    }
    assert.ok(lines.length > 400)
    assert.equal(lines.length, expected.length)
    for (let i = 0; i < lines.length; i++) assert.equal(lines[i], expected[i], `change ${i}`)
    assert.deepEqual(fold.rows('shop.t'), sorted(rows))
  })
}

after(() => {
  process.stdout.write(`# seed ${seed}\n`)
})
