/** The ClickHouse sink, as the register knows it. */
import type { Context } from '../../core/connector/context.ts'
import type { SinkConnector, TopicInfo } from '../../core/connector/sink.ts'
import { checkServer } from './check.ts'
import { batchingOf, clickhouseConfig, type ClickHouseConfig } from './config.ts'
import { ClickHouseSink } from './sink.ts'
import { TableNames } from './tables.ts'

export const clickhouse: SinkConnector<ClickHouseConfig> = {
  kind: 'clickhouse',
  config: clickhouseConfig,
  delivery: 'idempotent',
  // The sorting columns of a table cannot be altered; a truncate is tombstones, the rows stay beneath.
  schemaChanges: {
    add: 'applies',
    widen: 'applies',
    narrow: 'applies',
    rename: 'applies',
    drop: 'applies',
    key: 'refuses',
    truncate: 'absorbs',
  },
  batching: batchingOf,
  resyncs: true,
  topicsNamed: (config) =>
    (['tables', 'order_by', 'low_cardinality'] as const).flatMap((option) =>
      Object.keys(config[option]).map((topic) => ({
        path: [option, topic],
        as: 'key',
        topic,
        match: 'full',
      })),
    ),
  check: (config) => checkServer(config, AbortSignal.timeout(config.timeout)),
  open: (config, topics, ctx) => Promise.resolve(openSink(config, topics, ctx)),
}

/** Throws `sink.clickhouse.table_name` when two of the topics known now would share a table. */
function openSink(config: ClickHouseConfig, topics: readonly TopicInfo[], ctx: Context) {
  const names = new TableNames(config.tables)
  for (const { name } of topics) names.tableOf(name)
  for (const topic of [...Object.keys(config.tables), ...Object.keys(config.order_by)]) {
    if (!topics.some(({ name }) => name === topic)) {
      ctx.logger.warn('no such topic yet', { topic, option: 'tables or order_by' })
    }
  }
  return new ClickHouseSink(config, ctx)
}
