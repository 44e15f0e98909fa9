/** A small shop in Postgres: its tables, and customers who keep ordering, changing their minds and leaving. */
import type { Client } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '../test/services/postgres.ts'

const regions = ['north', 'south', 'east', 'west'] as const

const tables = `
  CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text,
    joined_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    region text NOT NULL,
    amount numeric(12,2) NOT NULL,
    status text NOT NULL DEFAULT 'new',
    event_time timestamptz NOT NULL DEFAULT now()
  );
  INSERT INTO customers (name, email)
    SELECT 'Customer ' || i, 'customer' || i || '@shop.example' FROM generate_series(1, 200) i;
  INSERT INTO orders (customer_id, region, amount, event_time)
    SELECT 1 + i % 200, (ARRAY['north','south','east','west'])[1 + i % 4], (100 + i * 37 % 9900) / 100.0,
           now() - i * interval '0.6 seconds'
    FROM generate_series(1, 500) i;`

export async function createShop(server: PostgresServer): Promise<void> {
  await server.query(tables)
}

export interface Traffic {
  inserted: number
  updated: number
  deleted: number
}

/** Writes a handful of orders, updates and deletes a few times a second until the signal is aborted. */
export async function runShop(
  client: Client,
  traffic: Traffic,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const count = 5 + Math.floor(Math.random() * 20)
    const orders = await client.query(
      `INSERT INTO orders (customer_id, region, amount)
       SELECT 1 + floor(random() * 200), ($2::text[])[1 + floor(random() * 4)], round((random() * 100)::numeric, 2)
       FROM generate_series(1, $1)`,
      [count, [...regions]],
    )
    traffic.inserted += orders.rowCount ?? 0
    const paid = await client.query(
      `UPDATE orders SET status = 'paid' WHERE id IN
         (SELECT id FROM orders WHERE status = 'new' ORDER BY id DESC LIMIT 5)`,
    )
    traffic.updated += paid.rowCount ?? 0
    const cancelled = await client.query(
      `DELETE FROM orders WHERE id IN (SELECT id FROM orders ORDER BY random() LIMIT 1)`,
    )
    traffic.deleted += cancelled.rowCount ?? 0
    await sleep(150, undefined, { signal }).catch(() => {})
  }
}
