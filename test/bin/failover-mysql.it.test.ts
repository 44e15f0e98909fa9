/**
 * `sluice run` when its MySQL or MariaDB server is exchanged for the replica: it goes on by itself, and a
 * SIGTERM ends the process at any time, be it while no server answers (DESIGN §4.1, §4.5, §4.8).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { caughtUp, replicate, stopReplica } from '../connectors/mysql/replica.ts'
import { mysqlServers } from '../services/mysql-servers.ts'
import { startTcpProxy } from '../services/tcp-proxy.ts'
import { startReceiver } from '../services/webhook-receiver.ts'
import { tempDir, waitFor } from '../support/env.ts'
import { start, type Started } from './support.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  shop: { type: mysql, url: '\${env.MYSQL_URL}', tables: [shop.orders], heartbeat: 1s }
sinks:
  hooks:
    type: webhook
    url: \${env.HOOK_URL}
    secret: \${env.HOOK_SECRET}
    from: shop.*
    allow_http: \${env.LOCAL}
    allow_private: \${env.LOCAL}
`
const settings = { 'log-slave-updates': 'ON' }

/** A process that does not end by itself is an error, and not a test that never does. */
async function endsOnTerm({ child, ended, stderr }: Started): Promise<void> {
  child.kill('SIGTERM')
  const end = await Promise.race([ended, sleep(60_000, null, { ref: false })])
  assert.equal(end?.code, 0, stderr())
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  test(`${starter.name}: SIGTERM after a failover, and while there is no server`, async () => {
    await using first = await starter.start({ settings })
    await using second = await starter.start({ settings })
    await replicate(first, second)
    await first.query(
      `CREATE DATABASE shop; CREATE TABLE shop.orders (id int PRIMARY KEY);
       INSERT INTO shop.orders VALUES (1), (2), (3)`,
    )
    await using receiver = await startReceiver({ secret })
    await using proxy = await startTcpProxy(first.port)
    using folder = tempDir('failover-mysql')
    const file = join(folder.path, 'shop.yaml')
    writeFileSync(file, yaml)
    const env = {
      MYSQL_URL: first.url.replace(String(first.port), String(proxy.port)),
      HOOK_URL: receiver.url,
      HOOK_SECRET: secret,
      LOCAL: 'true',
    }
    const run = (): Started => start(['run', file, '--plain', '--port', '0'], { env })
    // A row that was taken just before the process ended, with its cursor not written yet, is sent again.
    const rows = (): number => new Set(receiver.taken.map(({ id }) => id)).size
    const running = run()
    try {
      await waitFor('the first copy', () => rows() === 3)
      await caughtUp('shop.orders', first, second)
      proxy.stall()
      await first.kill()
      proxy.target = second.port
      proxy.cut()
      proxy.resume()
      await stopReplica(second)
      await second.query('INSERT INTO shop.orders VALUES (4)')
      await waitFor('the row of the new primary', () => rows() === 4)
      await endsOnTerm(running)
    } finally {
      running.child.kill('SIGKILL')
    }
    const again = run()
    try {
      await second.query('INSERT INTO shop.orders VALUES (5)')
      await waitFor('the row after the start', () => rows() === 5)
      proxy.stall()
      await second.kill()
      await waitFor('the loss to be noticed', () => /source\.mysql\./.test(again.stderr()))
      await endsOnTerm(again)
    } finally {
      again.child.kill('SIGKILL')
    }
    assert.equal(rows(), 5, 'each row under one id')
  })
}
