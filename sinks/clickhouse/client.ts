/**
 * The connection to ClickHouse: three kinds of statement over @clickhouse/client, every error turned
 * into its outcome. Nothing is retried here: the deliver loop does that, with the same batch id.
 *
 * Of several servers one is used as long as it answers; the next attempt after it did not goes to the
 * next one. They are one database: what that takes is checked in servers.ts.
 */
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import {
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
  type ClickHouseClient,
  type ClickHouseSettings,
} from '@clickhouse/client'
import type { SluiceError } from '../../core/errors/error.ts'
import { addressOf } from './address.ts'
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
}
/**
 * For documents as they are: dots in keys stay what they are, texts stay texts where they look like
 * dates, values of several types in an array stay apart. Only where there is a column of the type:
 * an older server knows none of them.
 */
const jsonSettings: ClickHouseSettings = {
  json_type_escape_dots_in_keys: 1,
  input_format_try_infer_dates: 0,
  input_format_try_infer_datetimes: 0,
  input_format_json_infer_array_of_dynamic_from_array_of_different_types: 1,
}

/** One chunk of a request body: small enough that compressing it does not hold the event loop. */
const chunkBytes = 1 << 20

export class ClickHouseServer implements AsyncDisposable {
  readonly database: string
  /** One a server. */
  readonly #clients: readonly ClickHouseClient[]
  readonly #closing = new AbortController()
  readonly #settings: ClickHouseSettings
  /** Index of the server in use. */
  #current = 0

  constructor(config: ClickHouseConfig) {
    const { urls, user, password, database } = addressOf(config)
    this.database = database
    const quorum = config.replicated === false ? undefined : config.replicated.quorum
    this.#settings =
      quorum === undefined ? insertSettings : { ...insertSettings, insert_quorum: String(quorum) }
    this.#clients = urls.map((url) =>
      createClient({
        url,
        username: user,
        password,
        // Each table is named with its database, and a wrong one must not make `check` fail to connect.
        database: 'default',
        request_timeout: config.timeout,
        application: 'sluice',
        log: { level: ClickHouseLogLevel.OFF },
        compression: { request: compressionOf(config.compression, url) },
      }),
    )
  }

  get servers(): number {
    return this.#clients.length
  }

  /** Rows as objects, 64-bit integers as text. `params` fill `{name:Type}` in the statement. */
  async query<Row>(what: string, sql: string, options: StatementOptions): Promise<Row[]> {
    return this.#attempt(what, options, async (client, abort_signal) => {
      const result = await client.query({
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
    return this.#attempt(what, { signal }, async (client, abort_signal) => {
      const { stream } = await client.exec({ query: sql, abort_signal })
      return (await text(stream)).trim()
    })
  }

  /** DDL, or INSERT … SELECT. */
  async command(what: string, sql: string, options: StatementOptions): Promise<void> {
    await this.#attempt(what, options, async (client, abort_signal) => {
      const { response_headers } = await client.command({
        query: sql,
        clickhouse_settings: { wait_end_of_query: 1, ...options.settings },
        abort_signal,
      })
      checkSender(response_headers)
    })
  }

  /** One block in Native format. `token` makes a repetition of the same rows a no-op on the server. */
  async insert(table: string, block: Block, signal: AbortSignal): Promise<void> {
    await this.#attempt(`Insert into ${table}`, { signal }, async (client, abort_signal) => {
      const { stream, response_headers } = await client.exec({
        // Named, so that a column which the table has no more is an error and not passed over.
        query: `INSERT INTO ${table} (${block.columns}) FORMAT Native`,
        values: Readable.from(chunks(block.bytes), { objectMode: false }),
        clickhouse_settings: {
          ...this.#settings,
          ...(block.json ? jsonSettings : {}),
          // Where the server converts, it cuts off what a narrower type does not hold.
          input_format_native_allow_types_conversion: block.asIs ? 0 : 1,
          insert_deduplication_token: block.token,
        },
        abort_signal,
      })
      // The answer is there at its end (wait_end_of_query), and the socket is free only then.
      await text(stream)
      checkSender(response_headers)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    for (const client of this.#clients) await client.close()
  }

  async #attempt<T>(
    what: string,
    { signal, server = this.#current }: StatementOptions,
    run: (client: ClickHouseClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    try {
      return await run(this.#clients[server]!, AbortSignal.any([signal, this.#closing.signal]))
    } catch (error) {
      signal.throwIfAborted()
      const outcome = outcomeOf(error, what)
      // Of statements side by side only the first moves on, or two failures would be one turn too many.
      if (isOfServer(outcome, error) && this.#current === server) {
        this.#current = (server + 1) % this.#clients.length
      }
      throw outcome
    }
  }
}

export interface StatementOptions {
  readonly signal: AbortSignal
  /** Index of the server to ask; the one in use when absent. */
  readonly server?: number
  readonly params?: Readonly<Record<string, string | number>>
  readonly settings?: ClickHouseSettings
}
export interface Block {
  readonly bytes: Uint8Array
  readonly token: string
  /** Names of its columns, quoted. */
  readonly columns: string
  /** Whether a column of it is of the type JSON. */
  readonly json: boolean
  /** Its columns have the table's types: others are refused, since somebody has altered the table. */
  readonly asIs: boolean
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

/**
 * A proxy in between may answer 200 with a page of its own, and the rows would count as durable. The
 * server names every statement that it ran (X-ClickHouse-Query-Id, HTTP interface).
 */
function checkSender(headers: Readonly<Record<string, unknown>>): void {
  if (headers['x-clickhouse-query-id'] === undefined) {
    throw new Error('an answer without X-ClickHouse-Query-Id')
  }
}

/** Whether another server may answer: this one does not, or lost Keeper and only reads (242, TABLE_IS_READ_ONLY). */
function isOfServer({ code }: SluiceError, error: unknown): boolean {
  const readOnly = error instanceof ClickHouseError && error.code === '242'
  return code === 'sink.clickhouse.unreachable' || readOnly
}
