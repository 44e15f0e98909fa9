/**
 * npm run demo [-- --seconds N]
 *
 * The whole journey on real servers: a Postgres with a live shop, Sluice as its users run it (the
 * command line, with config/examples/shop.yaml), a ClickHouse engine and a webhook receiver that
 * verifies every signature. Shows what arrives; leaves nothing running.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startClickHouse, type ClickHouse } from '../test/services/clickhouse.ts'
import { startPostgres } from '../test/services/postgres.ts'
import { startReceiver, type Receiver } from '../test/services/webhook-receiver.ts'
import { freePort } from '../test/support/env.ts'
import { Screen, type Frame } from './screen.ts'
import { createShop, runShop, type Traffic } from './shop.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
})
if (values.help === true) {
  console.log('npm run demo [-- --seconds N]   runs until Ctrl-C, or for N seconds')
  process.exit(0)
}
const secondsMax = values.seconds === undefined ? Infinity : Number(values.seconds)
if (!(secondsMax > 0)) {
  console.error(`--seconds takes a number above 0, not "${values.seconds}"`)
  process.exit(2)
}

const startedMs = Date.now()
const root = resolve(import.meta.dirname, '..')
const folder = join(root, '.sluice', 'demo')
/** Beside the log, so that the example's relative paths lie in the demo's own folder. */
const config = join(folder, 'shop.yaml')
const secret = `whsec_${Buffer.from('the demo signs with this secret!').toString('base64')}`
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort())

process.exitCode = await demo()

async function demo(): Promise<number> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(root, 'config', 'examples', 'shop.yaml'), config)
  console.log('Starting Postgres, ClickHouse and a webhook receiver …')
  await using servers = new AsyncDisposableStack()
  const [postgres, clickhouse, receiver] = await Promise.all([
    startPostgres().then((server) => servers.use(server)),
    startClickHouse().then((server) => servers.use(server)),
    startReceiver({ secret }).then((server) => servers.use(server)),
  ])
  await createShop(postgres)
  const metricsPort = await freePort()
  console.log(`Starting:  sluice run config/examples/shop.yaml
While it runs, look in from another terminal:
  npx sluice tap .sluice/demo/shop.yaml orders --from end --follow
  curl '${clickhouse.url}/?query=SELECT+*+FROM+revenue_per_minute_live+FORMAT+PrettyCompact'
  curl 'http://127.0.0.1:${metricsPort}/metrics'
`)
  const sluice = startSluice(metricsPort, {
    PG_URL: postgres.url,
    CLICKHOUSE_URL: clickhouse.url,
    HOOK_URL: receiver.url,
    HOOK_SECRET: secret,
    HOOK_ALLOW_HTTP: 'true',
    HOOK_ALLOW_PRIVATE: 'true',
  })
  const traffic: Traffic = { inserted: 500, updated: 0, deleted: 0 }
  const writing = runShop(await postgres.client(), traffic, stop.signal)
  try {
    const code = await watch({ sluice, clickhouse, receiver, traffic })
    if (code !== 0) return code
  } finally {
    stop.abort()
    await writing.catch(() => {})
    await end(sluice)
  }
  console.log(`
Everything is stopped. The log and the pipeline file are still there; look further with

  npx sluice tap .sluice/demo/shop.yaml orders --from start --limit 5
  ls .sluice/demo/.sluice/log/chains
`)
  return 0
}

interface Sluice {
  readonly child: ChildProcess
  readonly exited: Promise<unknown>
  /** What it printed, the last 20,000 characters. */
  said: string
}

/** As its users run it: the command line with the example's file. */
function startSluice(metricsPort: number, env: Readonly<Record<string, string>>): Sluice {
  const command = [
    join(root, 'bin/sluice.ts'),
    'run',
    config,
    '--plain',
    '--port',
    String(metricsPort),
  ]
  const child = spawn(process.execPath, command, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const sluice: Sluice = { child, exited: once(child, 'exit'), said: '' }
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.on(
      'data',
      (chunk: Buffer) => (sluice.said = (sluice.said + chunk.toString()).slice(-20_000)),
    )
  }
  return sluice
}

interface Watched {
  readonly sluice: Sluice
  readonly clickhouse: ClickHouse
  readonly receiver: Receiver
  readonly traffic: Traffic
}

/** Shows what arrives until the time is over; 1 when sluice ended or nothing came. */
async function watch({ sluice, clickhouse, receiver, traffic }: Watched): Promise<number> {
  const screen = new Screen(process.stdout)
  let firstRowMs: number | null = null
  while (!stop.signal.aborted && (Date.now() - startedMs) / 1000 < secondsMax) {
    if (sluice.child.exitCode !== null) {
      console.error(`\nsluice ended with exit code ${sluice.child.exitCode}:\n${sluice.said}`)
      return 1
    }
    const frame = await look(clickhouse, traffic, receiver)
    if (frame.tables.some(({ rows }) => rows > 0)) firstRowMs ??= Date.now() - startedMs
    screen.show({ ...frame, firstRowMs })
    await sleep(firstRowMs === null ? 100 : 1000, undefined, { signal: stop.signal }).catch(
      () => {},
    )
  }
  if (firstRowMs !== null && receiver.taken.length > 0) return 0
  if (secondsMax === Infinity) return 0
  console.error(`\nNothing arrived in ${secondsMax} s. What sluice said:\n${sluice.said}`)
  return 1
}

/** One look at everything that can be seen from outside. */
async function look(
  clickhouse: ClickHouse,
  traffic: Traffic,
  receiver: Receiver,
): Promise<Omit<Frame, 'firstRowMs'>> {
  const rows = async (sql: string): Promise<Record<string, unknown>[]> =>
    clickhouse.query(sql).catch(() => [])
  const views = await rows(
    `SELECT name FROM system.tables WHERE database = 'default' AND name LIKE '%\\_live' ORDER BY name`,
  )
  const tables: { name: string; rows: number }[] = []
  for (const { name } of views) {
    const [count] = await rows(`SELECT count() AS n FROM \`${String(name)}\``)
    if (count !== undefined) tables.push({ name: String(name), rows: Number(count['n']) })
  }
  const revenue = views.some(({ name }) => name === 'revenue_per_minute_live')
    ? await rows(
        `SELECT formatDateTime(minute, '%H:%i', 'UTC') AS minute, region, orders, toString(revenue) AS revenue
         FROM revenue_per_minute_live ORDER BY revenue_per_minute_live.minute DESC, region LIMIT 8`,
      )
    : []
  return {
    seconds: (Date.now() - startedMs) / 1000,
    traffic: { ...traffic },
    tables,
    revenue: revenue.map((row) => ({
      minute: String(row['minute']),
      region: String(row['region']),
      orders: String(row['orders']),
      revenue: String(row['revenue']),
    })),
    webhooks: { verified: receiver.taken.length, refused: receiver.unverified },
  }
}

/** SIGTERM lets the open commits finish; a process that does not end is not left behind. */
async function end({ child, exited }: Sluice): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await exited.finally(() => clearTimeout(late))
}
