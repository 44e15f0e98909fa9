/** The pipeline of a crash run as its users would run it: a YAML file and the real command line. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { CrashSource } from './source.ts'

export interface Endpoints {
  readonly source: CrashSource
  readonly clickhouse: string
  readonly hook: string
  readonly secret: string
  /** `log:` entry of the file. */
  readonly log: string
}

function yaml(log: string, { name, schema, yaml, tables }: CrashSource): string {
  const live = tables.filter((table) => table.live).map((table) => table.name)
  const named = live.map((table) => `${name}.${schema}.${table}: ${table}`)
  return `
version: 1
name: crash
log: ${log}
sources:
  ${name}: ${yaml}
transforms:
  totals:
    sql: |
      SELECT kind, COUNT(*) AS n, SUM(amount) AS amount, MAX(amount) AS most FROM events GROUP BY kind
sinks:
  warehouse:
    type: clickhouse
    url: \${env.CLICKHOUSE_URL}
    from: [${live.join(', ')}, totals]
    tables: { ${named.join(', ')} }
  ledger:
    type: clickhouse
    url: \${env.CLICKHOUSE_URL}
    from: [accounts, events]
    mode: append
    tables: { ${name}.${schema}.accounts: accounts_ledger, ${name}.${schema}.events: events_ledger }
  hooks:
    type: webhook
    url: \${env.HOOK_URL}
    secret: \${env.HOOK_SECRET}
    from: accounts
    allow_http: true
    allow_private: true
    retry: { base: 20ms }
`
}

const root = resolve(import.meta.dirname, '../..')

export class SluiceProcess {
  readonly #folder: string
  readonly #endpoints: Endpoints
  #child: ChildProcess | null = null
  #output = ''
  /** Resolves when the process that was started last reads from its source. */
  #reads = Promise.resolve()

  constructor(folder: string, endpoints: Endpoints) {
    this.#folder = folder
    this.#endpoints = endpoints
    writeFileSync(join(folder, 'pipeline.yaml'), yaml(endpoints.log, endpoints.source))
  }

  /** What the processes said, the last 30,000 characters. */
  get output(): string {
    return this.#output
  }
  /** Resolves when the process that was started last has reached its source. */
  get reads(): Promise<void> {
    return this.#reads
  }
  get pid(): number {
    return this.#child?.pid ?? 0
  }
  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  start(failpoints = ''): void {
    const { source, clickhouse, hook, secret } = this.#endpoints
    const child = spawn(
      process.execPath,
      [join(root, 'bin/sluice.ts'), 'run', 'pipeline.yaml', '--plain', '--port', '0'],
      {
        cwd: this.#folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          SOURCE_URL: source.url,
          CLICKHOUSE_URL: clickhouse,
          HOOK_URL: hook,
          HOOK_SECRET: secret,
          SLUICE_FAILPOINTS: failpoints,
        },
      },
    )
    let said = ''
    this.#reads = new Promise((resolve) => {
      for (const pipe of [child.stdout, child.stderr]) {
        pipe.on('data', (chunk: Buffer) => {
          this.#output = (this.#output + chunk.toString()).slice(-30_000)
          if (said.length < 30_000) said += chunk.toString()
          if (/ingest \S+ {2}(?:connected|running|snapshotting)/.test(said)) resolve()
        })
      }
    })
    this.#child = child
  }

  /** Resolves with how the process ended. */
  async ended(): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
    const child = this.#child
    if (child === null) return { code: 0, signal: null }
    if (this.running) await once(child, 'exit')
    return { code: child.exitCode, signal: child.signalCode }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<{ readonly code: number | null }> {
    if (this.running) this.#child?.kill(signal)
    return this.ended()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }
}
