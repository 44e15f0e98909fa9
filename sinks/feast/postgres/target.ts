/**
 * The Postgres online store of Feast: a table a view, a row a feature, read by the unmodified SDK.
 *
 * Rows of a batch go out sorted by entity key, as binary arrays, so many values a statement. Each
 * statement is a transaction of its own and may be repeated: what it does depends on offsets and event
 * times alone (statements.ts).
 */
import type { Context } from '../../../core/connector/context.ts'
import type { Problem } from '../../../core/connector/problem.ts'
import { codes } from '../../../core/errors/codes.ts'
import { SluiceError, toSluiceError } from '../../../core/errors/error.ts'
import { failpoint } from '../../../core/errors/failpoint.ts'
import type { FeastConfig, TargetConfig } from '../config.ts'
import {
  FeatureOp,
  type FeatureRows,
  type OnlineTarget,
  type RenamedFeature,
  type TargetProblem,
} from '../target.ts'
import type { FeatureView } from '../view.ts'
import { byteaArray, float8Array, spansOf, textArray, timestamptzArray } from './arrays.ts'
import { PostgresEnds, type AskState } from './ends.ts'
import { Sessions, type Query } from './sessions.ts'
import { stateArray, stateFeature, stateOf } from './state.ts'
import {
  deleteGuardStatement,
  featuresMax,
  keysOfFeatureStatement,
  lockStatement,
  nullFeaturesStatement,
  removeFeatureStatement,
  removeFeaturesStatement,
  renameStatement,
  setStatement,
  truncateGuardStatement,
  truncateStatement,
} from './statements.ts'
import { Sweeper } from './sweeper.ts'
import { ensureTable, tableName, type ViewTable } from './table.ts'
import { searchable } from './value-text.ts'

export type PostgresTargetConfig = Extract<TargetConfig, { readonly type: 'postgres' }>

/** Values of one statement, and their bytes: what one transaction holds locks and memory for. */
const valuesAtOnce = 50_000
const bytesAtOnce = 8 << 20
/** Statements of one batch at a time: they have no entity in common, and a server has several cores. */
const statementsAtOnce = 3

/** A third of a page, 2704 bytes, less what a row of the index has beside key and feature (nbtree.h, BTMaxItemSize). */
const indexedBytesMax = 2650

interface KnownView {
  readonly table: ViewTable
  readonly set: string
  /** Longer entity keys have no place in the table's index. */
  readonly keyBytesMax: number
}

/** Sets up nothing yet: connects at the first call. Throws `sink.feast.postgres_url`. */
export function openPostgresTarget(
  target: PostgresTargetConfig,
  { tombstones }: Pick<FeastConfig, 'tombstones'>,
  ctx: Context,
): PostgresTarget {
  return new PostgresTarget(target, tombstones, ctx)
}

export class PostgresTarget implements OnlineTarget {
  readonly ends: PostgresEnds
  readonly #sessions: Sessions
  readonly #schema: string
  readonly #sweeper: Sweeper
  readonly #views = new Map<string, KnownView>()

  constructor(target: PostgresTargetConfig, tombstonesMs: number, ctx: Context) {
    this.#sessions = new Sessions({
      url: target.url,
      application: `sluice ${ctx.pipeline}.${ctx.name}`,
      timeoutMs: target.timeout,
    })
    this.#schema = target.schema
    const ask = async (text: string, values: unknown[], signal: AbortSignal): Promise<number> =>
      this.#sessions.run(
        'sweep',
        signal,
        async (query) => (await query(text, values)).rowCount ?? 0,
      )
    this.#sweeper = new Sweeper(ask, tombstonesMs, ctx)
    const askState: AskState = ({ name }, { text, values = [] }, signal) =>
      this.#sessions.run(`look at view ${name}`, signal, (query) => query(text, values))
    this.ends = new PostgresEnds(askState, this.#schema, this.#sessions.where)
  }

  async check(signal: AbortSignal): Promise<readonly Problem[]> {
    try {
      return await this.#sessions.run('reach the online store', signal, async (query) => {
        const { rows } = await query<{ there: boolean; create: boolean; reads: boolean }>(
          `SELECT current_setting('transaction_read_only') = 'on' AS reads,
             to_regnamespace(quote_ident($1)) IS NOT NULL AS there,
             CASE WHEN to_regnamespace(quote_ident($1)) IS NULL
               THEN has_database_privilege(current_database(), 'CREATE')
               ELSE has_schema_privilege($1, 'USAGE') END AS create`,
          [this.#schema],
        )
        const problems: Problem[] = []
        if (rows[0]?.reads === true) {
          const code = 'sink.feast.postgres_read_only'
          const message = `${this.#sessions.where} takes no writes now.`
          problems.push({ code, severity: 'warning', message, remedy: codes[code].remedy })
        }
        if (rows[0]?.create === true) return problems
        const missing = rows[0]?.there === true ? 'USAGE of' : 'the right to create'
        problems.push({
          code: 'sink.feast.postgres_access',
          severity: 'error',
          message: `The user has not ${missing} schema ${this.#schema}.`,
          remedy: `GRANT USAGE, CREATE ON SCHEMA "${this.#schema}" TO CURRENT_USER;`,
        })
        return problems
      })
    } catch (thrown) {
      signal.throwIfAborted()
      const { code, message, remedy } = toSluiceError(thrown)
      return [{ code, severity: 'error', message, remedy }]
    }
  }

  async evolve(view: FeatureView, signal: AbortSignal): Promise<void> {
    const what = `make the table of view ${view.name}`
    const table = await this.#sessions.run(what, signal, (_, client) =>
      ensureTable(client, this.#schema, view),
    )
    const features = view.features.map(({ name }) => name)
    const { hasNumbers } = table
    if (features.length > featuresMax(hasNumbers)) {
      throw new SluiceError('sink.feast.view', {
        message: `View ${view.name}: it has ${features.length} features, and PostgreSQL takes ${featuresMax(hasNumbers)} in one statement.`,
        remedy: `Make several views of it: list some of its columns under views.${view.name}.features, and the others under that of another view.`,
      })
    }
    const set = setStatement(table.name, { features, order: view.order, hasNumbers })
    const longest = Math.max(...[...features, stateFeature].map((name) => Buffer.byteLength(name)))
    this.#views.set(view.name, { table, set, keyBytesMax: indexedBytesMax - longest })
    this.#sweeper.watch(view, table.name)
  }

  async write(rows: FeatureRows, signal: AbortSignal): Promise<readonly TargetProblem[]> {
    signal.throwIfAborted()
    const { keyBytesMax } = this.#known(rows.view)
    const sets: number[] = []
    const deletes: number[] = []
    const refused: TargetProblem[] = []
    for (let i = 0; i < rows.count; i++) {
      const keyBytes = rows.keyOffsets[i + 1]! - rows.keyOffsets[i]!
      if (keyBytes > keyBytesMax) {
        const message = `View ${rows.view.name}: the entity key has ${keyBytes} bytes, and PostgreSQL can index ${keyBytesMax}.`
        refused.push({ row: rows.rows[i]!, code: 'sink.feast.entity', message })
      } else if (rows.ops[i] === FeatureOp.delete) deletes.push(i)
      else sets.push(i)
    }
    await sideBySide(chunks(rows, sorted(rows, sets)), (chunk) => this.#set(rows, chunk, signal))
    await sideBySide(chunks(rows, sorted(rows, deletes)), (chunk) =>
      this.#delete(rows, chunk, signal),
    )
    return refused
  }

  async truncate(view: FeatureView, offset: number, signal: AbortSignal): Promise<void> {
    // Rows before `offset` go, and the last of them is the one before it.
    const state = stateOf(-1, offset - 1)
    const name = tableName(this.#schema, view)
    const what = `truncate view ${view.name}`
    await this.#sessions.run(what, signal, (query) => query(truncateGuardStatement(name), [state]))
    for (let touched = 1; touched > 0;) {
      touched = await this.#sessions.transaction(what, signal, async (query) => {
        const { rows } = await query<GoneKey>(truncateStatement(name), [state])
        await query(removeFeaturesStatement(name), [goneKeys(rows)])
        return rows.length
      })
    }
  }

  async rename(
    view: FeatureView,
    { from, to }: RenamedFeature,
    signal: AbortSignal,
  ): Promise<void> {
    const name = tableName(this.#schema, view)
    await this.#pagesOf(view, from, signal, async (query, keys) => {
      await query(renameStatement(name), [keys, from, to])
      await query(removeFeatureStatement(name), [keys, from])
    })
  }

  async forget(view: FeatureView, features: readonly string[], signal: AbortSignal): Promise<void> {
    const text = removeFeatureStatement(tableName(this.#schema, view))
    for (const feature of features) {
      await this.#pagesOf(view, feature, signal, (query, keys) => query(text, [keys, feature]))
    }
  }

  /** One sweep now, for tests and for a sink that ends. */
  sweep(signal: AbortSignal): Promise<number> {
    return this.#sweeper.sweep(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeper[Symbol.asyncDispose]()
    await this.#sessions[Symbol.asyncDispose]()
  }

  async #set(rows: FeatureRows, chunk: Int32Array, signal: AbortSignal): Promise<void> {
    const { view } = rows
    const { set, table } = this.#known(view)
    const values: Buffer[] = [
      byteaArray(spansOf({ data: rows.keys, offsets: rows.keyOffsets }, chunk)),
      timestamptzArray(rows.seconds, rows.nanos, chunk),
      stateArray(rows, chunk),
    ]
    for (const [f, encoded] of rows.values.entries()) {
      const { texts, numbers } = searchable(view.features[f]!.type, encoded, chunk)
      values.push(byteaArray(spansOf(encoded, chunk)), textArray(texts))
      if (table.hasNumbers) values.push(float8Array(numbers))
    }
    failpoint('feast.postgres.before_set')
    await this.#sessions.run(`write view ${view.name}`, signal, (query) => query(set, values))
    failpoint('feast.postgres.after_set')
  }

  async #delete(rows: FeatureRows, chunk: Int32Array, signal: AbortSignal): Promise<void> {
    const { view } = rows
    const { table } = this.#known(view)
    const values = [
      byteaArray(spansOf({ data: rows.keys, offsets: rows.keyOffsets }, chunk)),
      timestamptzArray(rows.seconds, rows.nanos, chunk),
      stateArray(rows, chunk),
    ]
    await this.#sessions.transaction(`delete from view ${view.name}`, signal, async (query) => {
      const { rows: touched } = await query<GoneKey>(deleteGuardStatement(table.name), values)
      const statement =
        view.onDelete === 'null'
          ? nullFeaturesStatement(table.name, table.hasNumbers)
          : removeFeaturesStatement(table.name)
      await query(statement, [goneKeys(touched)])
    })
    failpoint('feast.postgres.after_delete')
  }

  /**
   * A transaction for each page of the entities that have the feature, in the order of their keys. Locked as
   * writers lock them, so that neither waits for the other's locks while it holds some.
   */
  async #pagesOf(
    view: FeatureView,
    feature: string,
    signal: AbortSignal,
    body: (query: Query, keys: Buffer) => Promise<unknown>,
  ): Promise<void> {
    const name = tableName(this.#schema, view)
    const what = `move or remove a feature of view ${view.name}`
    for (let last: Buffer | undefined = Buffer.alloc(0); last !== undefined;) {
      const after: Buffer = last
      last = await this.#sessions.transaction(what, signal, async (query) => {
        const { rows } = await query<Key>(keysOfFeatureStatement(name), [feature, after])
        const keys = keysOf(rows)
        await query(lockStatement(name), [keys])
        await body(query, keys)
        return rows.at(-1)?.entity_key
      })
    }
  }

  #known(view: FeatureView): KnownView {
    const known = this.#views.get(view.name)
    if (known !== undefined) return known
    throw new SluiceError('internal.bug', { message: `rows of ${view.name} before its columns` })
  }
}

interface Key {
  readonly entity_key: Buffer
}

interface GoneKey extends Key {
  readonly is_gone: boolean
}

function goneKeys(rows: readonly GoneKey[]): Buffer {
  return keysOf(rows.filter(({ is_gone }) => is_gone))
}

function keysOf(rows: readonly Key[]): Buffer {
  const offsets = new Int32Array(rows.length + 1)
  for (const [i, { entity_key: key }] of rows.entries()) offsets[i + 1] = offsets[i]! + key.length
  const data = Buffer.concat(rows.map(({ entity_key }) => entity_key))
  const all = Int32Array.from(rows, (_, i) => i)
  return byteaArray(spansOf({ data, offsets }, all))
}

/** Ends when all have ended, also those beside one that failed. */
async function sideBySide<T>(items: Iterator<T>, run: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = []
  const lane = async (): Promise<void> => {
    for (let next = items.next(); next.done !== true; next = items.next()) {
      await run(next.value).catch((error: unknown) => failures.push(error))
      if (failures.length > 0) return
    }
  }
  await Promise.all(Array.from({ length: statementsAtOnce }, lane))
  if (failures.length > 0) throw failures[0]
}

/** By entity key, as the server compares bytes. */
function sorted({ keys, keyOffsets }: FeatureRows, rows: readonly number[]): Int32Array {
  const buffer = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength)
  return Int32Array.from(rows).sort((a, b) =>
    buffer.compare(buffer, keyOffsets[b]!, keyOffsets[b + 1], keyOffsets[a]!, keyOffsets[a + 1]),
  )
}

/** Runs of rows whose values fit one statement. */
function* chunks(rows: FeatureRows, order: Int32Array): Generator<Int32Array> {
  const rowsMax = Math.max(1, Math.floor(valuesAtOnce / (rows.values.length + 1)))
  let start = 0
  let bytes = 0
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!
    for (const { offsets } of rows.values) bytes += offsets[row + 1]! - offsets[row]!
    if (i + 1 - start < rowsMax && bytes < bytesAtOnce) continue
    yield order.subarray(start, i + 1)
    start = i + 1
    bytes = 0
  }
  if (start < order.length) yield order.subarray(start)
}
