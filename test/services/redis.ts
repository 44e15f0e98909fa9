/**
 * Real Redis and Valkey servers for tests and benchmarks, from Debian's packages: single, as a replica, or as
 * a cluster of three.
 *
 *   await using server = await startRedis({ version: 'valkey-9', settings: { maxmemory: '10mb' } })
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, waitFor } from '../support/env.ts'
import { debianCommand, unpackDebianPrograms, type DebianPrograms } from './debs.ts'
import { servicesFolder } from './install.ts'
import { ServerProcess } from './server-process.ts'

/** Fields of hashes expire from Redis 8 and Valkey 9 on; 7.0 is the oldest server supported. */
export type RedisVersion = 'redis-7' | 'redis-8' | 'valkey-9'
export const redisVersions: readonly RedisVersion[] = ['redis-7', 'redis-8', 'valkey-9']

interface Recipe {
  readonly programs: DebianPrograms
  readonly name: 'redis' | 'valkey'
}

const without =
  /^(perl|libperl|adduser|passwd|dpkg|debconf|init-system|lsb-base|sysvinit|procps|libpam|login)/

/** Debian's unstable suite moves: the version is the one of the day on which it was fetched. */
const recipes: Readonly<Record<RedisVersion, Recipe>> = {
  'redis-7': {
    name: 'redis',
    programs: { suite: 'bookworm', packages: ['redis-server', 'redis-tools'], without },
  },
  'redis-8': {
    name: 'redis',
    programs: { suite: 'sid', packages: ['redis-server', 'redis-tools'], without },
  },
  'valkey-9': {
    name: 'valkey',
    programs: { suite: 'sid', packages: ['valkey-server', 'valkey-tools'], without },
  },
}

export interface RedisOptions {
  /** redis-7 when absent. */
  readonly version?: RedisVersion
  /** Server settings, such as `{ maxmemory: '10mb' }`; they win over the defaults. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface RedisServer extends AsyncDisposable {
  readonly version: RedisVersion
  readonly host: string
  readonly port: number
  /** `redis://127.0.0.1:port`, no user. */
  readonly url: string
  /** What redis-cli prints for a command, without its last line end. */
  cli(...words: readonly string[]): Promise<string>
  /** The command line of another program of the package: `redis-benchmark`. */
  program(name: 'benchmark', ...args: readonly string[]): readonly string[]
  /** SIGKILL, as in a crash. */
  kill(): Promise<void>
  /** Starts it again on the same port and data. */
  start(): Promise<void>
}

/** Starts a server; throws when its programs cannot be had or it does not come up. Append-only file on. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const version = options.version ?? 'redis-7'
  await unpackDebianPrograms(join(servicesFolder(), version), recipes[version].programs)
  const server = new Server(version, await freePort(), options.settings ?? {})
  try {
    await server.start()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** One that follows `master`, and has all of it when this returns. */
export async function startRedisReplica(master: RedisServer): Promise<RedisServer> {
  // Else it waits for more of them before it sends what it has. Of both: the replica may be the next master.
  const delay = ['repl-diskless-sync-delay', '0'] as const
  await master.cli('config', 'set', ...delay)
  const settings = {
    replicaof: `${master.host} ${master.port}`,
    [delay[0]]: delay[1],
  }
  await using stack = new AsyncDisposableStack()
  const replica = stack.use(await startRedis({ version: master.version, settings }))
  await waitFor('the replica to follow', async () =>
    (await replica.cli('info', 'replication')).includes('master_link_status:up'),
  )
  // WAIT counts it, and the master sends it what is written, from its first ACK on: once a second it sends one.
  await master.cli('publish', 'sync', '')
  const acked = new RegExp(`port=${replica.port},state=online,offset=(\\d+)`)
  await waitFor('the master to hear of it', async () => {
    const said = await master.cli('info', 'replication')
    const offset = acked.exec(said)?.[1]
    return offset !== undefined && said.includes(`master_repl_offset:${offset}\r\n`)
  })
  stack.move()
  return replica
}

/** Three masters that share the slots, each with so many replicas; the first three of `servers` in the beginning. */
export async function startRedisCluster(
  version: RedisVersion = 'redis-7',
  replicas = 0,
): Promise<{ readonly servers: readonly RedisServer[]; readonly url: string } & AsyncDisposable> {
  const servers: RedisServer[] = []
  const stop = async (): Promise<void> => {
    for (const server of servers) await server[Symbol.asyncDispose]()
  }
  try {
    for (let i = 0; i < 3 * (1 + replicas); i++) {
      const settings = {
        'cluster-enabled': 'yes',
        // A machine that stands still for a while must not make a master look dead; without replicas none takes over.
        'cluster-node-timeout': replicas === 0 ? '15000' : '5000',
        'repl-diskless-sync-delay': '0',
        // Otherwise it is 10,000 above the server's own, where there may be no port any more.
        'cluster-port': String(await freePort()),
      }
      servers.push(await startRedis({ version, settings }))
    }
    const hosts = servers.map(({ host, port }) => `${host}:${port}`)
    const each = ['--cluster-replicas', String(replicas)]
    await servers[0]!.cli('--cluster', 'create', ...hosts, ...each, '--cluster-yes')
    for (const server of servers) {
      await waitFor('the cluster to be whole', async () => {
        return (await server.cli('cluster', 'info')).includes('cluster_state:ok')
      })
    }
    return { servers, url: `redis://${hosts.join(',')}`, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

class Server implements RedisServer {
  readonly version: RedisVersion
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #dir = mkdtempSync(join(tmpdir(), 'sluice-redis-'))
  readonly #settings: Readonly<Record<string, string>>
  readonly #atExit = (): void => this.#dieWithUs()
  readonly #process: ServerProcess

  constructor(version: RedisVersion, port: number, settings: Readonly<Record<string, string>>) {
    this.version = version
    this.#process = new ServerProcess(version, this.#dir)
    this.port = port
    this.#settings = { appendonly: 'yes', save: '', ...settings }
    process.on('exit', this.#atExit)
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`
  }

  async start(): Promise<void> {
    const place = { port: String(this.port), bind: this.host, dir: this.#dir, daemonize: 'no' }
    const options = Object.entries({ ...place, ...this.#settings }).flatMap(([name, value]) => [
      `--${name}`,
      ...(value === '' ? [''] : value.split(' ')),
    ])
    // The kernel kills the server when this process dies in whatever way.
    const command = [
      'setpriv',
      '--pdeathsig=KILL',
      ...redisCommand(this.version, 'server', ...options),
    ]
    await this.#process.start(command, { cwd: this.#dir, isReady: () => answers(this.port) })
  }

  async cli(...words: readonly string[]): Promise<string> {
    const [command, ...args] = redisCommand(this.version, 'cli', '-p', String(this.port), ...words)
    const { stdout } = await promisify(execFile)(command!, args, { maxBuffer: 1 << 28 })
    return stdout.replace(/\n$/, '')
  }

  program(name: 'benchmark', ...args: readonly string[]): readonly string[] {
    return redisCommand(this.version, name, '-h', this.host, '-p', String(this.port), ...args)
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    process.off('exit', this.#atExit)
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 })
  }

  #dieWithUs(): void {
    this.#process.signal('SIGKILL')
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The command line of a program of a package that is unpacked. */
export function redisCommand(
  version: RedisVersion,
  program: 'server' | 'cli' | 'benchmark',
  ...args: readonly string[]
): readonly string[] {
  const root = join(servicesFolder(), version)
  return [...debianCommand(root, `usr/bin/${recipes[version].name}-${program}`), ...args]
}

/** Whether the server answers a PING, if only to ask for a password. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('data', (bytes) => done(!bytes.toString().startsWith('-LOADING')))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
  })
}
