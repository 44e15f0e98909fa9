/**
 * From the configured URL to a session. How a URL is read, and what its TLS modes check, is said in
 * core/connector/database-url.ts; here are PostgreSQL's words for it.
 */
import type { ConnectionOptions } from 'node:tls'
import { Client, type ClientConfig } from 'pg'
import { readDatabaseUrl, type UrlTls, type UrlWords } from '../../core/connector/database-url.ts'
import type { Secret } from '../../core/connector/secret.ts'
import { sessionSettingsSql } from './session.ts'

const urlWords: UrlWords = {
  code: 'source.postgres.url',
  product: 'PostgreSQL',
  schemes: ['postgres', 'postgresql'],
  port: 5432,
  tlsModes: ['disable', 'require', 'verify-ca', 'verify-full'],
  tlsMode: 'sslmode',
  tlsCa: 'sslrootcert',
  tlsCert: 'sslcert',
  tlsKey: 'sslkey',
  connectTimeout: 'connect_timeout',
  // Our sessions have an application_name of their own: one in the URL is passed over.
  others: ['host', 'port', 'options', 'application_name'],
}

/** What the driver needs to connect. Throws `source.postgres.url` when the URL cannot be used. */
export function clientConfig(url: Secret, application: string): ClientConfig {
  const { host, port, user, password, database, tls, ...read } = readDatabaseUrl(url, urlWords)
  const options = read.parameters.get('options')
  return {
    host,
    port,
    user,
    password,
    database: database === '' ? user : database,
    ssl: tlsOptions(tls),
    application_name: application,
    connectionTimeoutMillis: read.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    ...(options === null ? {} : { options }),
  }
}

function tlsOptions(tls: UrlTls | null): ConnectionOptions | false {
  if (tls === null) return false
  const { verifyIdentity, ...options } = tls
  return verifyIdentity ? options : { ...options, checkServerIdentity: () => undefined }
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
