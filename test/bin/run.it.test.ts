/**
 * The command line with real databases and a real HTTP endpoint: `doctor`, `run`, `tap` beside it,
 * SIGTERM, and a second `run` that goes on where the first one stopped (DESIGN §4.1, §4.5).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mysqlServers } from '../services/mysql-servers.ts'
import { postgresMajors, startPostgres } from '../services/postgres.ts'
import { startReceiver } from '../services/webhook-receiver.ts'
import { tempDir, waitFor } from '../support/env.ts'
import { sluice, start as startSluice } from './support.ts'

interface Server extends AsyncDisposable {
  readonly url: string
  query(sql: string): Promise<unknown>
}

interface Database {
  readonly name: string
  readonly type: 'postgres' | 'mysql'
  /** The schema, or database, that the table is in. */
  readonly inside: string
  start(): Promise<Server>
}

const databases: readonly Database[] = [
  ...(await postgresMajors(18)).map((version) => ({
    name: `PostgreSQL ${version}`,
    type: 'postgres' as const,
    inside: 'public',
    start: () => startPostgres({ version }),
  })),
  ...(await mysqlServers('mysql-9.7', 'mariadb-11.8')).map((starter) => ({
    name: starter.name,
    type: 'mysql' as const,
    inside: 'shop',
    start: async () => {
      const server = await starter.start()
      await server.query('CREATE DATABASE shop')
      return server
    },
  })),
]

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const yamlOf = ({ type, inside }: Database): string => `version: 1
name: shop
log: { url: file://./log }
sources:
  shop: { type: ${type}, url: '\${env.DATABASE_URL}', tables: [${inside}.orders] }
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

interface Tapped {
  readonly op: string
  readonly row: Readonly<Record<string, unknown>>
}

async function tap(...args: readonly string[]): Promise<readonly Tapped[]> {
  const { code, stdout, stderr } = await sluice(['tap', ...args, '--format', 'jsonl'])
  assert.equal(code, 0, stderr)
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Tapped)
}

for (const database of databases) {
  test(`${database.name}: doctor, run, tap, stop, run again`, async () => {
    await using server = await database.start()
    await using receiver = await startReceiver({ secret })
    using folder = tempDir('run-it')
    const file = join(folder.path, 'shop.yaml')
    writeFileSync(file, yamlOf(database))
    const env = {
      DATABASE_URL: server.url,
      HOOK_URL: receiver.url,
      HOOK_SECRET: secret,
      LOCAL: 'true',
    }
    const orders = `${database.inside}.orders`
    await server.query(
      `CREATE TABLE ${orders} (id bigint PRIMARY KEY, region varchar(10), amount decimal(12,2))`,
    )
    const rows = Array.from({ length: 100 }, (_, i) => `(${i + 1}, 'r${(i + 1) % 3}', ${i + 1})`)
    await server.query(`INSERT INTO ${orders} VALUES ${rows.join(', ')}`)

    const doctor = await sluice(['doctor', file], { env })
    assert.equal(doctor.code, 0, `${doctor.stdout}${doctor.stderr}`)

    const delivered = (): number =>
      receiver.taken.filter(({ event }) => event.topic === `shop.${orders}`).length
    /** Runs until `until` has seen what it waits for, and then stops as an operator does. */
    const run = async (until: () => Promise<void>): Promise<void> => {
      const running = startSluice(['run', file, '--plain', '--port', '0'], { env })
      try {
        await until()
      } finally {
        running.child.kill('SIGTERM')
      }
      const ended = await running.ended
      assert.equal(ended.code, 0, ended.stderr)
    }

    await run(async () => {
      await waitFor('the first copy', () => delivered() >= 100)
      await server.query(`INSERT INTO ${orders} VALUES (101, 'r0', 0.5)`)
      await waitFor('the change', () => delivered() >= 101)
      const [row] = await tap(file, 'orders', '--from', 'offset:100')
      assert.equal(row!.op, 'insert')
      assert.deepEqual(row!.row, { id: 101, region: 'r0', amount: '0.50' })
      const counts = await waitFor('the transform', async () => {
        const last = (await tap(file, 'per_region')).at(-1)
        return last?.row['region'] === 'r0' ? last.row : undefined
      })
      assert.deepEqual(counts, { region: 'r0', n: 34, total: '1683.50' })
    })

    await server.query(`DELETE FROM ${orders} WHERE id = 101`)
    await server.query(`UPDATE ${orders} SET amount = 7 WHERE id = 1`)
    await server.query(`INSERT INTO ${orders} VALUES (102, 'r1', 7)`)
    await run(async () => {
      await waitFor('what happened meanwhile', () => delivered() >= 104)
    })
    assert.equal(delivered(), 104)
    const changes = (await tap(file, 'orders')).map(({ op, row }) => `${op} ${String(row['id'])}`)
    assert.deepEqual(
      changes.toSorted(),
      [
        ...Array.from({ length: 100 }, (_, i) => `snapshot ${i + 1}`),
        'insert 101',
        'delete 101',
        'update 1',
        'insert 102',
      ].toSorted(),
      'each change is in the log once',
    )
  })

  test(`${database.name}: a misspelled table is said to be none, with the name meant`, async () => {
    await using server = await database.start()
    using folder = tempDir('run-it')
    const file = join(folder.path, 'shop.yaml')
    const wrong = yamlOf(database)
      .replace('.orders]', '.order]')
      .replace('FROM orders', 'FROM "order"')
    writeFileSync(file, wrong)
    const local = { HOOK_URL: 'http://127.0.0.1:1', HOOK_SECRET: secret, LOCAL: 'true' }
    const env = { DATABASE_URL: server.url, ...local }
    const { inside } = database
    await server.query(`CREATE TABLE ${inside}.orders (id bigint PRIMARY KEY)`)
    const running = startSluice(['run', file, '--plain', '--port', '0'], { env })
    try {
      // On a slow machine it is not the first: it may have been late to connect, and said so.
      const missing = new RegExp(`  source\\.${database.type}\\.table_missing: .*\n  remedy: .*\n`)
      await waitFor('the reason', () => missing.test(running.stdout()))
    } finally {
      running.child.kill('SIGTERM')
    }
    const { stdout } = await running.ended
    const [reason, remedy] = stdout
      .slice(stdout.indexOf(`  source.${database.type}.table_missing:`))
      .split('\n')
    assert.match(
      reason!,
      new RegExp(`: There is no table ${inside}\\.order( in database "postgres")?\\.$`),
    )
    assert.equal(remedy, `  remedy: Correct \`tables\`: did you mean "${inside}.orders"?`)
  })
}
