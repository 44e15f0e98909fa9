/**
 * The command line with real MySQL and MariaDB servers and a real HTTP endpoint: `doctor`, `run`, `tap`,
 * SIGTERM, and a second `run` that goes on where the first one stopped (DESIGN §4.1, §4.5).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mysqlServers } from '../services/mysql-servers.ts'
import { startReceiver } from '../services/webhook-receiver.ts'
import { tempDir, waitFor } from '../support/env.ts'
import { sluice, start as startSluice } from './support.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  shop: { type: mysql, url: '\${env.MYSQL_URL}', tables: [shop.orders] }
transforms:
  per_region:
    sql: SELECT region, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY region
sinks:
  hooks:
    type: webhook
    url: \${env.HOOK_URL}
    secret: \${env.HOOK_SECRET}
    from: [shop.*, per_region]
    allow_http: \${env.LOCAL}
    allow_private: \${env.LOCAL}
`

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  test(`${starter.name}: doctor, run, tap, stop, run again`, async () => {
    await using server = await starter.start()
    await using receiver = await startReceiver({ secret })
    using folder = tempDir('run-mysql-it')
    const file = join(folder.path, 'shop.yaml')
    writeFileSync(file, yaml)
    const env = {
      MYSQL_URL: server.url,
      HOOK_URL: receiver.url,
      HOOK_SECRET: secret,
      LOCAL: 'true',
    }
    await server.query(
      `CREATE DATABASE shop;
       CREATE TABLE shop.orders (id bigint PRIMARY KEY, region varchar(10), amount decimal(12,2))`,
    )
    const rows = Array.from({ length: 100 }, (_, i) => `(${i + 1}, 'r${(i + 1) % 3}', ${i + 1})`)
    await server.query(`INSERT INTO shop.orders VALUES ${rows.join(', ')}`)

    const doctor = await sluice(['doctor', file], { env })
    assert.equal(doctor.code, 0, `${doctor.stdout}${doctor.stderr}`)

    const first = startSluice(['run', file, '--plain', '--port', '0'], { env })
    try {
      const orders = (): readonly unknown[] =>
        receiver.taken.filter(({ event }) => event.topic === 'shop.shop.orders')
      await waitFor('the first copy', () => orders().length >= 100)
      await server.query(`INSERT INTO shop.orders VALUES (101, 'r0', 0.5)`)
      await waitFor('the change', () => orders().length >= 101)

      const args = ['tap', file, 'orders', '--format', 'jsonl', '--from', 'offset:100']
      const tapped = await sluice(args)
      assert.equal(tapped.code, 0, tapped.stderr)
      const row = JSON.parse(tapped.stdout.split('\n')[0]!) as { op: string; row: unknown }
      assert.equal(row.op, 'insert')
      assert.deepEqual(row.row, { id: 101, region: 'r0', amount: '0.50' })

      first.child.kill('SIGTERM')
      const stopped = await first.ended
      assert.equal(stopped.code, 0, stopped.stderr)

      await server.query(
        `DELETE FROM shop.orders WHERE id = 101; UPDATE shop.orders SET amount = 7 WHERE id = 1`,
      )
      const second = startSluice(['run', file, '--plain', '--port', '0'], { env })
      try {
        await waitFor('the changes made meanwhile', () => orders().length >= 103)
        assert.equal(orders().length, 103)
      } finally {
        second.child.kill('SIGTERM')
        await second.ended
      }
    } finally {
      first.child.kill('SIGKILL')
      await first.ended
    }
  })
}
