/** A slot, a publication and the change stream over them, for tests against real servers. */
import { loadTables, TypeCatalog } from '../../../connectors/postgres/catalog.ts'
import { formatLsn, parseLsn } from '../../../connectors/postgres/lsn.ts'
import { streamChanges, type ChangeStream } from '../../../connectors/postgres/stream.ts'
import { systemClock, type Clock, type LogFields } from '../../../core/connector/context.ts'
import { position, type SourceBatch } from '../../../core/connector/source.ts'
import type { PostgresServer } from '../../services/postgres.ts'
import { quietContext } from '../../support/context.ts'

export interface Streaming {
  readonly slot: string
  readonly publication: string
  readonly tables: readonly string[]
  /** Where the slot began. */
  readonly start: bigint
  readonly warnings: { readonly message: string; readonly fields: LogFields | undefined }[]
}

/** A publication of these tables (in `public`), then a slot, both called `name`. */
export async function prepare(
  server: PostgresServer,
  name: string,
  tables: readonly string[],
): Promise<Streaming> {
  const list = tables.map((table) => `public."${table}"`).join(', ')
  await server.query(`CREATE PUBLICATION "${name}" FOR TABLE ${list}`)
  const [slot] = await server.query<{ lsn: string }>(
    `SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput')`,
    [name],
  )
  return { slot: name, publication: name, tables, start: parseLsn(slot!.lsn), warnings: [] }
}

export async function open(
  server: PostgresServer,
  streaming: Streaming,
  options: {
    readonly after?: bigint
    readonly signal?: AbortSignal
    readonly streaming?: boolean
    readonly clock?: Clock
    /** Of what stands between, where the stream does not go to the server itself. */
    readonly port?: number
  } = {},
): Promise<ChangeStream> {
  const client = await server.client()
  const names = streaming.tables.map((name) => ({ schema: 'public', name }))
  const tables = await loadTables(client, names, streaming.publication)
  const types = new TypeCatalog()
  await types.load(
    client,
    tables.flatMap((table) => table.columns.map(({ typeOid }) => typeOid)),
  )
  await client.end()
  const after = options.after ?? streaming.start
  return streamChanges(
    {
      client: {
        host: server.host,
        port: options.port ?? server.port,
        user: server.user,
        password: server.password,
        database: 'postgres',
      },
      slot: streaming.slot,
      publication: streaming.publication,
      tables,
      types,
      after,
      positionAt: (lsn) => position(formatLsn(lsn)),
      filter: null,
      streaming: options.streaming ?? true,
      ctx: {
        clock: options.clock ?? systemClock,
        logger: {
          ...quietContext().logger,
          warn: (message, fields) => streaming.warnings.push({ message, fields }),
        },
      },
    },
    options.signal ?? new AbortController().signal,
  )
}

/**
 * An LSN after everything written so far, which the stream's position will pass: `write` commits once
 * more after it. The end of the WAL alone may lie behind a page's header, where no position ever is.
 */
export async function endLsn(server: PostgresServer, write: string): Promise<bigint> {
  const [row] = await server.query<{ lsn: string }>(
    'SELECT pg_current_wal_insert_lsn()::text AS lsn',
  )
  await server.query(write)
  // A keepalive may say exactly that place before the last commit is sent.
  return parseLsn(row!.lsn) + 1n
}

/** Pulls until a position reaches `until`; every batch goes through `each`. Ends the stream. */
export async function pullUntil(
  stream: AsyncIterable<SourceBatch>,
  until: bigint,
  each: (batch: SourceBatch) => void | Promise<void>,
): Promise<void> {
  for await (const batch of stream) {
    await each(batch)
    if (batch.position !== null && parseLsn(batch.position) >= until) return
  }
}
