/**
 * Real PostgreSQL servers for tests and benchmarks: an own data folder, a free port, logical
 * decoding on, stopped on dispose and with this process however it ends.
 *
 *   await using server = await startPostgres({ version: 14, settings: { fsync: 'on' } })
 *   await server.query('CREATE TABLE …')
 */
import { execFile } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client, Pool, type ClientConfig, type QueryResultRow } from 'pg'
import { freePort } from '../support/env.ts'
import { postgresBinaries, postgresPrograms, type PostgresMajor } from './postgres-binaries.ts'
import { asRoot, asServerUser, nobody, ServerProcess } from './server-process.ts'

export interface PostgresOptions {
  /** 18 when absent. */
  readonly version?: PostgresMajor
  /** Server settings, such as `{ fsync: 'on' }`; they win over the defaults below. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where the data lies; a temporary folder, removed on dispose, when absent. */
  readonly dir?: string
}

export interface PostgresServer extends AsyncDisposable {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly dir: string
  /** The postmaster's, of the running server. */
  readonly pid: number
  /** Each call may use another session; take a `client` where session state matters. */
  query<Row extends QueryResultRow = QueryResultRow>(
    sql: string,
    params?: readonly unknown[],
  ): Promise<Row[]>
  /** A connected session, closed with the server; a lost connection is not an uncaught error. */
  client(options?: ClientConfig): Promise<Client>
  /** Stops the server as `kill` or `stop` does if it runs, and starts it again on the same port. */
  restart(): Promise<void>
  /** Immediate shutdown, as in a crash: recovery runs at the next start. */
  kill(): Promise<void>
  /** Fast shutdown: sessions are cut, everything is flushed. */
  stop(): Promise<void>
}

export interface PostgresWithPrograms extends PostgresServer {
  /** Folder of psql, pgbench, pg_recvlogical and the rest. */
  readonly bin: string
  /** The environment (PGHOST, PGPASSWORD …) under which those programs find this server. */
  readonly env: NodeJS.ProcessEnv
}

const defaults: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '50',
  max_connections: '200',
  max_prepared_transactions: '10',
  fsync: 'off',
  listen_addresses: '127.0.0.1',
}
const user = 'postgres'
const password = 'postgres'

/** Starts a server; throws when its binaries cannot be had or it does not come up. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  return start(await postgresBinaries(options.version ?? onlyMajor() ?? 18), options)
}

/** `SLUICE_TEST_POSTGRES=16` runs tests that would use other majors on that one. */
function onlyMajor(): PostgresMajor | null {
  const text = process.env['SLUICE_TEST_POSTGRES']
  if (text === undefined) return null
  const major = allMajors.find((known) => String(known) === text)
  if (major === undefined)
    throw new Error(`SLUICE_TEST_POSTGRES=${text} is none of ${allMajors.join(', ')}`)
  return major
}
const allMajors: readonly PostgresMajor[] = [14, 15, 16, 17, 18]

/**
 * Those of the majors whose binaries can be had here. One that cannot is said to be skipped; in CI that
 * is an error.
 */
export async function postgresMajors(
  ...wanted: readonly PostgresMajor[]
): Promise<readonly PostgresMajor[]> {
  const found: PostgresMajor[] = []
  const only = onlyMajor()
  for (const major of only === null ? wanted : [only]) {
    try {
      await postgresBinaries(major)
      found.push(major)
    } catch (cause) {
      const reason = `PostgreSQL ${major} cannot be had here: ${String(cause)}`
      if (process.env['CI'] !== undefined) throw new Error(reason, { cause })
      process.stderr.write(`SKIPPED: ${reason}\n`)
    }
  }
  return found
}

/** PostgreSQL 18 with all its client programs. */
export async function startPostgresWithPrograms(
  options: Omit<PostgresOptions, 'version'> = {},
): Promise<PostgresWithPrograms> {
  const bin = await postgresPrograms()
  const server = await start(bin, options)
  const env = {
    ...process.env,
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: 'postgres',
  }
  return Object.assign(server, { bin, env })
}

async function start(bin: string, options: PostgresOptions): Promise<Server> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'sluice-postgres-'))
  mkdirSync(dir, { recursive: true })
  const server = new Server(bin, dir, await freePort(), {
    temporary: options.dir === undefined,
    settings: { ...defaults, ...options.settings },
  })
  try {
    await server.initialise()
    await server.start()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

class Server implements PostgresServer {
  readonly host = '127.0.0.1'
  readonly user = user
  readonly password = password
  readonly port: number
  readonly url: string
  readonly dir: string
  readonly #bin: string
  readonly #settings: Readonly<Record<string, string>>
  readonly #temporary: boolean
  readonly #process: ServerProcess
  readonly #clients = new Set<Client>()
  readonly #atExit = (): void => this.#dieWithUs()
  #pool: Pool

  constructor(
    bin: string,
    dir: string,
    port: number,
    how: { readonly temporary: boolean; readonly settings: Readonly<Record<string, string>> },
  ) {
    this.#bin = bin
    this.dir = dir
    this.#process = new ServerProcess('PostgreSQL', dir)
    this.port = port
    this.#settings = how.settings
    this.#temporary = how.temporary
    this.url = `postgres://${user}:${password}@${this.host}:${port}/postgres`
    this.#pool = this.#newPool()
    process.on('exit', this.#atExit)
  }

  get pid(): number {
    return this.#process.pid
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    sql: string,
    params: readonly unknown[] = [],
  ): Promise<Row[]> {
    const result = await this.#pool.query<Row>(sql, [...params])
    return result.rows
  }

  async client(options: ClientConfig = {}): Promise<Client> {
    const client = new Client({ connectionString: this.url, ...options })
    client.on('error', () => {})
    client.once('end', () => this.#clients.delete(client))
    await client.connect()
    this.#clients.add(client)
    return client
  }

  async initialise(): Promise<void> {
    const data = join(this.dir, 'data')
    if (existsSync(join(data, 'PG_VERSION'))) return
    rmSync(data, { recursive: true, force: true })
    mkdirSync(data)
    const passwordFile = join(this.dir, 'password')
    writeFileSync(passwordFile, password)
    chmodSync(this.dir, 0o755)
    if (asRoot()) for (const path of [this.dir, data, passwordFile]) chownSync(path, nobody, nobody)
    const options = [
      '-D',
      data,
      '-U',
      user,
      '-A',
      'scram-sha-256',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ]
    const initdb = [join(this.#bin, 'initdb'), ...options, `--pwfile=${passwordFile}`]
    const [program, ...args] = asServerUser(initdb, 'QUIT')
    await promisify(execFile)(program!, args, { cwd: '/' })
  }

  async start(): Promise<void> {
    const settings = Object.entries(this.#settings).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ])
    const data = join(this.dir, 'data')
    const options = ['-D', data, '-p', String(this.port), '-k', this.dir, ...settings]
    const command = asServerUser([join(this.#bin, 'postgres'), ...options], 'QUIT')
    await this.#process.start(command, { cwd: '/', isReady: () => this.#isReady() })
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGQUIT')
    await this.#dropSessions()
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGINT')
    await this.#dropSessions()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#clients].map((client) => client.end()))
    await this.#pool.end()
    await this.#process.end('SIGINT')
    process.off('exit', this.#atExit)
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }

  async #dropSessions(): Promise<void> {
    const pool = this.#pool
    this.#pool = this.#newPool()
    await pool.end()
  }

  #newPool(): Pool {
    const pool = new Pool({ connectionString: this.url, max: 4 })
    pool.on('error', () => {})
    return pool
  }

  /** What pg_ctl looks at too: the eighth line of postmaster.pid. */
  #isReady(): boolean {
    const path = join(this.dir, 'data', 'postmaster.pid')
    return existsSync(path) && readFileSync(path, 'utf8').split('\n')[7]?.trim() === 'ready'
  }

  /** At exit nothing asynchronous runs any more: wait for the lock file to go, then remove the folder. */
  #dieWithUs(): void {
    this.#process.signal('SIGQUIT')
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (let i = 0; i < 100 && existsSync(join(this.dir, 'data', 'postmaster.pid')); i++) {
      Atomics.wait(pause, 0, 0, 20)
    }
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}
