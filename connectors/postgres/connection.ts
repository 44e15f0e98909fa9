/** From the configured URL (core/connector/postgres-url.ts) to a session. */
import { Client, type ClientConfig } from 'pg'
import { postgresServer } from '../../core/connector/postgres-url.ts'
import type { Secret } from '../../core/connector/secret.ts'
import { sessionSettingsSql } from './session.ts'

/** What the driver needs to connect. Throws `source.postgres.url` when the URL cannot be used. */
export function clientConfig(url: Secret, application: string): ClientConfig {
  return {
    ...postgresServer(url, { code: 'source.postgres.url', owner: 'PostgreSQL source' }),
    application_name: application,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
  }
}

/**
 * A connected session with the settings under which values are printed (session.ts) and no time limits
 * of a role or database.
 * `replication` gives one that also understands replication commands. Aborted: the connection ends.
 */
export async function connect(
  config: ClientConfig,
  signal: AbortSignal,
  replication = false,
): Promise<Client> {
  signal.throwIfAborted()
  const options = replication ? { ...config, replication: 'database' } : config
  const client = new Client(options)
  // Without a listener, a connection lost between two queries would end the process; the next query
  // on it fails with the reason.
  client.on('error', () => {})
  const stop = (): void => destroy(client)
  signal.addEventListener('abort', stop, { once: true })
  client.once('end', () => signal.removeEventListener('abort', stop))
  try {
    await client.connect()
    await client.query(
      `${sessionSettingsSql}; SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0`,
    )
    return client
  } catch (error) {
    destroy(client)
    signal.throwIfAborted()
    throw error
  }
}

/** Cuts the connection at once: a polite end would wait for a running statement. */
export function destroy(client: Client): void {
  ;(
    client as unknown as { connection: { stream: { destroy(): void } } }
  ).connection.stream.destroy()
}
