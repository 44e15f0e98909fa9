/** The targets that docs/schema-changes.md is tested on: how each is opened, and what a reader sees. */
import type { SinkConnector } from '../../core/connector/sink.ts'
import { clickhouse } from '../../sinks/clickhouse/connector.ts'
import { feast } from '../../sinks/feast/connector.ts'
import { redis } from '../../sinks/redis/connector.ts'
import { webhook } from '../../sinks/webhook/connector.ts'
import { startFeastServerOf } from '../services/feast-server.ts'
import { startClickHouse } from '../services/clickhouse.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'
import { startReceiver } from '../services/webhook-receiver.ts'
import { rowsOf } from '../sinks/redis/harness.ts'
import { featuresOf, textOf as featureText } from './feast-reader.ts'
import { schemaCases, type SeenRows } from './schema-cases.ts'
import { TableTarget } from './table-sink.ts'

export interface SchemaTarget extends AsyncDisposable {
  readonly connector: SinkConnector<unknown>
  readonly config: unknown
  /** What a reader sees of a topic now, as `SeenRows` says. */
  rows(topic: string): Promise<SeenRows>
  /**
   * Columns as a reader finds them: of the table, of any row, or of the last thing that was sent; null where
   * a value that is NULL leaves no trace.
   */
  readonly columns: ((topic: string) => Promise<readonly string[]>) | null
  /** Whether a reader could see the column; all when absent. */
  readonly couldSee?: (topic: string, column: string) => boolean
}

/** As many as the test has; Feast takes its time for each view. */
const policiesMax = 7

/** By sink type; `table` is a target with columns that keeps no history (test/support/table-sink.ts). */
export const schemaTargets: Readonly<Record<string, () => Promise<SchemaTarget>>> = {
  table: tableTarget,
  webhook: webhookTarget,
  clickhouse: clickhouseTarget,
  redis: redisTarget,
  feast: feastTarget,
  'feast, Postgres': feastPostgresTarget,
  'feast, push': feastPushTarget,
}

async function tableTarget(): Promise<SchemaTarget> {
  const target = new TableTarget()
  return {
    connector: target.connector,
    config: {},
    rows: async (topic) => byKey([...target.table(topic).rows.values()]),
    columns: async (topic) => target.table(topic).columns.map(({ name }) => name),
    async [Symbol.asyncDispose]() {},
  }
}

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`

async function webhookTarget(): Promise<SchemaTarget> {
  const receiver = await startReceiver({ secret })
  const events = (topic: string) =>
    receiver.taken.map(({ event }) => event).filter((event) => event.topic === topic)
  return {
    connector: webhook as SinkConnector<unknown>,
    config: webhook.config.parse({
      url: receiver.url,
      secret,
      allow_http: true,
      allow_private: true,
    }),
    rows: async (topic) => {
      const rows = new Map<string, Readonly<Record<string, unknown>>>()
      for (const { op, data } of events(topic)) {
        if (op === 'truncate') rows.clear()
        else if (data !== null && op !== 'delete') rows.set(String(data['k']), data)
      }
      return byKey([...rows.values()])
    },
    columns: async (topic) => Object.keys(events(topic).at(-1)?.data ?? {}),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  }
}

async function clickhouseTarget(): Promise<SchemaTarget> {
  const server = await startClickHouse()
  const table = (topic: string): string => topic.slice(topic.indexOf('.') + 1)
  return {
    connector: clickhouse as SinkConnector<unknown>,
    config: clickhouse.config.parse({ url: server.url }),
    rows: async (topic) => byKey(await server.query(`SELECT * FROM ${table(topic)}_live`)),
    columns: async (topic) => {
      const found = await server.query(
        `SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '${table(topic)}'`,
      )
      return found.map(({ name }) => String(name))
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function redisTarget(): Promise<SchemaTarget> {
  const server = await startRedis()
  return {
    connector: redis as SinkConnector<unknown>,
    config: redis.config.parse({ url: server.url }),
    rows: async (topic) => byKey([...(await rowsOf(server, `${topic}:`)).values()]),
    columns: null,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** A view for each topic: a sink is opened for every policy, and its topics end with the policy's name. */
function feastConfig(target: Readonly<Record<string, unknown>>, onDelete = 'remove'): unknown {
  const views: Record<string, { readonly topic: string }> = {}
  for (const { name } of schemaCases) {
    for (let i = 0; i < policiesMax; i++) views[`${name}_p${i}`] = { topic: `s.${name}_p${i}` }
  }
  return feast.config.parse({ project, target, views, on_delete: onDelete })
}

const project = 'shop'
const viewOf = (topic: string): string => topic.slice(topic.indexOf('.') + 1)

async function feastTarget(): Promise<SchemaTarget> {
  const server = await startRedis()
  const rows = (topic: string) =>
    featuresOf(
      server,
      { project, view: viewOf(topic) },
      { entities: [1, 2, 3, 4], names: ['a', 'b', 'c', 'r'] },
    )
  return {
    connector: feast as SinkConnector<unknown>,
    config: feastConfig({ type: 'redis', url: server.url }),
    rows: async (topic) => byKey(await rows(topic)),
    columns: async (topic) => [...new Set((await rows(topic)).flatMap(Object.keys))],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function feastPostgresTarget(): Promise<SchemaTarget> {
  const server = await startPostgres()
  const rows = async (topic: string) => {
    const found = await server.query<{ key: Buffer; name: string; value: Buffer }>(
      `SELECT entity_key AS key, feature_name AS name, value FROM ${project}_${viewOf(topic)}
       WHERE feature_name <> '_sluice_state' ORDER BY entity_key, feature_name`,
    )
    const byEntity = new Map<number, Record<string, string | null>>()
    for (const { key, name, value } of found) {
      const k = key.readInt32LE(key.length - 4)
      const row = byEntity.get(k) ?? { k: String(k) }
      byEntity.set(k, { ...row, [name]: featureText(value) })
    }
    return [...byEntity.values()]
  }
  return {
    connector: feast as SinkConnector<unknown>,
    config: feastConfig({ type: 'postgres', url: server.url }),
    rows: async (topic) => byKey(await rows(topic)),
    columns: async (topic) => [...new Set((await rows(topic)).flatMap(Object.keys))],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** What Feast has been told of, as before the change: a push must have all of it. */
const definitions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  add: { a: 'Int32' },
  widen: { a: 'Int64' },
  narrow_held: { a: 'Int64' },
  narrow_other: { a: 'Float64' },
  rename: { b: 'String' },
  drop: { a: 'Int32', b: 'String' },
  key: { r: 'Int32' },
  truncate: { a: 'Int32' },
}

async function feastPushTarget(): Promise<SchemaTarget> {
  const featuresAt = (view: string) => definitions[view.slice(0, view.lastIndexOf('_'))]!
  const policies = Array.from({ length: policiesMax }, (_, i) => `p${i}`)
  const names = Object.keys(definitions).flatMap((name) => policies.map((p) => `${name}_${p}`))
  const server = await startFeastServerOf({
    entity: { name: 'k', type: 'Int32' },
    views: Object.fromEntries(names.map((view) => [view, featuresAt(view)])),
  })
  const columnsOf = (topic: string) => Object.keys(featuresAt(viewOf(topic)))
  return {
    connector: feast as SinkConnector<unknown>,
    config: feastConfig({ type: 'push', url: server.url }, 'null'),
    rows: async (topic) => {
      const keys = ['1', '2', '3', '4']
      const rows = await server.rows(viewOf(topic), columnsOf(topic), keys)
      return byKey(rows.flatMap((row, i) => (row === null ? [] : [{ k: keys[i], ...row }])))
    },
    columns: null,
    couldSee: (topic, column) => columnsOf(topic).includes(column),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function byKey(rows: readonly Readonly<Record<string, unknown>>[]): SeenRows {
  return Object.fromEntries(
    rows.map((row) => [
      String(row['k']),
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, value === null ? null : textOf(value)]),
      ),
    ]),
  )
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
