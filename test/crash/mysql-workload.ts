/**
 * Several writers on MySQL or MariaDB, each transaction with a row image of its own choice: inserts,
 * updates, deletes, changes of keys (of their case alone, too), documents changed in part, rollbacks,
 * savepoints, a table without a key, truncates, and now and then one large transaction.
 */
import type { Connection, ResultSetHeader } from 'mysql2/promise'
import { seeded, type Random } from '../support/random.ts'

/** accounts: one of every kind of column; items: two key columns; words: a key that ignores case; events: no key. */
export const ddl: readonly string[] = [
  `CREATE DATABASE shop`,
  `CREATE TABLE shop.accounts (
    id INT NOT NULL PRIMARY KEY, owner VARCHAR(100) NOT NULL, balance DECIMAL(14,2) NOT NULL,
    note LONGTEXT, doc JSON, opened BIGINT UNSIGNED NOT NULL, born DATE, level TINYINT NOT NULL DEFAULT 3,
    state ENUM('new', 'open', 'closed') NOT NULL DEFAULT 'new', updated_at DATETIME(6) NOT NULL DEFAULT NOW(6)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  `CREATE TABLE shop.items (a VARCHAR(20) NOT NULL, b INT NOT NULL, qty BIGINT, price DECIMAL(20,4), PRIMARY KEY (a, b))
    ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  `CREATE TABLE shop.words (word VARCHAR(60) COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, n INT NOT NULL, meaning TEXT)
    ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  `CREATE TABLE shop.events (kind VARCHAR(20), amount BIGINT, at DATETIME(6) DEFAULT NOW(6))
    ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
]

export const ids = 12_000

/** What is there before the first start: several chunks of accounts. */
export async function fillTables(client: Connection): Promise<void> {
  const random = seeded(1)
  const into = async (table: string, rows: readonly unknown[][]): Promise<void> => {
    for (let from = 0; from < rows.length; from += 500) {
      await client.query(`INSERT INTO shop.${table} VALUES ?`, [rows.slice(from, from + 500)])
    }
  }
  const accounts: unknown[][] = []
  for (let id = 1; id <= (ids * 2) / 3; id++) {
    const doc = documentText(random)
    const born = `19${50 + (id % 50)}-02-0${1 + (id % 9)}`
    const note = id % 5 === 0 ? largeText(random) : 'a short one'
    const opened = (18_446_744_073_709_551_615n - BigInt(id)).toString()
    const at = `2024-02-29 01:02:03.${String(id).padStart(6, '0')}`
    accounts.push([id, `owner ${id}`, id, note, doc, opened, born, id % 100, 'open', at])
  }
  await into('accounts', accounts)
  const numbers = Array.from({ length: 500 }, (_, i) => i)
  const price = (i: number): string => `${i}.${String(i).padStart(4, '0')}`
  await into(
    'items',
    numbers.map((i) => [`k${i % 20}`, i, i, price(i)]),
  )
  await into(
    'words',
    numbers.slice(0, 200).map((i) => [`Word ${i}`, i, null]),
  )
  await into(
    'events',
    numbers.slice(0, 300).map((i) => ['start', i, '2024-01-01']),
  )
}

/** A duplicate key, a deadlock, a lock that took too long, and MariaDB's row that changed since it was read. */
const collisions = new Set([1062, 1213, 1205, 1020])

export interface WriterOptions {
  readonly flavour: 'mysql' | 'mariadb'
  readonly seed: number
  readonly signal: AbortSignal
}

/** Runs transactions until the signal is aborted, on a new session after each crash of the server; returns how many rows it wrote. */
export async function runWriter(
  connect: () => Promise<Connection>,
  options: WriterOptions,
): Promise<number> {
  const random = seeded(options.seed)
  let rows = 0
  while (!options.signal.aborted) {
    try {
      const client = await connect()
      await client.query(`SET SESSION innodb_lock_wait_timeout = 2, SESSION time_zone = '+00:00'`)
      await client.query('USE shop')
      const count = (written: number): void => void (rows += written)
      await writeUntil(client, options, random, count)
    } catch (error) {
      if (!isLost(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
  return rows
}

/** Whether the server went away: a transaction may then be committed or not, the table alone says. */
function isLost(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? ''
  const lost = ['PROTOCOL_CONNECTION_LOST', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']
  const starting = /closed state|ER_SERVER_SHUTDOWN|Can't add new command/
  return lost.includes(code) || starting.test(`${code} ${String(error)}`)
}

async function writeUntil(
  client: Connection,
  options: WriterOptions,
  random: Random,
  count: (rows: number) => void,
): Promise<void> {
  while (!options.signal.aborted) {
    await chooseImage(client, options.flavour, random)
    try {
      if (random.chance(0.01)) await client.query('TRUNCATE TABLE words')
      await client.query('BEGIN')
      const isLarge = random.chance(0.02)
      count(await (isLarge ? largeTransaction : smallTransaction)(client, random))
      await client.query(random.chance(0.1) ? 'ROLLBACK' : 'COMMIT')
    } catch (error) {
      if (isLost(error)) throw error
      // Writers collide, as applications do.
      await client.query('ROLLBACK')
      if (!collisions.has((error as { errno?: number }).errno ?? 0)) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, random.int(15)))
  }
}

async function chooseImage(
  client: Connection,
  flavour: 'mysql' | 'mariadb',
  random: Random,
): Promise<void> {
  const image = random.pick(['FULL', 'MINIMAL', 'NOBLOB'])
  await client.query(`SET SESSION binlog_row_image = ${image}`)
  if (flavour === 'mariadb') return
  const options = random.chance(0.5) ? 'PARTIAL_JSON' : ''
  await client.query(`SET SESSION binlog_row_value_options = '${options}'`)
}

async function smallTransaction(client: Connection, random: Random): Promise<number> {
  const count = 1 + random.int(8)
  let rows = 0
  for (let i = 0; i < count; i++) {
    const savepoint = random.chance(0.15)
    if (savepoint) await client.query('SAVEPOINT s')
    rows += await change(client, random)
    if (savepoint)
      await client.query(random.chance(0.5) ? 'ROLLBACK TO SAVEPOINT s' : 'RELEASE SAVEPOINT s')
  }
  return rows
}

async function run(client: Connection, sql: string, params: unknown[] = []): Promise<number> {
  const [result] = await client.query<ResultSetHeader>(sql, params)
  return result.affectedRows
}

async function change(client: Connection, random: Random): Promise<number> {
  const id = 1 + random.int(ids)
  switch (random.int(14)) {
    case 0:
      return run(
        client,
        `INSERT INTO accounts (id, owner, balance, note, doc, opened) VALUES (?, ?, ?, ?, ?, ?)
          ON DUPLICATE KEY UPDATE balance = VALUES(balance)`,
        [
          id,
          `owner ${random.int(1000)}`,
          random.int(100_000) / 100,
          largeText(random),
          documentText(random),
          id,
        ],
      )
    case 1:
    case 2:
      return run(
        client,
        `UPDATE accounts SET balance = balance + 1, updated_at = NOW(6) WHERE id = ?`,
        [id],
      )
    case 3:
      return run(client, `UPDATE accounts SET note = ?, born = NULL WHERE id = ?`, [
        largeText(random),
        id,
      ])
    case 4:
      return run(client, `DELETE FROM accounts WHERE id = ?`, [id])
    case 5:
      return run(client, `UPDATE accounts SET id = ? WHERE id = ?`, [1 + random.int(ids), id])
    case 6:
      return changeDocument(client, random, id)
    case 7:
      return run(client, `UPDATE accounts SET state = ?, level = level % 100 + 1 WHERE id = ?`, [
        random.pick(['new', 'open', 'closed']),
        id,
      ])
    case 8:
      return changeItem(client, random)
    case 9:
    case 10:
      return changeWord(client, random)
    case 11:
      return run(client, `DELETE FROM events WHERE kind = ? LIMIT 2`, [random.pick(kinds)])
    case 12:
      return run(client, `UPDATE events SET amount = amount + 1 WHERE kind = ? LIMIT 2`, [
        random.pick(kinds),
      ])
    default:
      return run(client, `INSERT INTO events (kind, amount) VALUES (?, ?), (?, ?), (?, 7)`, [
        random.pick(kinds),
        random.int(1_000_000),
        random.pick(kinds),
        random.int(1_000_000),
        random.pick(kinds),
      ])
  }
}

const kinds = ['click', 'view', 'buy'] as const

function changeDocument(client: Connection, random: Random, id: number): Promise<number> {
  const at = ['$.count', '$.name', '$.tags[0]', '$.deep.er', `$.k${random.int(5)}`] as const
  const set = (sql: string, params: unknown[]): Promise<number> =>
    run(client, `UPDATE accounts SET doc = ${sql} WHERE id = ?`, [...params, id])
  switch (random.int(4)) {
    case 0:
      return set(`JSON_SET(doc, ?, ?)`, [random.pick(at), random.int(1000)])
    case 1:
      return set(`JSON_REPLACE(doc, ?, ?, ?, ?)`, ['$.name', 'é"\\', '$.count', random.int(10)])
    case 2:
      return set(`JSON_REMOVE(doc, ?)`, [random.pick(at)])
    default:
      return set(`?`, [documentText(random)])
  }
}

async function changeItem(client: Connection, random: Random): Promise<number> {
  const key = [`k${random.int(20)}`, random.int(200)]
  switch (random.int(3)) {
    case 0:
      return run(
        client,
        `INSERT INTO items VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE qty = qty + 1`,
        [...key, random.int(1000), '12345678901234.5678'],
      )
    case 1:
      return run(client, `DELETE FROM items WHERE a = ? AND b = ?`, key)
    default:
      return run(client, `UPDATE items SET qty = qty + 1, b = b + ? WHERE a = ? AND b = ?`, [
        random.chance(0.2) ? 1000 : 0,
        ...key,
      ])
  }
}

async function changeWord(client: Connection, random: Random): Promise<number> {
  const word = `${random.pick(['word', 'Word', 'WORD'])} ${random.int(250)}`
  switch (random.int(4)) {
    case 0:
      return run(client, `INSERT INTO words VALUES (?, 1, ?) ON DUPLICATE KEY UPDATE n = n + 1`, [
        word,
        random.chance(0.5) ? null : 'ünï 🎈',
      ])
    case 1:
      return run(client, `UPDATE words SET word = ? WHERE word = ?`, [word.toUpperCase(), word])
    case 2:
      return run(client, `UPDATE words SET n = n + 1 WHERE word = ?`, [word])
    default:
      return run(client, `DELETE FROM words WHERE word = ?`, [word])
  }
}

async function largeTransaction(client: Connection, random: Random): Promise<number> {
  const from = random.int(ids)
  const rows = await run(
    client,
    `UPDATE accounts SET balance = balance + 1, level = 7 WHERE id BETWEEN ? AND ?`,
    [from, from + 400],
  )
  const many = (kind: string, count: number): Promise<number> =>
    run(client, `INSERT INTO events (kind, amount) VALUES ?`, [
      Array.from({ length: count }, (_, i) => [kind, i]),
    ])
  await client.query('SAVEPOINT large')
  await many('large', 600)
  if (random.chance(0.5)) await client.query('ROLLBACK TO SAVEPOINT large')
  await many('after', 200)
  return rows
}

function documentText(random: Random): string | null {
  if (random.chance(0.1)) return null
  const filler = 'x'.repeat(random.int(300))
  const document = {
    count: random.int(9),
    name: 'n',
    tags: [1, 2.5, 'a'],
    deep: { er: [] },
    filler,
  }
  return JSON.stringify(document)
}

function largeText(random: Random): string | null {
  if (random.chance(0.1)) return null
  let text = ''
  const words = random.chance(0.3) ? 400 : 2
  for (let i = 0; i < words; i++) text += random.next().toString(36).slice(2)
  return text
}
