/**
 * RedisLink: one connection (or one to each node of a cluster) to a Redis or Valkey. ioredis makes it:
 * TLS, AUTH, sentinels, the cluster's slots and its redirections.
 *
 * It does not reconnect by itself: whoever uses it asks `ready` before each piece of work, and what was
 * under way when a connection broke is rejected at once. The caller knows what to send again; a
 * client that sends it by itself would hide how long the server has been away.
 */
import { Cluster, Redis, type Command } from 'ioredis'
import { SluiceError } from '../errors/error.ts'
import {
  redisAddress,
  type RedisAddress,
  type RedisSettings,
  type ReplicasWanted,
} from './redis-address.ts'
import { redisError } from './redis-errors.ts'
import { Semaphore } from './semaphore.ts'

export type RedisReply = unknown

export class RedisLink implements AsyncDisposable {
  /** `host:port`, for messages. */
  readonly where: string
  /** What withReplicas waits for; null: nothing. */
  readonly replicas: (ReplicasWanted & { readonly turn: Semaphore }) | null
  readonly #address: RedisAddress
  readonly #settings: RedisSettings
  readonly #client: Redis | Cluster
  /** What the client said of its last failure: its promise says only that the connection is closed. */
  #trouble: Error | null = null
  #connecting: Promise<void> | null = null
  /** A connection that was cut and is not quite gone: the client takes it for ready until then. */
  #ending: Promise<void> | null = null
  #disposed = false
  #losses = 0

  /** Connects to nothing yet. Throws `redis.url`. */
  constructor(settings: RedisSettings) {
    this.#settings = settings
    this.#address = redisAddress(settings)
    this.where = this.#address.where
    const { replicas } = settings
    this.replicas = replicas === undefined ? null : { ...replicas, turn: new Semaphore(1) }
    this.#client = clientOf(this.#address, settings)
    const lost = (): void => {
      this.#losses++
    }
    if (this.#client instanceof Cluster) {
      this.#client.on('+node', (node: Redis) => node.on('close', lost))
    } else this.#client.on('close', lost)
    this.#client.on('error', (error: Error) => {
      this.#trouble = error
    })
    this.#client.on('node error', (error: Error) => {
      this.#trouble = error
    })
  }

  /** Commands by name: `link.client.ping()`. Their errors are ioredis's; see `redisError`. */
  get client(): Redis | Cluster {
    return this.#client
  }

  get isCluster(): boolean {
    return this.#client instanceof Cluster
  }

  /** The masters known now: one, but in a cluster. */
  get masters(): readonly Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client]
  }

  /** How many connections were lost so far, or cut. */
  get losses(): number {
    return this.#losses
  }

  /** Connects unless it is connected. Throws what keeps it from that. */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    // The server has ended it, and the client takes it for ready until its own side is closed too, which
    // what the server no longer reads can put off for ever.
    const client = this.#client
    if (client.status === 'ready' && client instanceof Redis && !client.stream.writable) this.drop()
    if (client.status === 'ready' && this.#ending === null) return
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null
    })
    await this.settled(this.#connecting, signal)
  }

  /** Sends one command; rejects as ioredis does. Only while it is ready. */
  send(command: Command): Promise<RedisReply> {
    return this.#client.sendCommand(command) as Promise<RedisReply>
  }

  /**
   * What `work` comes to, as a SluiceError where it fails. Gives up on abort, and after the time-out; `moreMs`:
   * what the server was asked to take beyond it.
   */
  async settled<T>(work: Promise<T>, signal: AbortSignal, moreMs = 0): Promise<T> {
    let stop = (): void => {}
    let timer: NodeJS.Timeout | undefined
    const ended = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason as Error)
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      timer = setTimeout(() => {
        this.drop()
        reject(this.timedOut(moreMs))
      }, this.timeoutMs + moreMs)
    })
    try {
      return await Promise.race([work, ended])
    } catch (error) {
      // The work goes on for nobody; its end is still an answer that somebody has to take.
      work.catch(() => {})
      if (signal.aborted) throw signal.reason
      throw redisError(this.where, error)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
  }

  timedOut(moreMs = 0): SluiceError {
    return new SluiceError('redis.unreachable', {
      message: `Redis at ${this.where}: no answer for ${this.timeoutMs + moreMs} ms.`,
    })
  }

  get timeoutMs(): number {
    return this.#settings.timeoutMs
  }

  /** Cuts the connection: whatever waits for an answer is rejected, and `ready` connects anew. */
  drop(): void {
    const { status } = this.#client
    if (status === 'end' || status === 'wait' || this.#ending !== null) return
    this.#ending = this.#ended()
    const nodes = this.masters
    this.#client.disconnect()
    // The client says good-bye and waits for the other side, which may be what does not answer.
    for (const { stream } of nodes) stream?.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.drop()
    await this.#ending
  }

  async #ended(): Promise<void> {
    await new Promise<void>((resolve) => this.#client.once('end', () => resolve()))
    this.#ending = null
  }

  async #connect(): Promise<void> {
    await this.#ending
    // The server closed it, and the client has not said so yet.
    if (this.#client.status === 'close') await this.#ended()
    if (this.#disposed) throw new SluiceError('internal.bug', { message: 'A closed link is used.' })
    this.#trouble = null
    try {
      await this.#client.connect()
      await this.#enter()
    } catch (error) {
      this.drop()
      throw redisError(this.where, this.#trouble ?? error)
    }
  }

  /** What the client does not check by itself: its SELECT fails without a word. */
  async #enter(): Promise<void> {
    const { database } = this.#address
    if (this.#client instanceof Cluster) {
      if (database === 0) return
      throw new SluiceError('redis.database', {
        message: `Redis at ${this.where}: a cluster has no database ${database}.`,
      })
    }
    if (database === 0) await this.#client.ping()
    else await this.#client.select(database)
  }
}

/** Fields that ioredis knows both for a single server and for the nodes of a cluster. */
function nodeOptions({ user, password, tls }: RedisAddress, { ca, timeoutMs }: RedisSettings) {
  return {
    connectTimeout: timeoutMs,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    ...(user === null ? {} : { username: user }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: ca === undefined ? {} : { ca } } : {}),
  }
}

function clientOf(address: RedisAddress, settings: RedisSettings): Redis | Cluster {
  const options = nodeOptions(address, settings)
  const hosts = address.hosts.map((host) => ({ ...host }))
  if (settings.cluster === true) {
    return new Cluster(hosts, {
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      clusterRetryStrategy: () => null,
      slotsRefreshTimeout: settings.timeoutMs,
      redisOptions: options,
    })
  }
  const lazy = { ...options, lazyConnect: true, enableOfflineQueue: false }
  if (settings.sentinel === undefined) return new Redis({ ...lazy, ...hosts[0]! })
  return new Redis({
    ...lazy,
    sentinels: hosts,
    name: settings.sentinel,
    enableTLSForSentinelMode: address.tls,
    ...(address.tls ? { sentinelTLS: options.tls ?? {} } : {}),
    sentinelRetryStrategy: () => null,
  })
}

/** One server of those behind a link, for messages. */
export function whereOf({ options }: Redis): string {
  return `${options.host ?? ''}:${options.port ?? ''}`
}
