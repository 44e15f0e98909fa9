/**
 * P4: from a commit in Postgres or MySQL to the row visible in ClickHouse, and to the webhook received,
 * with the real command line between them, a log on the local disk (every commit fsynced), and 100
 * single-row transactions a second, at their times whether or not the ones before are through.
 *
 * The clock starts when the statement is sent to the database, so its own commit is in the number, and
 * stops when the answer to `SELECT max(id)` on the sink's `_live` view that first holds the row is
 * back: one query after the other, with short pauses, all of them by this process's one clock. The
 * webhook's clock stops when the receiver has verified the signature.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startClickHouse, type ClickHouse } from '../test/services/clickhouse.ts'
import { startReceiver } from '../test/services/webhook-receiver.ts'
import { schema, type Database, type DatabaseServer, type Query } from './support/database.ts'
import { mysqlDatabase } from './support/mysql-database.ts'
import { postgresDatabase } from './support/postgres-database.ts'
import { Sluice } from './support/sluice.ts'
import { latencies, latencyRows } from './support/figures.ts'
import type { BenchRow } from './types.ts'

const perSecond = 100
const sessions = 4
/** Between two looks; a look itself takes a few milliseconds. */
const lookPauseMs = 3
const goals = { p50: 100, p99: 250 }
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

const pipeline = ({ type }: Database): string => `
version: 1
name: latency
log: { url: file://./log }
sources:
  db: { type: ${type}, url: '\${env.DB_URL}', tables: [${schema}.bench] }
sinks:
  warehouse: { type: clickhouse, url: '\${env.CLICKHOUSE_URL}', from: bench }
  hooks:
    type: webhook
    url: \${env.HOOK_URL}
    secret: \${env.HOOK_SECRET}
    from: bench
    allow_http: true
    allow_private: true
`

/** When each row was sent to the database, seen in ClickHouse and received by the webhook; index = id. */
interface Times {
  readonly sentMs: Float64Array
  readonly seenMs: Float64Array
  readonly hookedMs: Float64Array
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const results: BenchRow[] = []
  for (const database of [postgresDatabase, mysqlDatabase]) {
    results.push(...(await runWith(database, perSecond * (quick ? 8 : 20))))
  }
  return results
}

async function runWith(database: Database, rows: number): Promise<readonly BenchRow[]> {
  const warmUpRows = perSecond * 4
  const times: Times = {
    sentMs: new Float64Array(warmUpRows + rows + 1),
    seenMs: new Float64Array(warmUpRows + rows + 1),
    hookedMs: new Float64Array(warmUpRows + rows + 1),
  }
  await using servers = new AsyncDisposableStack()
  const [server, clickhouse, receiver] = await Promise.all([
    database.start().then((started) => servers.use(started)),
    startClickHouse().then((started) => servers.use(started)),
    startReceiver({
      secret,
      onTaken: ({ event }) => {
        times.hookedMs[Number(event.data?.['id'])] ||= performance.now()
      },
    }).then((started) => servers.use(started)),
  ])
  await server.query(`CREATE TABLE bench (id bigint PRIMARY KEY, account_id int,
    amount numeric(12,2), note text, created_at ${database.moment})`)
  await using sluice = new Sluice(pipeline(database), {
    DB_URL: server.url,
    CLICKHOUSE_URL: clickhouse.url,
    HOOK_URL: receiver.url,
    HOOK_SECRET: secret,
  })
  await writeRow(server.query, 0)
  await sluice.waitFor('the first row', async () => {
    return times.hookedMs[0]! > 0 && (await newest(clickhouse).catch(() => -1)) === 0
  })
  const stop = new AbortController()
  const looking = look(clickhouse, times, stop.signal)
  try {
    await write(server, times)
    await sluice.waitFor('the last row', () => {
      return times.seenMs.at(-1)! > 0 && times.hookedMs.every((ms) => ms > 0)
    })
  } finally {
    stop.abort()
    await looking
  }
  const { sentMs, seenMs, hookedMs } = times
  const waits = (arrivedMs: Float64Array) => latencies(sentMs, arrivedMs, warmUpRows)
  const from = `commit in ${database.name} to`
  return [
    ...latencyRows(`${from} visible in ClickHouse`, waits(seenMs), goals),
    ...latencyRows(`${from} received by the webhook`, waits(hookedMs), goals),
  ]
}

function writeRow(query: Query, id: number): Promise<unknown> {
  return query(`INSERT INTO bench
    VALUES (${id}, ${id} % 1000, ${id} / 100.0, 'note of row ${id}', CURRENT_TIMESTAMP(6))`)
}

/** One transaction every 10 ms: the clock of each runs from its time, also while its session is busy. */
async function write(server: DatabaseServer, { sentMs }: Times): Promise<void> {
  const queries = await Promise.all(Array.from({ length: sessions }, () => server.session()))
  const startMs = performance.now()
  const writes: Promise<unknown>[] = queries.map(() => Promise.resolve())
  for (let id = 1; id < sentMs.length; id++) {
    const dueMs = startMs + (id * 1000) / perSecond
    const leftMs = dueMs - performance.now()
    if (leftMs > 0) await sleep(leftMs)
    sentMs[id] = performance.now()
    const session = id % sessions
    writes[session] = writes[session]!.then(() => writeRow(queries[session]!, id))
  }
  await Promise.all(writes)
}

/** The newest id, when it and all before it are there; -1 otherwise. */
async function newest(clickhouse: ClickHouse): Promise<number> {
  const [row] = await clickhouse.query(
    `SELECT max(id) AS id, count() AS n FROM ${schema}_bench_live`,
  )
  const id = Number(row?.['id'])
  return id + 1 === Number(row?.['n']) ? id : -1
}

/** Notes when each row is first seen. */
async function look(clickhouse: ClickHouse, { seenMs }: Times, signal: AbortSignal): Promise<void> {
  let seen = 0
  while (!signal.aborted) {
    const id = await newest(clickhouse)
    const nowMs = performance.now()
    while (seen < id) seenMs[++seen] = nowMs
    await sleep(lookPauseMs)
  }
}

export const bench = {
  id: 'P4',
  what: 'commit in Postgres or MySQL to visible in ClickHouse, and to the webhook received',
  run,
}
