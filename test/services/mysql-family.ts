/**
 * What MySQL and MariaDB servers of the tests have in common: an own data folder copied from one that is
 * initialised once, a free port, a binary log with rows, stopped on dispose and with this
 * process however it ends. mysql.ts and mariadb.ts say what differs.
 */
import { execFile } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync } from 'node:fs'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  createConnection,
  createPool,
  type Connection,
  type ConnectionOptions,
  type Pool,
} from 'mysql2/promise'
import { freePort } from '../support/env.ts'
import { debianCommand, unpackDebianPrograms, type DebianPrograms } from './debs.ts'
import { once, servicesFolder } from './install.ts'
import { asRoot, asServerUser, nobody, ServerProcess } from './server-process.ts'

export type Settings = Readonly<Record<string, string>>
export type Parameter = string | number | bigint | boolean | Buffer | Date | null

/** How one version is had, initialised and started. */
export interface Recipe {
  /** `mysql-9.7`: the name of its folder, and of it in SLUICE_TEST_MYSQL. */
  readonly name: string
  readonly flavour: 'mysql' | 'mariadb'
  readonly programs: DebianPrograms
  /** Paths below the unpacked folder. */
  readonly server: string
  readonly client: string
  readonly binlog: string
  readonly dump: string
  readonly clientOptions: readonly string[]
  /** Server options that every run needs, initialisation too. */
  folders(root: string): readonly string[]
  readonly settings: Settings
  /** Fills the data folder, which is empty: by running the server until it ends, `input` its standard input. */
  initialise(root: string, scratch: string, run: RunServer): Promise<void>
}
export type RunServer = (options: readonly string[], input: string) => Promise<void>

export interface ServerOptions {
  /** Server settings, such as `{ 'binlog-row-image': 'MINIMAL' }`; they win over the defaults. */
  readonly settings?: Settings
  /** lower_case_table_names = 1, which MySQL takes only where the data was initialised with it. */
  readonly foldNames?: boolean
  /** Where the data lies; a temporary folder, removed on dispose, when absent. */
  readonly dir?: string
}

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/** A running server. User `root` may do everything, from any host. */
export interface MysqlServer extends AsyncDisposable {
  /** `mysql-9.7`, `mariadb-10.11`, `mariadb-11.8`. */
  readonly name: string
  readonly flavour: 'mysql' | 'mariadb'
  /** `mysql://root:mysql@127.0.0.1:port`, no database. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly dir: string
  /** `@@server_id`: its port, so that servers of one test differ. */
  readonly serverId: number
  /** `@@server_uuid`; empty for MariaDB, which has none that identifies a server. */
  readonly serverUuid: string
  readonly pid: number
  /**
   * Rows of the statement (of the last one, where several are given with semicolons). Decimals, dates
   * and integers beyond 2^53 come as text. Each call may use another session.
   */
  query<Row = Record<string, unknown>>(sql: string, params?: readonly Parameter[]): Promise<Row[]>
  /** A connected session, closed with the server; a lost connection is not an uncaught error. */
  client(options?: ConnectionOptions): Promise<Connection>
  /** The command line of a client program, connected to this server: for `spawn` or `execFile`. */
  program(what: 'client' | 'binlog' | 'dump', ...args: readonly string[]): Program
  /** Clean stop if it runs, and start again on the same port and data, with `settings` on top. */
  restart(settings?: Settings): Promise<void>
  /** SIGKILL, as in a crash: recovery runs at the next start. */
  kill(): Promise<void>
  /** Clean shutdown: sessions are cut, everything is flushed. */
  stop(): Promise<void>
}

const user = 'root'
const password = 'mysql'

const sessionOptions: ConnectionOptions = {
  multipleStatements: true,
  supportBigNumbers: true,
  dateStrings: true,
  charset: 'utf8mb4',
  timezone: 'Z',
}

const folding = { 'lower-case-table-names': '1' }

/** Unpacks the programs and makes the initialised data folder, both once. */
export async function prepare(
  recipe: Recipe,
  foldNames = false,
): Promise<{ root: string; template: string }> {
  const root = join(servicesFolder(), recipe.name)
  await unpackDebianPrograms(root, recipe.programs)
  const template = join(servicesFolder(), `${recipe.name}-data${foldNames ? '-folded' : ''}`)
  const settings = foldNames ? asOptions(folding) : []
  await once(template, async (into) => {
    chmodSync(into, 0o755)
    if (asRoot()) chownSync(into, nobody, nobody)
    const data = join(into, 'data')
    mkdirSync(data)
    own(data)
    await recipe.initialise(root, into, (options, input) => {
      const server = debianCommand(root, recipe.server)
      const folders = ['--no-defaults', ...recipe.folders(root), `--datadir=${data}`]
      return runToEnd(
        asServerUser([...server, ...folders, ...settings, `--tmpdir=${into}`, ...options], 'KILL'),
        input,
      )
    })
  })
  return { root, template: join(template, 'data') }
}

/** Starts a server; throws when its programs cannot be had or it does not come up. */
export async function startServer(recipe: Recipe, options: ServerOptions): Promise<MysqlServer> {
  const { foldNames = false } = options
  const { root, template } = await prepare(recipe, foldNames)
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), `sluice-${recipe.flavour}-`))
  const server = new Server(recipe, root, {
    dir,
    port: await freePort(),
    temporary: options.dir === undefined,
    settings: { ...recipe.settings, ...(foldNames ? folding : {}), ...options.settings },
  })
  try {
    server.fill(template)
    await server.start()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

interface Place {
  readonly dir: string
  readonly port: number
  readonly temporary: boolean
  readonly settings: Settings
}

class Server implements MysqlServer {
  readonly name: string
  readonly flavour: 'mysql' | 'mariadb'
  readonly host = '127.0.0.1'
  readonly user = user
  readonly password = password
  readonly port: number
  readonly url: string
  readonly dir: string
  readonly #recipe: Recipe
  readonly #root: string
  readonly #temporary: boolean
  readonly #process: ServerProcess
  readonly #clients = new Set<Connection>()
  readonly #atExit = (): void => this.#dieWithUs()
  #settings: Settings
  #serverUuid = ''
  #pool: Pool

  constructor(recipe: Recipe, root: string, place: Place) {
    this.name = recipe.name
    this.flavour = recipe.flavour
    this.#recipe = recipe
    this.#root = root
    this.dir = place.dir
    this.#process = new ServerProcess(recipe.name, place.dir)
    this.port = place.port
    this.#settings = { 'server-id': String(place.port), ...place.settings }
    this.#temporary = place.temporary
    this.url = `mysql://${user}:${password}@${this.host}:${this.port}`
    this.#pool = this.#newPool()
    process.on('exit', this.#atExit)
  }

  get pid(): number {
    return this.#process.pid
  }

  get serverId(): number {
    return Number(this.#settings['server-id'])
  }

  get serverUuid(): string {
    return this.#serverUuid
  }

  async query<Row = Record<string, unknown>>(
    sql: string,
    params: readonly Parameter[] = [],
  ): Promise<Row[]> {
    const [result, fields] = await this.#pool.query(sql, [...params])
    const several = Array.isArray(fields) && fields.some((field) => !('name' in Object(field)))
    const last: unknown = several && Array.isArray(result) ? result.at(-1) : result
    return Array.isArray(last) ? (last as Row[]) : []
  }

  async client(options: ConnectionOptions = {}): Promise<Connection> {
    const client = await createConnection({ ...this.#address(), ...sessionOptions, ...options })
    client.on('error', () => {})
    this.#clients.add(client)
    return client
  }

  program(what: 'client' | 'binlog' | 'dump', ...args: readonly string[]): Program {
    const address = [`-h${this.host}`, `-P${this.port}`, `-u${user}`]
    const options = ['--no-defaults', '--protocol=tcp', ...address, ...this.#recipe.clientOptions]
    const [command, ...first] = debianCommand(this.#root, this.#recipe[what])
    const env = { ...process.env, MYSQL_PWD: password }
    return { command: command!, args: [...first, ...options, ...args], env }
  }

  /** Copies the initialised data, unless this folder has some; an own server_uuid is made at the start. */
  fill(template: string): void {
    const data = join(this.dir, 'data')
    mkdirSync(this.dir, { recursive: true })
    chmodSync(this.dir, 0o755)
    if (asRoot()) chownSync(this.dir, nobody, nobody)
    if (existsSync(data)) return
    cpSync(template, data, { recursive: true, filter: (path) => !path.endsWith('/auto.cnf') })
    own(data)
  }

  async start(): Promise<void> {
    const place = {
      port: String(this.port),
      'bind-address': this.host,
      datadir: join(this.dir, 'data'),
      tmpdir: this.dir,
      socket: join(this.dir, 'sock'),
      'pid-file': join(this.dir, 'pid'),
    }
    const options = asOptions({ ...place, ...this.#settings })
    const server = debianCommand(this.#root, this.#recipe.server)
    const folders = ['--no-defaults', ...this.#recipe.folders(this.#root)]
    const command = asServerUser([...server, ...folders, ...options], 'KILL')
    await this.#process.start(command, { cwd: '/', isReady: () => listens(this.port) })
    if (this.flavour === 'mariadb') return
    const [row] = await this.query<{ uuid: string }>('SELECT @@server_uuid AS uuid')
    this.#serverUuid = row?.uuid ?? ''
  }

  async restart(settings: Settings = {}): Promise<void> {
    await this.stop()
    this.#settings = { ...this.#settings, ...settings }
    await this.start()
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
    await this.#dropSessions()
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGTERM')
    await this.#dropSessions()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await endPool(this.#pool)
    await this.#process.end(this.#temporary ? 'SIGKILL' : 'SIGTERM')
    process.off('exit', this.#atExit)
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }

  async #dropSessions(): Promise<void> {
    const pool = this.#pool
    this.#pool = this.#newPool()
    await endPool(pool)
  }

  #newPool(): Pool {
    return createPool({ ...this.#address(), ...sessionOptions, connectionLimit: 4 })
  }

  #address(): ConnectionOptions {
    return { host: this.host, port: this.port, user, password }
  }

  /** At exit nothing asynchronous runs any more: kill, and remove the folder, twice if files still appear. */
  #dieWithUs(): void {
    this.#process.signal('SIGKILL')
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Whether the server greets: it opens its port before it has recovered, and refuses until then. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('data', (bytes) => done(bytes[4] === 10))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
  })
}

function asOptions(settings: Settings): readonly string[] {
  return Object.entries(settings).map(([name, value]) =>
    value === '' ? `--${name}` : `--${name}=${value}`,
  )
}

async function runToEnd(command: readonly string[], input: string): Promise<void> {
  const [program, ...args] = command
  const running = promisify(execFile)(program!, args, { cwd: '/', maxBuffer: 64 * 1024 * 1024 })
  running.child.stdin?.end(input)
  await running
}

/** Gives the folder and all in it to the server's user, and to nobody else: it holds private keys. */
function own(folder: string): void {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
  for (const entry of paths) {
    const path = join(entry.parentPath, entry.name)
    chmodSync(path, entry.isDirectory() ? 0o750 : 0o640)
    if (asRoot()) chownSync(path, nobody, nobody)
  }
  chmodSync(folder, 0o750)
  if (asRoot()) chownSync(folder, nobody, nobody)
}

/** The driver says good-bye on each connection; where one broke at that moment it waits for ever. */
async function endPool(pool: Pool): Promise<void> {
  await Promise.race([pool.end().catch(() => {}), sleep(1000)])
}
