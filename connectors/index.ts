import type { SourceConnector } from '../core/connector/source.ts'

/** The sources, one lazy line each: a source's code is loaded when a pipeline names it. */
export const sources: Readonly<Record<string, () => Promise<SourceConnector<unknown>>>> = {
  http: async () => (await import('./http/connector.ts')).http,
  kafka: async () => (await import('./kafka/connector.ts')).kafka,
  mysql: async () => (await import('./mysql/connector.ts')).mysql,
  postgres: async () => (await import('./postgres/connector.ts')).postgres,
}
