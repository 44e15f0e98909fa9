/**
 * Several writers who insert, update, delete, change keys, roll back, use savepoints, and now and
 * then write one large transaction that Postgres streams before it commits.
 */
import type { Client } from 'pg'
import { seeded, type Random } from '../support/random.ts'

/** accounts: default identity and a large text; items: FULL identity and two key columns; events: no key. */
export const ddl = `
  CREATE TABLE accounts (
    id int PRIMARY KEY, owner text NOT NULL, balance numeric(14,2) NOT NULL,
    note text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE TABLE items (a text, b int, qty bigint, PRIMARY KEY (a, b));
  ALTER TABLE items REPLICA IDENTITY FULL;
  CREATE TABLE events (kind text, amount bigint, at timestamptz DEFAULT clock_timestamp());
  ALTER TABLE events REPLICA IDENTITY FULL;
  INSERT INTO accounts SELECT i, 'owner ' || i, i, repeat(md5(i::text), CASE WHEN i % 5 = 0 THEN 200 ELSE 1 END)
    FROM generate_series(1, 2000) i;
  INSERT INTO items SELECT 'k' || i % 20, i, i FROM generate_series(1, 500) i;
  INSERT INTO events SELECT 'start', i FROM generate_series(1, 300) i;`

const ids = 3000

/** Runs transactions until the signal is aborted; returns how many rows it wrote. */
export async function runWriter(
  client: Client,
  seed: number,
  signal: AbortSignal,
): Promise<number> {
  const random = seeded(seed)
  let rows = 0
  while (!signal.aborted) {
    try {
      await client.query('BEGIN')
      rows += random.chance(0.02)
        ? await largeTransaction(client, random)
        : await smallTransaction(client, random)
      await client.query(random.chance(0.1) ? 'ROLLBACK' : 'COMMIT')
    } catch (error) {
      // Writers collide on keys and deadlock now and then, as applications do.
      await client.query('ROLLBACK')
      if (!['23505', '40P01', '40001'].includes((error as { code?: string }).code ?? ''))
        throw error
    }
    await new Promise((resolve) => setTimeout(resolve, random.int(15)))
  }
  return rows
}

async function smallTransaction(client: Client, random: Random): Promise<number> {
  const count = 1 + random.int(8)
  let rows = 0
  for (let i = 0; i < count; i++) {
    const savepoint = random.chance(0.15)
    if (savepoint) await client.query('SAVEPOINT s')
    rows += await change(client, random)
    if (savepoint) await client.query(random.chance(0.5) ? 'ROLLBACK TO s' : 'RELEASE s')
  }
  return rows
}

async function change(client: Client, random: Random): Promise<number> {
  const id = 1 + random.int(ids)
  const run = async (sql: string, params: unknown[] = []): Promise<number> =>
    (await client.query(sql, params)).rowCount ?? 0
  switch (random.int(10)) {
    case 0:
      return run(
        `INSERT INTO accounts VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET balance = EXCLUDED.balance`,
        [id, `owner ${random.int(1000)}`, random.int(100_000) / 100, largeText(random)],
      )
    case 1:
    case 2:
      // The large note is left out of the change stream: Postgres says it is unchanged.
      return run(
        `UPDATE accounts SET balance = balance + 1, updated_at = clock_timestamp() WHERE id = $1`,
        [id],
      )
    case 3:
      return run(`UPDATE accounts SET note = $2 WHERE id = $1`, [id, largeText(random)])
    case 4:
      return run(`DELETE FROM accounts WHERE id = $1`, [id])
    case 5:
      return run(`UPDATE accounts SET id = $2 WHERE id = $1`, [id, 1 + random.int(ids)])
    case 6:
      return run(
        `INSERT INTO items VALUES ($1, $2, $3) ON CONFLICT (a, b) DO UPDATE SET qty = items.qty + 1`,
        [`k${random.int(20)}`, random.int(200), random.int(1000)],
      )
    case 7:
      return run(
        `UPDATE items SET qty = qty + 1, b = CASE WHEN $3 THEN b + 1000 ELSE b END WHERE a = $1 AND b = $2`,
        [`k${random.int(20)}`, random.int(200), random.chance(0.2)],
      )
    case 8:
      return run(`DELETE FROM items WHERE a = $1 AND b = $2`, [
        `k${random.int(20)}`,
        random.int(200),
      ])
    default:
      return run(`INSERT INTO events SELECT $1, $2::bigint + i FROM generate_series(1, 3) i`, [
        random.pick(['click', 'view', 'buy']),
        random.int(1_000_000),
      ])
  }
}

async function largeTransaction(client: Client, random: Random): Promise<number> {
  const from = random.int(ids)
  const touched = await client.query(
    `UPDATE accounts SET balance = balance + 1, owner = owner || '' WHERE id BETWEEN $1 AND $2`,
    [from, from + 400],
  )
  await client.query('SAVEPOINT large')
  await client.query(`INSERT INTO events SELECT 'large', i FROM generate_series(1, 600) i`)
  if (random.chance(0.5)) await client.query('ROLLBACK TO large')
  await client.query(`INSERT INTO events SELECT 'after', i FROM generate_series(1, 200) i`)
  return touched.rowCount ?? 0
}

function largeText(random: Random): string | null {
  if (random.chance(0.1)) return null
  let text = ''
  const words = random.chance(0.3) ? 400 : 2
  for (let i = 0; i < words; i++) text += random.next().toString(36).slice(2)
  return text
}
