/**
 * Sessions: a few connections to the online store, lent out for a piece of work each. One on which anything failed
 * is not used again: what is open on it ends with it.
 */
import { Pool, type PoolClient, type QueryResult, type QueryResultRow } from 'pg'
import type { Secret } from '../../../core/connector/secret.ts'
import { Semaphore } from '../../../core/connector/semaphore.ts'
import { abortable } from '../../../core/errors/abortable.ts'
import { poolConfig } from './connection.ts'
import { postgresError } from './errors.ts'

const connectionsMax = 4

export type Query = <Row extends QueryResultRow>(
  text: string,
  values?: unknown[],
) => Promise<QueryResult<Row>>

export interface SessionOptions {
  readonly url: Secret
  /** What the server shows of them. */
  readonly application: string
  /** Of a statement. */
  readonly timeoutMs: number
}

export class Sessions implements AsyncDisposable {
  /** `host:port`, for messages. */
  readonly where: string
  readonly #pool: Pool
  /** The pool's own queue counts as time to connect: behind long statements it would take the server for gone. */
  readonly #free = new Semaphore(connectionsMax)

  /** Connects to nothing yet. Throws `sink.feast.postgres_url`. */
  constructor({ url, application, timeoutMs }: SessionOptions) {
    const config = poolConfig(url, application)
    this.where = `${config.host}:${config.port}`
    this.#pool = new Pool({
      ...config,
      max: connectionsMax,
      idleTimeoutMillis: 60_000,
      // Ours: a peer that says nothing. The server's: what it would go on with for nobody.
      query_timeout: timeoutMs,
      statement_timeout: timeoutMs,
    })
    // An idle connection that breaks is replaced at the next use; unheard, it would end the process.
    this.#pool.on('error', () => {})
  }

  /** Failures are SluiceErrors that say `what` was done; on abort the signal's reason. */
  async run<T>(
    what: string,
    signal: AbortSignal,
    body: (query: Query, client: PoolClient) => Promise<T>,
  ): Promise<T> {
    await this.#free.acquire(signal)
    try {
      return await this.#lent(what, signal, body)
    } finally {
      this.#free.release()
    }
  }

  transaction<T>(
    what: string,
    signal: AbortSignal,
    body: (query: Query) => Promise<T>,
  ): Promise<T> {
    return this.run(what, signal, async (query) => {
      await query('BEGIN')
      const result = await body(query)
      await query('COMMIT')
      return result
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }

  async #lent<T>(
    what: string,
    signal: AbortSignal,
    body: (query: Query, client: PoolClient) => Promise<T>,
  ): Promise<T> {
    let client: PoolClient | null = null
    try {
      client = await abortable(this.#pool.connect(), signal, (late) => late.release(true))
      const taken = client
      // While it is lent out, a lost connection is the failure of the query that waits on it.
      client.on('error', ignore)
      const query: Query = (text, values) => abortable(taken.query(text, values), signal)
      const result = await body(query, taken)
      client.off('error', ignore)
      client.release()
      return result
    } catch (thrown) {
      client?.release(true)
      signal.throwIfAborted()
      throw postgresError(thrown, `${what} at ${this.where}`)
    }
  }
}

function ignore(): void {}
