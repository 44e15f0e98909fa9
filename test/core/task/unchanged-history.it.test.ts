/**
 * The first unchanged value of a topic makes ingest read the topic's whole history, while the source
 * waits. With real servers that give up on a client which is silent for a second, and a history that
 * takes many of them to read: the connection is the same afterwards, the status says how far it is,
 * and the log is the table (invariants 5 and 8). A stop in the middle of it is a stop at once.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { mysql } from '../../../connectors/mysql/connector.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import type { SourceConnector } from '../../../core/connector/source.ts'
import { ObjectCache } from '../../../core/log/cache.ts'
import { readHead } from '../../../core/log/head.ts'
import { openLog, type Log } from '../../../core/log/log.ts'
import { openStore } from '../../../core/store/open.ts'
import type { ObjectStore } from '../../../core/store/store.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { rowsOf as mysqlRows } from '../../connectors/mysql/follow.ts'
import { foldOf } from '../../support/fold-log.ts'
import { rowsOf as postgresRows } from '../../connectors/postgres/follow.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { startPostgres } from '../../services/postgres.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { steadily } from '../../support/steadily.ts'
import { taskContext, type TestContext } from '../../support/task-context.ts'

/** A server with a table `accounts` (id, n, body), of which updates of n leave out the body. */
interface Source extends AsyncDisposable {
  readonly connector: SourceConnector<unknown>
  readonly config: unknown
  readonly topic: string
  run(sql: string): Promise<unknown>
  /** Who sends the changes, as the server names it. */
  sender(): Promise<number | undefined>
  rows(): Promise<readonly string[]>
}

/** After which a server gives a connection up; its quarters are longer than a busy machine stands still. */
const patienceS = 4
const commits = 120
const storeMs = 400
const chain = 'p.source.s'
const forever = new AbortController().signal

async function postgresSource(patience = patienceS): Promise<Source> {
  const server = await startPostgres({ settings: { wal_sender_timeout: `${patience}s` } })
  await server.query('CREATE TABLE accounts (id int PRIMARY KEY, n int, body text)')
  await server.query('ALTER TABLE accounts ALTER body SET STORAGE EXTERNAL')
  return {
    connector: postgres as SourceConnector<unknown>,
    config: postgres.config.parse({ url: server.url, tables: ['accounts'] }),
    topic: 's.public.accounts',
    run: async (sql) => server.query(sql),
    sender: async () => {
      const [row] = await server.query<{ pid: number }>(
        'SELECT active_pid AS pid FROM pg_replication_slots WHERE active',
      )
      return row?.pid
    },
    rows: async () => postgresRows(server, 'accounts', ['id', 'n', 'body']),
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  }
}

async function mysqlSources(): Promise<readonly (readonly [string, () => Promise<Source>])[]> {
  const starters = await mysqlServers('mysql-9.7', 'mariadb-10.11')
  return starters.map((starter) => {
    const source = async (): Promise<Source> => {
      const server = await starter.start({
        settings: { 'binlog-row-image': 'MINIMAL', 'net-write-timeout': String(patienceS) },
      })
      await server.query(`CREATE DATABASE shop;
        CREATE TABLE shop.accounts (id int PRIMARY KEY, n int, body longtext)`)
      return {
        connector: mysql as SourceConnector<unknown>,
        config: mysql.config.parse({ url: server.url, tables: ['shop.*'], heartbeat: '1s' }),
        topic: 's.shop.accounts',
        run: async (sql) => server.query(sql.replaceAll('accounts', 'shop.accounts')),
        sender: async () => {
          const [row] = await server.query<{ id: number }>(
            "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'",
          )
          return row?.id
        },
        rows: async () => mysqlRows(server, 'shop.accounts'),
        [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
      }
    }
    return [starter.name, source] as const
  })
}

/** A log that remembers nothing of its store, with what happens before each read of it. */
async function distant(url: string, before: (signal: AbortSignal) => Promise<void>): Promise<Log> {
  const store = openStore(url)
  const log = await openLog(
    {
      ...forwarded(store),
      get: async (key, signal, range) => {
        await before(signal)
        return store.get(key, signal, range)
      },
    },
    { signal: AbortSignal.timeout(60_000) },
  )
  return { ...log, cache: new ObjectCache(0) }
}

function forwarded(store: ObjectStore): ObjectStore {
  return {
    url: store.url,
    get: async (...given) => store.get(...given),
    create: async (...given) => store.create(...given),
    put: async (...given) => store.put(...given),
    list: async (...given) => store.list(...given),
    remove: async (...given) => store.remove(...given),
    [Symbol.asyncDispose]: async () => store[Symbol.asyncDispose](),
  }
}

interface Ingest extends AsyncDisposable {
  readonly ctx: TestContext
  readonly details: { readonly text: string; readonly atMs: number }[]
  /** Milliseconds that it took to stop. */
  stop(): Promise<number>
}

function ingest(source: Source, log: Log, folder: string): Ingest {
  const details: Ingest['details'] = []
  const ctx: TestContext = {
    ...taskContext(log, 's'),
    report: ({ detail }) =>
      detail === undefined || details.push({ text: detail, atMs: performance.now() }),
  }
  const { connector, config } = source
  const flush = { bytesMax: 1 << 20, intervalMs: 1, intervalMsMax: 10 }
  const task = { connector, config, flush, openBytesMax: 1 << 20, stateDir: `${folder}/state` }
  const end = new AbortController()
  const running = runIngest(task, ctx, end.signal)
  const failed = running.then(
    () => null,
    (error: unknown) => error,
  )
  const stop = async (): Promise<number> => {
    const startedMs = performance.now()
    end.abort()
    assert.equal(await failed, null)
    return performance.now() - startedMs
  }
  return { ctx, details, stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}

const body = (letter: string): string => `repeat('${letter}', 3000)`

async function survives(source: Source): Promise<void> {
  using folder = tempDir('history')
  const url = `file://${folder.path}/log`
  const near = await openLog(openStore(url), { signal: AbortSignal.timeout(60_000) })
  const table = async (): Promise<void> => {
    const rows = await source.rows()
    await waitFor('the log to be the table', async () => {
      const fold = await foldOf(near, 's')
      fold.assertRows(source.topic, rows)
      return true
    })
  }
  {
    await using _first = ingest(source, near, folder.path)
    await source.run(`INSERT INTO accounts VALUES (0, 0, ${body('a')})`)
    await table()
    // As many commits, however many rows a slow machine puts into one.
    for (let id = 1; ((await readHead(near, chain, forever))?.seq ?? 0) < commits; id++) {
      await source.run(`INSERT INTO accounts VALUES (${id}, 0, ${body('b')})`)
      await sleep(5)
    }
    await table()
  }
  let far = false
  const log = await distant(url, async () => {
    if (far) await sleep(storeMs)
  })
  await using second = ingest(source, log, folder.path)
  const sender = await waitFor('the sender', () => source.sender())
  far = true
  await source.run('UPDATE accounts SET n = n + 1')
  const ofHistory = (): Ingest['details'] =>
    second.details.filter(({ text }) => text.includes('history'))
  await waitFor('the history', () => ofHistory().length > 0)
  // More than the socket holds: the server waits too.
  for (let i = 0; i < 4; i++) await source.run(`UPDATE accounts SET body = ${body('c')}`)
  const percents = (): number[] =>
    second.details.flatMap(({ text }) => {
      const found = new RegExp(`^reading the history of ${source.topic} to .*: (\\d+)%$`).exec(text)
      return found === null ? [] : [Number(found[1])]
    })
  await waitFor('the end of the history', () => percents().at(-1) === 100, 240_000)
  const tookMs = ofHistory().at(-1)!.atMs - ofHistory()[0]!.atMs
  assert.ok(tookMs > 3000 * patienceS, `the server had several chances to give up, in ${tookMs} ms`)
  assert.ok(percents().length > 10, percents().join(' '))
  assert.deepEqual(
    percents(),
    percents().toSorted((a, b) => a - b),
  )
  assert.equal(await source.sender(), sender, 'the server did not give the connection up')
  await table()
  assert.equal(await source.sender(), sender)
  assert.deepEqual(second.ctx.troubles, [])
}

const sources = [['postgres', () => postgresSource()], ...(await mysqlSources())] as const
for (const [name, start] of sources) {
  describe(name, () => {
    test('the connection survives the reading of a long history, and the status says how far it is', async () => {
      await steadily(patienceS * 250, async () => {
        await using source = await start()
        await survives(source)
      })
    })
  })
}

test('a stop does not wait for the end of a history', async () => {
  await using source = await postgresSource(60)
  using folder = tempDir('history')
  const url = `file://${folder.path}/log`
  const near = await openLog(openStore(url), { signal: AbortSignal.timeout(60_000) })
  {
    await using _first = ingest(source, near, folder.path)
    await source.run(`INSERT INTO accounts VALUES (0, 0, ${body('a')})`)
    await waitFor('the row', async () => (await foldOf(near, 's')).topics.size > 0)
  }
  let blocked = false
  let asked = 0
  const log = await distant(url, async (signal) => {
    if (!blocked) return
    asked++
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  })
  const second = ingest(source, log, folder.path)
  await waitFor('the sender', () => source.sender())
  await waitFor('a well task', () => second.details.length > 0)
  blocked = true
  await source.run('UPDATE accounts SET n = n + 1')
  await waitFor('the history', () => asked > 0)
  const tookMs = await second.stop()
  assert.ok(tookMs < 20_000, `${tookMs} ms`)
})
