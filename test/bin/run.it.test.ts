/**
 * The command line with a real Postgres and a real HTTP endpoint: `doctor`, `run`, `tap` beside it,
 * SIGTERM, and a second `run` that goes on where the first one stopped (DESIGN §4.1, §4.5).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { startPostgres, type PostgresServer } from '../services/postgres.ts'
import { startReceiver } from '../services/webhook-receiver.ts'
import { missingService, tempDir, waitFor } from '../support/env.ts'
import { sluice, start } from './support.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  shop: { type: postgres, url: '\${env.PG_URL}', tables: [orders] }
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

async function postgresFor(t: TestContext): Promise<PostgresServer | null> {
  try {
    return await startPostgres()
  } catch (error) {
    missingService(t, 'Postgres', error)
    return null
  }
}

test('doctor, run, tap, stop, run again', async (t) => {
  await using postgres = await postgresFor(t)
  if (postgres === null) return
  await using receiver = await startReceiver({ secret })
  using folder = tempDir('run-it')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml)
  const env = { PG_URL: postgres.url, HOOK_URL: receiver.url, HOOK_SECRET: secret, LOCAL: 'true' }
  await postgres.query(
    'CREATE TABLE orders (id bigint PRIMARY KEY, region text, amount numeric(12,2))',
  )
  await postgres.query(
    `INSERT INTO orders SELECT n, 'r' || n % 3, n FROM generate_series(1, 100) AS n`,
  )

  const doctor = await sluice(['doctor', file], { env })
  assert.equal(doctor.code, 0, `${doctor.stdout}${doctor.stderr}`)

  const first = start(['run', file, '--plain', '--port', '0'], { env })
  try {
    const orders = (): readonly unknown[] =>
      receiver.taken.filter(({ event }) => event.topic === 'shop.public.orders')
    await waitFor('the first copy', () => orders().length >= 100)
    await postgres.query(`INSERT INTO orders VALUES (101, 'r0', 0.5)`)
    await waitFor('the change', () => orders().length >= 101)

    const tapped = await sluice([
      'tap',
      file,
      'orders',
      '--format',
      'jsonl',
      '--from',
      'offset:100',
    ])
    assert.equal(tapped.code, 0, tapped.stderr)
    const row = JSON.parse(tapped.stdout.split('\n')[0]!) as { op: string; row: unknown }
    assert.equal(row.op, 'insert')
    assert.deepEqual(row.row, { id: 101, region: 'r0', amount: '0.50' })
    const counts = await waitFor('the transform', async () => {
      const { stdout } = await sluice(['tap', file, 'per_region', '--format', 'jsonl'])
      const last = stdout.trim().split('\n').at(-1) ?? ''
      return last.includes('"r0"') ? (JSON.parse(last) as { row: unknown }).row : undefined
    })
    assert.deepEqual(counts, { region: 'r0', n: 34, total: '1683.50' })
  } finally {
    first.child.kill('SIGTERM')
  }
  const ended = await first.ended
  assert.equal(ended.code, 0, ended.stderr)

  await postgres.query(`INSERT INTO orders VALUES (102, 'r1', 7)`)
  const before = receiver.taken.length
  const second = start(['run', file, '--plain', '--port', '0'], { env })
  try {
    await waitFor('what happened meanwhile', () => receiver.taken.length >= before + 2)
  } finally {
    second.child.kill('SIGTERM')
  }
  const again = await second.ended
  assert.equal(again.code, 0, again.stderr)
  const tapped = await sluice(['tap', file, 'orders', '--format', 'jsonl'])
  const ids = tapped.stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { row: { id: number } }).row.id)
  assert.deepEqual(
    ids.sort((a, b) => a - b),
    Array.from({ length: 102 }, (_, index) => index + 1),
    'each row is in the log once',
  )
})
