/**
 * The connection to one ClickHouse server: three kinds of statement over @clickhouse/client, every
 * error turned into its outcome. Nothing is retried here: the deliver loop does that, with the same
 * batch id.
 */
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import {
  ClickHouseLogLevel,
  createClient,
  type ClickHouseClient,
  type ClickHouseSettings,
} from '@clickhouse/client'
import { SluiceError } from '../../core/errors/error.ts'
import type { ClickHouseConfig } from './config.ts'
import { outcomeOf } from './outcome.ts'

/**
 * Said outright because the defaults moved between releases and a server's profile may say otherwise:
 * with async_insert (on by default since 26.3) an insert would be answered before it is durable, and
 * a token would not be looked at.
 */
const insertSettings: ClickHouseSettings = {
  async_insert: 0,
  insert_deduplicate: 1,
  wait_end_of_query: 1,
  input_format_skip_unknown_fields: 0,
  // Otherwise a NULL for a column that cannot hold it would silently become 0 or ''.
  input_format_null_as_default: 0,
  input_format_defaults_for_omitted_fields: 1,
  input_format_native_allow_types_conversion: 1,
}
/** One chunk of a request body: small enough that compressing it does not hold the event loop. */
const chunkBytes = 1 << 20

export class ClickHouseServer implements AsyncDisposable {
  readonly database: string
  readonly #client: ClickHouseClient
  readonly #closing = new AbortController()

  constructor(config: ClickHouseConfig) {
    const { url, user, password, database } = addressOf(config)
    this.database = database
    this.#client = createClient({
      url,
      username: user,
      password,
      // Each table is named with its database, and a wrong one must not make `check` fail to connect.
      database: 'default',
      request_timeout: config.timeout,
      application: 'sluice',
      log: { level: ClickHouseLogLevel.OFF },
      compression: { request: compressionOf(config.compression, url) },
    })
  }

  /** Rows as objects, 64-bit integers as text. `params` fill `{name:Type}` in the statement. */
  async query<Row>(what: string, sql: string, options: StatementOptions): Promise<Row[]> {
    return this.#attempt(what, options.signal, async (abort_signal) => {
      const result = await this.#client.query({
        query: sql,
        format: 'JSONEachRow',
        query_params: { ...options.params },
        clickhouse_settings: { output_format_json_quote_64bit_integers: 1, wait_end_of_query: 1 },
        abort_signal,
      })
      return result.json<Row>()
    })
  }

  /** The one value of a statement that takes no FORMAT, such as CHECK GRANT. */
  async scalar(what: string, sql: string, signal: AbortSignal): Promise<string> {
    return this.#attempt(what, signal, async (abort_signal) => {
      const { stream } = await this.#client.exec({ query: sql, abort_signal })
      return (await text(stream)).trim()
    })
  }

  /** DDL, or INSERT … SELECT. */
  async command(what: string, sql: string, options: StatementOptions): Promise<void> {
    await this.#attempt(what, options.signal, (abort_signal) =>
      this.#client.command({
        query: sql,
        clickhouse_settings: { wait_end_of_query: 1, ...options.settings },
        abort_signal,
      }),
    )
  }

  /** One block in Native format. `token` makes a repetition of the same rows a no-op on the server. */
  async insert(table: string, block: Block, signal: AbortSignal): Promise<void> {
    await this.#attempt(`Insert into ${table}`, signal, async (abort_signal) => {
      const { stream } = await this.#client.exec({
        query: `INSERT INTO ${table} FORMAT Native`,
        values: Readable.from(chunks(block.bytes), { objectMode: false }),
        clickhouse_settings: { ...insertSettings, insert_deduplication_token: block.token },
        abort_signal,
      })
      // The answer is there at its end (wait_end_of_query), and the socket is free only then.
      await text(stream)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#client.close()
  }

  async #attempt<T>(
    what: string,
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    try {
      return await run(AbortSignal.any([signal, this.#closing.signal]))
    } catch (error) {
      signal.throwIfAborted()
      throw outcomeOf(error, what)
    }
  }
}

export interface StatementOptions {
  readonly signal: AbortSignal
  readonly params?: Readonly<Record<string, string | number>>
  readonly settings?: ClickHouseSettings
}
export interface Block {
  readonly bytes: Uint8Array
  readonly token: string
}

/** Over loopback zstd costs a third of the throughput (bench P7) and saves nothing. */
function compressionOf(choice: ClickHouseConfig['compression'], url: string) {
  const loopback = /^(localhost|127\..*|\[::1\])$/.test(new URL(url).hostname)
  const codec = choice === 'auto' ? (loopback ? 'none' : 'zstd') : choice
  return codec === 'none' ? false : { codec, level: 1 }
}

function* chunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}

/** Throws `sink.clickhouse.url`. */
export function addressOf(config: ClickHouseConfig) {
  const text = config.url.reveal()
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    // The text is not repeated: it may hold a password.
    throw new SluiceError('sink.clickhouse.url', {
      message: 'url is not an http:// or https:// address without query parameters.',
    })
  }
  const path = decodeURIComponent(url.pathname.replace(/^\/|\/$/g, ''))
  return {
    url: `${url.protocol}//${url.host}`,
    user: config.user ?? (decodeURIComponent(url.username) || 'default'),
    password: config.password?.reveal() ?? decodeURIComponent(url.password),
    database: config.database ?? (path === '' ? 'default' : path),
  }
}
