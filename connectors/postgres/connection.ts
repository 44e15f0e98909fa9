/**
 * From the configured URL to a driver configuration. Read here and not by the driver, because its
 * reading of sslmode differs between versions, and a mode that checks less than its name says is a
 * hole.
 *
 *   sslmode       encrypted   certificate chain   host name
 *   disable       no          –                   –
 *   require       yes         not checked         not checked
 *   verify-ca     yes         checked             not checked
 *   verify-full   yes         checked             checked
 *   (absent)      disable to this machine, verify-full to any other
 */
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { Client, type ClientConfig } from 'pg'
import { SluiceError } from '../../core/errors/error.ts'
import type { Secret } from '../../core/connector/secret.ts'
import { sessionSettingsSql } from './session.ts'

const connectTimeoutMs = 15_000
/** Parameters of the URL that this file reads, and those that reach the server as they are. */
const known = new Set([
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'host',
  'port',
  'options',
  'connect_timeout',
  'application_name',
])

/** What the driver needs to connect. Throws `source.postgres.url` when the URL cannot be used. */
export function clientConfig(url: Secret, application: string): ClientConfig {
  const parsed = parseUrl(url.reveal())
  const parameters = parsed.searchParams
  for (const name of parameters.keys()) {
    if (!known.has(name)) throw urlError(`has the unknown parameter "${name}"`)
  }
  const host = parameters.get('host') ?? decodeURIComponent(parsed.hostname.replace(/^\[|\]$/g, ''))
  const database = decodeURIComponent(parsed.pathname.slice(1))
  const user = decodeURIComponent(parsed.username)
  if (host === '') throw urlError('names no host')
  if (user === '') throw urlError('names no user')
  const options = parameters.get('options')
  return {
    host,
    port: Number(parameters.get('port') ?? (parsed.port === '' ? '5432' : parsed.port)),
    user,
    password: decodeURIComponent(parsed.password),
    database: database === '' ? user : database,
    ssl: tlsOptions(parameters, host),
    application_name: application,
    connectionTimeoutMillis: timeoutMs(parameters.get('connect_timeout')),
    keepAlive: true,
    ...(options === null ? {} : { options }),
  }
}

function parseUrl(text: string): URL {
  let parsed: URL
  try {
    parsed = new URL(text)
  } catch {
    // The parser's own error repeats its input, and with it the password.
    throw urlError('cannot be read as a URL')
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') {
    throw urlError('does not begin with postgres://')
  }
  return parsed
}

function timeoutMs(seconds: string | null): number {
  if (seconds === null) return connectTimeoutMs
  const value = Number(seconds)
  if (!Number.isInteger(value) || value < 1)
    throw urlError('has a connect_timeout that is no number')
  return value * 1000
}

function tlsOptions(parameters: URLSearchParams, host: string): ConnectionOptions | false {
  const mode = parameters.get('sslmode') ?? (isThisMachine(host) ? 'disable' : 'verify-full')
  if (mode === 'disable') return false
  if (mode !== 'require' && mode !== 'verify-ca' && mode !== 'verify-full') {
    throw urlError(`has sslmode=${mode}; use disable, require, verify-ca or verify-full`)
  }
  const options: ConnectionOptions = { rejectUnauthorized: mode !== 'require' }
  if (mode !== 'verify-full') options.checkServerIdentity = () => undefined
  const ca = fileOf(parameters, 'sslrootcert')
  const cert = fileOf(parameters, 'sslcert')
  const key = fileOf(parameters, 'sslkey')
  if (ca !== null) options.ca = ca
  if (cert !== null) options.cert = cert
  if (key !== null) options.key = key
  return options
}

function fileOf(parameters: URLSearchParams, name: string): string | null {
  const path = parameters.get(name)
  if (path === null || path === 'system') return null
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw urlError(`names a file for ${name} that cannot be read`, cause)
  }
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') || host.startsWith('/')
}

function urlError(what: string, cause?: unknown): SluiceError {
  return new SluiceError('source.postgres.url', {
    message: `The url of the PostgreSQL source ${what}.`,
    ...(cause === undefined ? {} : { cause }),
  })
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
