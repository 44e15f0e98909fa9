/** PostgreSQL's words for a connection URL; how it is read is said in database-url.ts. */
import type { ConnectionOptions } from 'node:tls'
import type { ClientConfig } from 'pg'
import { readDatabaseUrl, type DatabaseUrl, type UrlTls, type UrlWords } from './database-url.ts'
import type { Secret } from './secret.ts'

const words = {
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
} as const satisfies Partial<UrlWords>

/** `database` is that of the user where none is named. Throws `code`. */
export function readPostgresUrl(url: Secret, whose: Pick<UrlWords, 'code' | 'owner'>): DatabaseUrl {
  const read = readDatabaseUrl(url, { ...words, ...whose })
  return read.database === '' ? { ...read, database: read.user } : read
}

/** As the driver takes it; `ownOptions` come after those of the URL and count before them. Throws `code`. */
export function postgresServer(
  url: Secret,
  whose: Pick<UrlWords, 'code' | 'owner'>,
  ownOptions: string = '',
): ClientConfig {
  const { host, port, user, password, database, tls, ...read } = readPostgresUrl(url, whose)
  const options = [read.parameters.get('options') ?? '', ownOptions].join(' ').trim()
  return {
    host,
    port,
    user,
    password,
    database,
    ssl: sslOf(tls),
    connectionTimeoutMillis: read.connectTimeoutMs,
    ...(options === '' ? {} : { options }),
  }
}

function sslOf(tls: UrlTls | null): ConnectionOptions | false {
  if (tls === null) return false
  const { verifyIdentity, ...options } = tls
  return verifyIdentity ? options : { ...options, checkServerIdentity: () => undefined }
}
