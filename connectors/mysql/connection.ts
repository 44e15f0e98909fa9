/**
 * From the configured URL to a session. Read here and not by the driver, which knows no ssl-mode and by
 * itself checks no host name: a mode that checks less than its name says is a hole.
 *
 *   ssl-mode          encrypted   certificate chain   host name
 *   disabled          no          –                   –
 *   required          yes         not checked         not checked
 *   verify-ca         yes         checked             not checked
 *   verify-identity   yes         checked             checked
 *   (absent)          disabled to this machine, verify-identity to any other
 *
 * Values: MySQL Reference Manual, "Command Options for Encrypted Connections" (without `preferred`,
 * which a man in the middle can turn into `disabled`).
 */
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { createConnection, type Connection, type ConnectionOptions } from 'mysql2'
import { PooledSocket } from '../../core/connector/pooled-socket.ts'
import type { Secret } from '../../core/connector/secret.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Query } from './schema/catalog.ts'

const connectTimeoutMs = 15_000
const known = new Set(['ssl-mode', 'ssl-ca', 'ssl-cert', 'ssl-key', 'connect-timeout'])
const verified = new Set(['verify-ca', 'verify-identity'])

/** What is needed to open sessions on a server. Holds the password: never logged. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** '' = none. */
  readonly database: string
  readonly tls: TlsOptions | null
  readonly compress: boolean
  readonly timeoutMs: number
}

interface TlsOptions {
  readonly rejectUnauthorized: boolean
  readonly verifyIdentity: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** Throws `source.mysql.url` when the URL cannot be used. */
export function targetOf(url: Secret, options: { readonly compress: boolean }): Target {
  const parsed = parseUrl(url.reveal())
  const parameters = parsed.searchParams
  for (const name of parameters.keys()) {
    if (!known.has(name)) throw urlError(`has the unknown parameter "${name}"`)
  }
  const host = decoded(parsed.hostname.replace(/^\[|\]$/g, ''), 'host')
  const user = decoded(parsed.username, 'user')
  if (host === '') throw urlError('names no host')
  if (user === '') throw urlError('names no user')
  return {
    host,
    port: parsed.port === '' ? 3306 : Number(parsed.port),
    user,
    password: decoded(parsed.password, 'password'),
    database: decoded(parsed.pathname.slice(1), 'database'),
    tls: tlsOptions(parameters, host),
    compress: options.compress,
    timeoutMs: timeoutMs(parameters.get('connect-timeout')),
  }
}

/** `host:port`, for messages. */
export function nameOf(target: Target): string {
  return target.host.includes(':')
    ? `[${target.host}]:${target.port}`
    : `${target.host}:${target.port}`
}

function parseUrl(text: string): URL {
  let parsed: URL
  try {
    parsed = new URL(text)
  } catch {
    // The parser's own error repeats its input, and with it the password.
    throw urlError('cannot be read as a URL')
  }
  if (parsed.protocol !== 'mysql:' && parsed.protocol !== 'mariadb:') {
    throw urlError('does not begin with mysql://')
  }
  return parsed
}

/** The parser lets a lone % stand: a password that was not encoded would be read as another one, or not at all. */
function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // The error of its own says nothing more; the text may be a password.
    throw urlError(
      `has a % in its ${part} that is not followed by two hexadecimal digits (write %25)`,
    )
  }
}

function timeoutMs(seconds: string | null): number {
  if (seconds === null) return connectTimeoutMs
  const value = Number(seconds)
  if (!Number.isInteger(value) || value < 1) {
    throw urlError('has a connect-timeout that is no number of seconds')
  }
  return value * 1000
}

function tlsOptions(parameters: URLSearchParams, host: string): TlsOptions | null {
  const asked = parameters.get('ssl-mode')?.toLowerCase().replace('_', '-')
  const mode = asked ?? (isThisMachine(host) ? 'disabled' : 'verify-identity')
  if (mode === 'disabled') return null
  if (mode !== 'required' && !verified.has(mode)) {
    throw urlError(`has ssl-mode=${mode}; use disabled, required, verify-ca or verify-identity`)
  }
  const ca = fileOf(parameters, 'ssl-ca')
  const cert = fileOf(parameters, 'ssl-cert')
  const key = fileOf(parameters, 'ssl-key')
  return {
    rejectUnauthorized: verified.has(mode),
    verifyIdentity: mode === 'verify-identity',
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
  }
}

function fileOf(parameters: URLSearchParams, name: string): string | null {
  const path = parameters.get(name)
  if (path === null) return null
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw urlError(`names a file for ${name} that cannot be read`, cause)
  }
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function urlError(what: string, cause?: unknown): SluiceError {
  return new SluiceError('source.mysql.url', {
    message: `The url of the MySQL source ${what}.`,
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * What every session of ours runs first, so that no setting of the server or the account changes what
 * statements mean and how values are printed. The comments with versions are the flavours' own: MariaDB
 * passes over /*!50700 to 99999, MySQL over /*M! (MariaDB Knowledge Base, "Comment Syntax").
 */
export const sessionSql = `SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION sql_mode = '',
  SESSION autocommit = 1, SESSION sql_auto_is_null = 0, SESSION sql_big_selects = 1,
  SESSION sql_select_limit = DEFAULT, SESSION group_concat_max_len = 1048576,
  SESSION wait_timeout = 86400, SESSION net_read_timeout = 600, SESSION net_write_timeout = 86400
  /*!80000 , SESSION max_execution_time = 0 */ /*M! , SESSION max_statement_time = 0 */`

/** A connected session under `sessionSql`. */
export interface Session extends AsyncDisposable {
  /** The driver's connection, for commands that take the bytes themselves. */
  readonly connection: Connection
  /** One statement; every value as text. Rejects with the driver's error (errors.ts). */
  readonly query: Query
  /** Cuts the connection at once: a polite end would wait for a running statement. */
  destroy(): void
}

/** Connects; aborted at any later time, the connection is cut. Rejects with the driver's error. */
export async function connect(target: Target, signal: AbortSignal): Promise<Session> {
  signal.throwIfAborted()
  // TLS reads from the socket by itself, into memory of its own.
  const socket = target.tls === null ? new PooledSocket() : new Socket()
  // Without a host of its own a TLS socket over another checks the name "localhost" for an address.
  Object.assign(socket, { _host: target.host })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 30_000)
  socket.connect(target.port, target.host)
  const connection = createConnection(driverOptions(target, socket))
  // Without a listener, a connection lost between two statements would end the process; the next
  // statement on it fails, and the driver does not say why.
  let lost: Error | null = null
  connection.on('error', (error: Error) => (lost ??= error))
  const destroy = (): void => void socket.destroy()
  signal.addEventListener('abort', destroy, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', destroy))
  const query: Query = async (sql) => {
    if (lost !== null) throw lost
    return runQuery(connection, sql)
  }
  try {
    await connected(connection)
    await query(sessionSql)
  } catch (error) {
    destroy()
    signal.throwIfAborted()
    throw error
  }
  return {
    connection,
    query,
    destroy,
    [Symbol.asyncDispose]: () => end(connection, socket),
  }
}

function driverOptions(target: Target, socket: Socket): ConnectionOptions {
  return {
    stream: socket,
    host: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    ...(target.database === '' ? {} : { database: target.database }),
    ...(target.tls === null ? {} : { ssl: { ...target.tls } }),
    compress: target.compress,
    connectTimeout: target.timeoutMs,
    charset: 'utf8mb4',
    // Every value as the server printed it: numbers beyond 2^53 and dates are not to pass through doubles.
    typeCast: (field) => field.string(),
    flags: ['-LOCAL_FILES', '-ODBC', '-IGNORE_SPACE'],
    connectAttributes: { program_name: 'sluice' },
  }
}

function connected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.connect((error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}

function runQuery(
  connection: Connection,
  sql: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return new Promise((resolve, reject) => {
    connection.query(sql, (error, rows) => {
      if (error !== null) reject(error)
      else resolve(Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [])
    })
  })
}

/** COM_QUIT, and not longer than a second: the server may be gone. */
async function end(connection: Connection, socket: Socket): Promise<void> {
  if (!socket.destroyed) {
    const ended = new Promise<void>((resolve) => connection.end(() => resolve()))
    const late = AbortSignal.timeout(1000)
    await Promise.race([ended, new Promise((resolve) => late.addEventListener('abort', resolve))])
  }
  socket.destroy()
}
