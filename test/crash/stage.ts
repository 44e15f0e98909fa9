/**
 * The stage of a crash run: a real server with writers on it, a ClickHouse engine, a webhook
 * receiver that fails now and then, a log, and the real command line between them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog, type Log } from '../../core/log/log.ts'
import { readHead } from '../../core/log/head.ts'
import { openStore } from '../../core/store/open.ts'
import { startClickHouse, type ClickHouse } from '../services/clickhouse.ts'
import { startReceiver, type Received, type Receiver } from '../services/webhook-receiver.ts'
import { tempDir, waitFor } from '../support/env.ts'
import { SluiceProcess } from './pipeline.ts'
import { seeded, type Random } from '../support/random.ts'
import { judge, type Verdict } from './verdict.ts'
import { startSource } from './sources.ts'
import type { CrashSource, SourceKind } from './source.ts'

export interface StageOptions {
  readonly seed: number
  readonly say: (text: string) => void
  /** `postgres` when absent. */
  readonly source?: SourceKind
  /** Settings of the source's server. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether the source's server is killed now and then, too; it then keeps what it committed. */
  readonly serverKills?: boolean
  /** Whether the connections to it are cut now and then. */
  readonly cuts?: boolean
  /** An S3 server for the log; a local directory when absent. */
  readonly s3?: {
    readonly url: string
    readonly yaml: string
    readonly options: Record<string, unknown>
  }
}

const secret = `whsec_${Buffer.from('a secret for the crash test only').toString('base64')}`

interface Servers {
  readonly source: CrashSource
  readonly clickhouse: ClickHouse
  readonly receiver: Receiver
  readonly folder: string
}

export class Stage implements AsyncDisposable {
  readonly #options: StageOptions
  readonly #servers: Servers
  readonly #owned: AsyncDisposableStack
  readonly #processes: SluiceProcess[] = []
  readonly #stop = new AbortController()
  readonly #writers: Promise<number>[]
  #log: Promise<Log> | null = null

  private constructor(options: StageOptions, servers: Servers, owned: AsyncDisposableStack) {
    this.#options = options
    this.#servers = servers
    this.#owned = owned
    this.#writers = [1, 2, 3].map((n) =>
      servers.source.write(options.seed * 10 + n, this.#stop.signal),
    )
    for (const writer of this.#writers) writer.catch(() => {})
  }

  static async start(options: StageOptions): Promise<Stage> {
    const random = seeded(options.seed + 1)
    await using servers = new AsyncDisposableStack()
    const folder = servers.use(asyncFolder())
    const { cuts = false } = options
    const isMysql = options.source === 'mysql' || options.source === 'mariadb'
    const durable = options.serverKills === true && isMysql ? durableSettings : {}
    const settings = { ...durable, ...options.settings }
    const source = servers.use(await startSource(options.source ?? 'postgres', { settings, cuts }))
    const clickhouse = servers.use(await startClickHouse())
    const receiver = servers.use(await startReceiver({ secret, behaviour: flaky(random) }))
    await source.createTables()
    return new Stage(options, { source, clickhouse, receiver, folder: folder.path }, servers.move())
  }

  /** A process that is not started yet, on the one pipeline. */
  process(): SluiceProcess {
    const { source, clickhouse, receiver, folder } = this.#servers
    const log = this.#options.s3?.yaml ?? '{ url: file://./log }'
    const sluice = new SluiceProcess(folder, {
      source,
      clickhouse: clickhouse.url,
      hook: receiver.url,
      secret,
      log,
    })
    this.#processes.push(sluice)
    return sluice
  }

  /** The source's server dies and comes back. */
  async crashServer(): Promise<void> {
    await this.#servers.source.crash?.()
  }

  /** The connections to it end in the middle of what they carry, a few times. */
  async cutConnections(random: Random): Promise<void> {
    await this.#servers.source.cut?.(random)
  }

  /** Resolves when a row of the source is in the sink. */
  async firstRow(): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      const [row] = await this.#servers.clickhouse.query('SELECT count() AS n FROM accounts_live')
      return Number(row?.['n']) > 0
    }
    await waitFor('the first row', isThere, 60_000)
  }

  /** Resolves when the log has moved on from where it is now, with new rows. */
  async goesOn(): Promise<void> {
    const end = async (): Promise<number> => {
      const { name, schema } = this.#servers.source
      const head = await this.#head()
      return head?.topics.get(`${name}.${schema}.events`)?.nextOffset ?? 0
    }
    const before = await end()
    try {
      await waitFor('new rows in the log', async () => (await end()) > before + 100, 60_000)
    } catch (cause) {
      throw new Error(`the log stood still; the processes said:\n${this.output}`, { cause })
    }
  }

  /** Ends the writers; how many rows they wrote. */
  async quiet(): Promise<number> {
    this.#stop.abort()
    const written = await Promise.all(this.#writers)
    return written.reduce((sum, count) => sum + count, 0)
  }

  /** Waits until the log has everything of the source and the sinks everything of the log; then ends the process. */
  async settle(sluice: SluiceProcess): Promise<void> {
    const { source, receiver } = this.#servers
    const isThere = await source.end()
    const arrived = async (): Promise<boolean> => {
      if (!sluice.running) throw new Error(`sluice ended: ${sluice.output}`)
      const head = await this.#head()
      return (await isThere(head?.position ?? null)) && (await this.#delivered())
    }
    await waitFor('everything to arrive', arrived, 240_000)
    // Twice in a row, with nothing on its way in between.
    for (let taken = -1; taken !== receiver.taken.length;) {
      taken = receiver.taken.length
      await sleep(1000)
      await waitFor('everything to stay', arrived, 240_000)
    }
    const end = await sluice.kill('SIGTERM')
    if (end.code !== 0) throw new Error(`SIGTERM ended with ${end.code}: ${sluice.output}`)
  }

  async judge(): Promise<Verdict> {
    return judge({ log: await this.#openLog(), ...this.#servers, say: this.#options.say })
  }

  /** What the processes said, newest last. */
  get output(): string {
    return this.#processes.map((sluice) => sluice.output).join('\n')
  }

  async #delivered(): Promise<boolean> {
    const signal = AbortSignal.timeout(60_000)
    const log = await this.#openLog()
    const { name, tables } = this.#servers.source
    const views = tables.filter(({ live }) => live).length + 1
    for (const [sink, count] of [
      ['warehouse', views],
      ['ledger', 2],
      ['hooks', 1],
    ] as const) {
      const head = await readHead(log, `crash.sink.${sink}`, signal)
      const notes = head?.notes as { topics?: Record<string, { done: number }> } | null | undefined
      const topics = Object.entries(notes?.topics ?? {})
      if (topics.length < count) return false
      for (const [topic, { done }] of topics) {
        const chain = topic.startsWith(`${name}.`) ? this.#chain : 'crash.transform.totals'
        if ((await readHead(log, chain, signal))?.topics.get(topic)?.nextOffset !== done)
          return false
      }
    }
    return true
  }

  get #chain(): string {
    return `crash.source.${this.#servers.source.name}`
  }

  async #head(): ReturnType<typeof readHead> {
    return readHead(await this.#openLog(), this.#chain, AbortSignal.timeout(60_000))
  }

  async #openLog(): Promise<Log> {
    const url = this.#options.s3?.url ?? `file://${this.#servers.folder}/log`
    const store = openStore(url, this.#options.s3?.options ?? {})
    const opening = (this.#log ??= openLog(store, { signal: AbortSignal.timeout(60_000) }))
    try {
      return await opening
    } catch (error) {
      // Whoever asks next may have more luck.
      if (this.#log === opening) this.#log = null
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled(this.#writers)
    // A stopped process takes no other signal.
    for (const sluice of this.#processes) await sluice.kill('SIGKILL')
    const log = await this.#log?.catch(() => null)
    await log?.store[Symbol.asyncDispose]()
    await this.#owned[Symbol.asyncDispose]()
  }
}

function asyncFolder(): { readonly path: string } & AsyncDisposable {
  const folder = tempDir('crash')
  return {
    path: folder.path,
    [Symbol.asyncDispose]: async () => Promise.resolve(folder[Symbol.dispose]()),
  }
}

/** What was committed, and told to a reader of the binlog, is there after a crash: MySQL's own defaults. */
const durableSettings = { 'sync-binlog': '1', 'innodb-flush-log-at-trx-commit': '1' }

/** Now and then the receiver fails, or takes an event and does not answer. */
function flaky(
  random: Random,
): (request: Received) => { status?: number; drop?: 'answerless' } | undefined {
  return () => {
    if (random.chance(0.01)) return { status: 503 }
    return random.chance(0.005) ? { drop: 'answerless' } : undefined
  }
}
