import { feast } from '../../../../sinks/feast/connector.ts'
import { stateFeature } from '../../../../sinks/feast/postgres/state.ts'
import type { SinkHarness } from '../../../conformance/sink.ts'
import { conformanceTopics, sinkConformance } from '../../../conformance/sink.ts'
import { startPostgres, type PostgresServer } from '../../../services/postgres.ts'
import { startTcpProxy } from '../../../services/tcp-proxy.ts'
import { answerFaults } from '../../../support/answer-faults.ts'
import { textOf } from '../../../support/feast-reader.ts'
import { openFeast } from '../redis/support.ts'

const views = Object.fromEntries(conformanceTopics.map((topic, i) => [`v${i}`, { topic }]))

/** All entities of a view, as Feast's own store reads them: one row a feature, the key's int64 at the end of its bytes. */
async function rowsOf(
  server: PostgresServer,
  view: string,
): Promise<readonly Readonly<Record<string, string | null>>[]> {
  const [found] = await server.query<{ there: string | null }>(
    `SELECT to_regclass('shop_${view}') AS there`,
  )
  if (found!.there === null) return []
  const features = await server.query<{
    entity_key: Buffer
    feature_name: string
    value: Buffer | null
  }>(
    `SELECT entity_key, feature_name, value FROM shop_${view} WHERE feature_name <> '${stateFeature}'`,
  )
  const rows = new Map<string, Record<string, string | null>>()
  for (const { entity_key: key, feature_name: name, value } of features) {
    const n = String(key.readBigInt64LE(key.length - 8))
    const row = rows.get(n) ?? { n }
    rows.set(n, row)
    row[name] = value === null ? null : textOf(value)
  }
  return [...rows.values()]
}

async function startHarness(): Promise<SinkHarness & AsyncDisposable> {
  const server = await startPostgres()
  const proxy = await startTcpProxy(server.port)
  const url = new URL(server.url)
  url.port = String(proxy.port)
  const target = { type: 'postgres', timeout: '10s' }
  return {
    open: () => openFeast(url.href, views, { target, topics: conformanceTopics }),
    delivered: (topic) => rowsOf(server, `v${conformanceTopics.indexOf(topic)}`),
    connector: feast,
    truncates: true,
    // Feast keeps these for references.
    takesColumn: (name) => !/[:@]/.test(name),
    ...answerFaults(proxy),
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

sinkConformance('feast, on PostgreSQL', startHarness)
