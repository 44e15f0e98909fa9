/** The pipeline of a crash run as its users would run it: a YAML file and the real command line. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface Endpoints {
  readonly postgres: string
  readonly clickhouse: string
  readonly hook: string
  readonly secret: string
  /** `log:` entry of the file. */
  readonly log: string
}

const yaml = (log: string): string => `
version: 1
name: crash
log: ${log}
sources:
  pg:
    type: postgres
    url: \${env.PG_URL}
    tables: [public.accounts, public.items, public.events]
transforms:
  totals:
    sql: |
      SELECT kind, COUNT(*) AS n, SUM(amount) AS amount, MAX(amount) AS most FROM events GROUP BY kind
sinks:
  warehouse: { type: clickhouse, url: \${env.CLICKHOUSE_URL}, from: [accounts, items, totals] }
  ledger:
    type: clickhouse
    url: \${env.CLICKHOUSE_URL}
    from: [accounts, events]
    mode: append
    tables: { pg.public.accounts: accounts_ledger, pg.public.events: events_ledger }
  hooks:
    type: webhook
    url: \${env.HOOK_URL}
    secret: \${env.HOOK_SECRET}
    from: accounts
    allow_http: true
    allow_private: true
    retry: { base: 20ms }
`

const root = resolve(import.meta.dirname, '../..')

export class SluiceProcess {
  readonly #folder: string
  readonly #endpoints: Endpoints
  #child: ChildProcess | null = null
  #output = ''

  constructor(folder: string, endpoints: Endpoints) {
    this.#folder = folder
    this.#endpoints = endpoints
    writeFileSync(join(folder, 'pipeline.yaml'), yaml(endpoints.log))
  }

  /** What the processes said, the last 30,000 characters. */
  get output(): string {
    return this.#output
  }
  get pid(): number {
    return this.#child?.pid ?? 0
  }
  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  start(failpoints = ''): void {
    const { postgres, clickhouse, hook, secret } = this.#endpoints
    const child = spawn(
      process.execPath,
      [join(root, 'bin/sluice.ts'), 'run', 'pipeline.yaml', '--plain', '--port', '0'],
      {
        cwd: this.#folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          PG_URL: postgres,
          CLICKHOUSE_URL: clickhouse,
          HOOK_URL: hook,
          HOOK_SECRET: secret,
          SLUICE_FAILPOINTS: failpoints,
        },
      },
    )
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-30_000)
      })
    }
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
