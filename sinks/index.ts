import type { SinkConnector } from '../core/connector/sink.ts'

/** The sinks, one lazy line each: a sink's code is loaded when a pipeline names it. */
export const sinks: Readonly<Record<string, () => Promise<SinkConnector<unknown>>>> = {
  clickhouse: async () => (await import('./clickhouse/connector.ts')).clickhouse,
  feast: async () => (await import('./feast/connector.ts')).feast,
  redis: async () => (await import('./redis/connector.ts')).redis,
  webhook: async () => (await import('./webhook/connector.ts')).webhook,
}
