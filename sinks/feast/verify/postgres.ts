/** Reads a view from Feast's Postgres online store: a row a feature. */
import { Pool } from 'pg'
import type { SinkContext } from '../../../core/connector/context.ts'
import { poolConfig } from '../postgres/connection.ts'
import { postgresError } from '../postgres/errors.ts'
import { stateFeature } from '../postgres/state.ts'
import { quoted } from '../postgres/statements.ts'
import { tableName } from '../postgres/table.ts'
import type { PostgresTargetConfig } from '../postgres/target.ts'
import type { FeatureView } from '../view.ts'
import type { OnlineEntity, OnlineReader } from './online.ts'

const keysAStep = 5000
/** Its queries take milliseconds. What takes longer than this waits for a lock, or for nobody. */
const queryTimeoutMs = 60_000

interface Row {
  readonly entity_key: Buffer
  readonly feature_name: string
  readonly value: Buffer | null
  readonly us: string | null
}

export class PostgresReader implements OnlineReader {
  readonly #pool: Pool
  readonly #schema: string
  readonly #where: string

  constructor(target: PostgresTargetConfig, ctx: SinkContext) {
    const config = poolConfig(target.url, `sluice verify ${ctx.pipeline}.${ctx.name}`)
    this.#pool = new Pool({ ...config, max: 1, query_timeout: queryTimeoutMs })
    this.#pool.on('error', () => {})
    this.#schema = target.schema
    this.#where = `${config.host}:${config.port}`
  }

  async read(
    view: FeatureView,
    keys: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly (OnlineEntity | null)[]> {
    const table = quoted(tableName(this.#schema, view))
    const names = view.features.map(({ name }) => name)
    const rows = await this.#query<Row>(
      view,
      `SELECT entity_key, feature_name, value, (extract(epoch FROM event_ts) * 1000000)::bigint AS us
       FROM ${table} WHERE entity_key = ANY($1::bytea[]) AND feature_name = ANY($2::text[])`,
      [keys.map((key) => Buffer.from(key)), names],
      signal,
    )
    const places = new Map(names.map((name, i) => [name, i]))
    const found = new Map<string, { eventUs: bigint | null; values: (Uint8Array | null)[] }>()
    for (const { entity_key, feature_name, value, us } of rows) {
      const key = entity_key.toString('latin1')
      const entity = found.get(key) ?? { eventUs: null, values: names.map(() => null) }
      found.set(key, entity)
      entity.values[places.get(feature_name)!] = value ?? new Uint8Array(0)
      // Of rows of different times the oldest: what Feast gives is then not all as new as it says.
      const eventUs = us === null ? null : BigInt(us)
      if (eventUs !== null && (entity.eventUs === null || eventUs < entity.eventUs)) {
        entity.eventUs = eventUs
      }
    }
    return keys.map((key) => found.get(Buffer.from(key).toString('latin1')) ?? null)
  }

  async *keys(view: FeatureView, signal: AbortSignal): AsyncGenerator<readonly Uint8Array[]> {
    const table = quoted(tableName(this.#schema, view))
    let after: Buffer = Buffer.alloc(0)
    for (;;) {
      const rows: readonly Pick<Row, 'entity_key'>[] = await this.#query(
        view,
        `SELECT DISTINCT entity_key FROM ${table}
         WHERE entity_key > $1 AND feature_name <> $2 ORDER BY entity_key LIMIT ${keysAStep}`,
        [after, stateFeature],
        signal,
      )
      yield rows.map(({ entity_key }) => entity_key)
      if (rows.length < keysAStep) return
      after = rows.at(-1)!.entity_key
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }

  async #query<T extends object>(
    view: FeatureView,
    text: string,
    values: unknown[],
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    signal.throwIfAborted()
    try {
      return (await this.#pool.query<T>(text, values)).rows
    } catch (thrown) {
      signal.throwIfAborted()
      throw postgresError(thrown, `read view ${view.name} at ${this.#where}`)
    }
  }
}
