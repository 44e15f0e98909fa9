/**
 * Timers of events that wait, in BullMQ: one delayed job an event, in Redis, Valkey or PostgreSQL.
 *
 *   queue = 'sluice.' pipeline '.' sink
 *   job   = { endpoint: hash, topic, offset, attempt }          no row, no address
 *   id    = hash(topic) '-' offset '-' attempt '-' due          the same for the same wait
 *
 * A job says only when to look again; what is due, and the event itself, stands in the log. So whatever
 * becomes of the jobs (flushed, doubled, told twice, let go early by hand in a dashboard), no event is
 * lost: one whose job never comes is sent `lateMs` late. Nothing here is waited for.
 */
import { createHash } from 'node:crypto'
import type { Job, PgPool, Processor } from 'bullmq'
import type { ClientConfig } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import { postgresServer } from '../../core/connector/postgres-url.ts'
import { redisAddress } from '../../core/connector/redis-address.ts'
import type { Secret } from '../../core/connector/secret.ts'
import type { Timer, Timers } from '../../core/connector/waiting.ts'
import { SluiceError } from '../../core/errors/error.ts'

const lateMs = 5000
/** Timers that are not in BullMQ yet; beyond it they are left to the log. */
const unsetMax = 50_000
const chunk = 500
const closeMs = 3000
export const timeoutMs = 10_000
const connectAgainMs = 30_000
/** The oldest that is supported. */
const redisVersion = '7.0.0'

export interface TimerJob {
  readonly endpoint: string
  readonly topic: string
  readonly offset: number
  readonly attempt: number
}

interface NewJob {
  readonly name: string
  readonly data: TimerJob
  readonly opts: {
    readonly jobId: string
    readonly delay: number
    readonly removeOnComplete: true
    readonly removeOnFail: true
  }
}

/** What both of BullMQ's backends have of a queue and a worker. */
interface Ends {
  readonly queue: {
    addBulk(jobs: NewJob[]): Promise<unknown>
    on(event: 'error', listener: (error: Error) => void): unknown
    close(): Promise<void>
  }
  readonly worker: {
    on(event: 'error', listener: (error: Error) => void): unknown
    on(event: 'ready', listener: () => void): unknown
    close(force: boolean): Promise<void>
  }
  /** Whether a server that goes away is not come back from by itself. */
  readonly fragile: boolean
  /** Ends what they shared. */
  readonly end: () => Promise<void>
}

/** `timers` and `timers_ca` of the pipeline file. */
export interface TimersPlace {
  readonly url: Secret
  /** PEM; the public authorities when absent. */
  readonly ca?: string | undefined
}

/** Throws `sink.webhook.timers`, or `redis.url`; whether the server is there shows later. */
export async function openTimers(place: TimersPlace, ctx: Context): Promise<Timers> {
  const name = `sluice.${ctx.pipeline}.${ctx.name}`.replaceAll(':', '-')
  const kind = timersKind(place)
  if (kind === null) {
    throw new SluiceError('sink.webhook.timers', {
      message: '`timers` is not redis://, rediss:// or postgres://',
    })
  }
  // Now, and not when it connects: later, what is wrong (a certificate's file that is gone) only makes events late.
  if (kind === 'redis') timersRedis(place)
  else timersPostgres(place)
  const timers = new BullTimers(ctx, () => {
    const process: Processor<TimerJob> = async ({ data }: Job<TimerJob>) => timers.told(data)
    return connect(place, name, process)
  })
  await timers.connect()
  return timers
}

export function timersKind({ url }: TimersPlace): 'redis' | 'postgres' | null {
  const scheme = /^([a-z]+):\/\//.exec(url.reveal())?.[1] ?? ''
  if (scheme === 'redis' || scheme === 'rediss') return 'redis'
  return scheme === 'postgres' || scheme === 'postgresql' ? 'postgres' : null
}

async function connect(
  place: TimersPlace,
  name: string,
  process: Processor<TimerJob>,
): Promise<Ends> {
  const bull = await import('bullmq')
  if (timersKind(place) === 'redis') {
    const connection = timersRedis(place)
    // A queue that cannot reach its server says so at once, a worker waits until it can.
    const prompt = { ...connection, enableOfflineQueue: false }
    // BullMQ 6.7 takes a server whose version it does not ask for to be this one. Asking would have it print
    // to the console; and for a 5.0 it rounds waits up to seconds, so that a timer is up to one late.
    bull.RedisConnection.minimumVersion = redisVersion
    const common = { skipVersionCheck: true }
    const queue = new bull.Queue<TimerJob>(name, { ...common, connection: prompt })
    const worker = new bull.Worker<TimerJob>(name, process, { ...common, connection, concurrency })
    return { queue, worker, fragile: false, end: async () => {} }
  }
  return connectPostgres(place, name, process, bull)
}

/** As ioredis takes it. Throws `redis.url`. */
function timersRedis({ url, ca }: TimersPlace) {
  const { hosts, user, password, database, tls } = redisAddress({ url, timeoutMs })
  return {
    ...hosts[0]!,
    ...(user === null ? {} : { username: user }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: ca === undefined ? {} : { ca } } : {}),
    db: database,
    maxRetriesPerRequest: null,
  }
}

/**
 * As the driver takes it. With authorities of one's own the server is always verified against them. Throws
 * `sink.webhook.timers`.
 */
export function timersPostgres({ url, ca }: TimersPlace, ownOptions: string = ''): ClientConfig {
  const whose = { code: 'sink.webhook.timers', owner: 'timers' } as const
  const server = postgresServer(url, whose, ownOptions)
  return ca === undefined ? server : { ...server, ssl: { ca } }
}

/** Tables of BullMQ's own, in the schema `bullmq`, which it makes. */
async function connectPostgres(
  place: TimersPlace,
  name: string,
  process: Processor<TimerJob>,
  bull: typeof import('bullmq'),
): Promise<Ends> {
  const { Pool } = (await import('pg')).default
  // Its own pool lets a session that breaks while it is in use end the whole process (BullMQ 6.7).
  const pool = new Pool({
    ...timersPostgres(place, `-c search_path=${bull.DEFAULT_SCHEMA}`),
    max: 6,
  })
  pool.on('error', () => {})
  pool.on('connect', (session) => session.on('error', () => {}))
  try {
    const session = await pool.connect()
    try {
      await bull.runMigrations(session)
    } finally {
      session.release()
    }
    const { Queue, Worker } = bull.withBackend(bull.createPostgresBackend)
    // The types of pg 8 name more overloads than BullMQ's own of it.
    const connection = pool as unknown as PgPool
    const queue = new Queue<TimerJob>(name, { connection })
    const worker = new Worker<TimerJob>(name, process, { connection, concurrency })
    return { queue, worker, fragile: true, end: () => pool.end() }
  } catch (error) {
    await pool.end()
    throw error
  }
}

/** A job takes no time: it wakes somebody. */
const concurrency = 16

class BullTimers implements Timers {
  readonly lateMs = lateMs
  readonly #ctx: Context
  readonly #due = new Map<string, (offset: number) => void>()
  readonly #connect: () => Promise<Ends>
  #ends: Ends | null = null
  /** When a server that was not there is tried again. */
  #connectMs = 0
  #unset: Timer[] = []
  #setting: Promise<void> | null = null
  #closed = false
  /** Of workers that were let go. */
  #ending: Promise<void> = Promise.resolve()
  /** What was said of the server last, so that it is said once. */
  #trouble: string | null = null

  constructor(ctx: Context, connect: () => Promise<Ends>) {
    this.#ctx = ctx
    this.#connect = connect
  }

  /** Never rejects. */
  async connect(): Promise<void> {
    try {
      const ends = await this.#connect()
      this.#ends = ends
      const failed = (error: Error): void => {
        this.#failed(error)
        if (ends.fragile) this.#letGo(ends)
      }
      ends.queue.on('error', failed)
      ends.worker.on('error', failed)
      ends.worker.on('ready', () => this.#well())
    } catch (error) {
      this.#connectMs = this.#ctx.clock.nowMs() + connectAgainMs
      this.#failed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /**
   * A worker whose PostgreSQL went away can ask again without a pause, so that nothing else of the process
   * has a turn (BullMQ 6.7): it is ended, and made anew with the next timers.
   */
  #letGo(ends: Ends): void {
    if (this.#ends !== ends) return
    this.#ends = null
    this.#connectMs = this.#ctx.clock.nowMs() + lateMs
    this.#ending = Promise.all([this.#ending, closeEnds(ends)]).then(() => {})
  }

  start(topic: string, due: (offset: number) => void): void {
    this.#due.set(topic, due)
  }

  told({ topic, offset }: TimerJob): void {
    this.#due.get(topic)?.(offset)
  }

  set(timers: readonly Timer[]): void {
    const room = unsetMax - this.#unset.length
    this.#unset.push(...timers.slice(0, Math.max(0, room)))
    // Its failures are told where they happen; it never rejects.
    this.#setting ??= this.#setAll().finally(() => {
      this.#setting = null
    })
  }

  async #setAll(): Promise<void> {
    if (this.#ends === null) {
      if (this.#ctx.clock.nowMs() >= this.#connectMs) await this.connect()
      if (this.#ends === null) this.#unset = []
    }
    while (this.#unset.length > 0 && !this.#closed) {
      const ends: Ends | null = this.#ends
      if (ends === null) return
      const timers = this.#unset.splice(0, chunk)
      const nowMs = this.#ctx.clock.nowMs()
      try {
        await ends.queue.addBulk(timers.map((timer) => jobOf(timer, nowMs)))
        this.#well()
      } catch (error) {
        // The log has them all; what waits here is told again with the next ones.
        this.#unset = []
        this.#failed(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  #failed(error: Error): void {
    if (this.#closed) return
    const said = 'code' in error && typeof error.code === 'string' ? error.code : error.name
    if (this.#trouble === said) return
    this.#trouble = said
    this.#ctx.metrics.gauge('webhook_timers_up', 0, { sink: this.#ctx.name })
    this.#ctx.logger.warn('timers not reachable: events that wait are sent a little late', {
      reason: said,
    })
  }

  #well(): void {
    this.#ctx.metrics.gauge('webhook_timers_up', 1, { sink: this.#ctx.name })
    if (this.#trouble === null) return
    this.#trouble = null
    this.#ctx.logger.info('timers reachable again')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const closing = this.#close()
    // A server that is gone must not keep the process from ending.
    const stop = new AbortController()
    const late = this.#ctx.clock.sleep(closeMs, stop.signal).catch(() => {})
    await Promise.race([closing, late])
    stop.abort()
  }

  async #close(): Promise<void> {
    await this.#setting
    if (this.#ends !== null) await closeEnds(this.#ends)
    await this.#ending
  }
}

/** Never rejects. */
async function closeEnds({ worker, queue, end }: Ends): Promise<void> {
  await Promise.allSettled([worker.close(true), queue.close()])
  await end().catch(() => {})
}

function jobOf({ topic, offset, attempt, group, dueMs }: Timer, nowMs: number): NewJob {
  const due = Math.round(dueMs)
  return {
    name: 'retry',
    data: { endpoint: hash(group), topic, offset, attempt },
    opts: {
      jobId: `${hash(topic)}-${offset}-${attempt}-${due.toString(36)}`,
      delay: Math.max(0, due - nowMs),
      removeOnComplete: true,
      removeOnFail: true,
    },
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
