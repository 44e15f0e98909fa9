/** From the URL of the online store to a driver configuration (core/connector/postgres-url.ts). */
import type { PoolConfig } from 'pg'
import type { DatabaseUrl } from '../../../core/connector/database-url.ts'
import { postgresServer, readPostgresUrl } from '../../../core/connector/postgres-url.ts'
import type { Secret } from '../../../core/connector/secret.ts'

const whose = { code: 'sink.feast.postgres_url', owner: 'online store' } as const

/** Throws `sink.feast.postgres_url`. */
export function storeUrl(url: Secret): DatabaseUrl {
  return readPostgresUrl(url, whose)
}

/** Throws `sink.feast.postgres_url`. */
export function poolConfig(url: Secret, application: string): PoolConfig {
  // The planner cannot know how long the arrays are, and a join of two of them by nested loops would take
  // the square of it.
  const own = '-c enable_nestloop=off'
  return { ...postgresServer(url, whose, own), application_name: application, keepAlive: true }
}
