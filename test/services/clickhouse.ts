/**
 * Starts a real ClickHouse engine on a free port, in a child process that ends with this one, for
 * tests and the demo. What stands between it and a server is said in clickhouse-server.ts.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, tempDir } from '../support/env.ts'
import type { ClickHouseFault } from './clickhouse-fault.ts'

export interface ClickHouseOptions {
  /** Data folder, kept at the end; a temporary one, removed at the end, when absent. */
  readonly dir?: string
  readonly port?: number
  /** Refuse every other password with error 516. Any is taken when absent. */
  readonly password?: string
}

export interface ClickHouse extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** Rows as objects; 64-bit integers and decimals come as text, so that nothing is rounded. */
  query(sql: string): Promise<Record<string, unknown>[]>
  /** A statement without result. */
  command(sql: string): Promise<void>
  insert(table: string, rows: readonly Record<string, unknown>[]): Promise<void>
  /** Replaces the faults that wait for a statement. */
  inject(faults: readonly ClickHouseFault[]): Promise<void>
  /** Statements that reached the engine since the last call. */
  statements(): Promise<string[]>
  /** SIGKILL, as a crash. */
  kill(): Promise<void>
  /** Starts again on the same port and data after `kill`. */
  restart(): Promise<void>
}

export async function startClickHouse(options: ClickHouseOptions = {}): Promise<ClickHouse> {
  const temporary = options.dir === undefined ? tempDir('clickhouse') : null
  const folder = options.dir ?? temporary!.path
  const port = options.port ?? (await freePort())
  try {
    return new Running(
      folder,
      port,
      options.password,
      await spawnServer(folder, port, options.password),
      temporary,
    )
  } catch (error) {
    temporary?.[Symbol.dispose]()
    throw error
  }
}

async function spawnServer(
  folder: string,
  port: number,
  password: string | undefined,
): Promise<ChildProcess> {
  mkdirSync(folder, { recursive: true })
  const child = spawn(process.execPath, [join(import.meta.dirname, 'clickhouse-server.ts')], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: {
      ...process.env,
      SLUICE_CLICKHOUSE_DIR: folder,
      SLUICE_CLICKHOUSE_PORT: String(port),
      ...(password === undefined ? {} : { SLUICE_CLICKHOUSE_PASSWORD: password }),
    },
  })
  let said = ''
  child
    .stderr!.setEncoding('utf8')
    .on('data', (text: string) => (said = (said + text).slice(-4000)))
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`ClickHouse did not start (${String(code ?? signal)}): ${said}`)
  })
  await Promise.race([once(child, 'message'), ended])
  ended.catch(() => {})
  return child
}

class Running implements ClickHouse {
  readonly url: string
  readonly #folder: string
  readonly #port: number
  readonly #password: string | undefined
  readonly #temporary: Disposable | null
  #child: ChildProcess

  constructor(
    folder: string,
    port: number,
    password: string | undefined,
    child: ChildProcess,
    temporary: Disposable | null,
  ) {
    this.url = `http://127.0.0.1:${port}`
    this.#folder = folder
    this.#port = port
    this.#password = password
    this.#child = child
    this.#temporary = temporary
  }

  get pid(): number {
    return this.#child.pid!
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const text = await this.#post(sql, '')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  async command(sql: string): Promise<void> {
    await this.#post(sql, '')
  }

  async insert(table: string, rows: readonly Record<string, unknown>[]): Promise<void> {
    const body = rows.map((row) => JSON.stringify(row)).join('\n')
    await this.#post(
      body,
      `&query=${encodeURIComponent(`INSERT INTO ${table} FORMAT JSONEachRow`)}`,
    )
  }

  async inject(faults: readonly ClickHouseFault[]): Promise<void> {
    await this.#hook('faults', JSON.stringify(faults))
  }

  async statements(): Promise<string[]> {
    return JSON.parse(await this.#hook('statements', '')) as string[]
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.#end('SIGTERM')
    this.#child = await spawnServer(this.#folder, this.#port, this.#password)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGTERM')
    this.#temporary?.[Symbol.dispose]()
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  async #hook(name: string, body: string): Promise<string> {
    const response = await fetch(`${this.url}/sluice-test/${name}`, { method: 'POST', body })
    return response.text()
  }

  async #post(body: string, parameters: string): Promise<string> {
    const settings =
      'default_format=JSONEachRow&output_format_json_quote_64bit_integers=1' +
      '&output_format_json_quote_decimals=1&output_format_json_quote_denormals=1'
    const headers = { Authorization: `Basic ${btoa(`default:${this.#password ?? ''}`)}` }
    const response = await fetch(`${this.url}/?${settings}${parameters}`, {
      method: 'POST',
      body,
      headers,
    })
    const text = await response.text()
    if (!response.ok) throw new Error(text.trim())
    return text
  }
}
