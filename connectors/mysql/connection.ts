/**
 * From the configured URL to a session. How a URL is read, and what its TLS modes check, is said in
 * core/connector/database-url.ts; here are MySQL's words for it.
 */
import { Socket } from 'node:net'
import { createConnection, type Connection, type ConnectionOptions } from 'mysql2'
import { readDatabaseUrl, type UrlTls, type UrlWords } from '../../core/connector/database-url.ts'
import { PooledSocket } from '../../core/connector/pooled-socket.ts'
import type { Secret } from '../../core/connector/secret.ts'
import type { Query } from './schema/catalog.ts'

const urlWords: UrlWords = {
  code: 'source.mysql.url',
  owner: 'MySQL source',
  schemes: ['mysql', 'mariadb'],
  port: 3306,
  tlsModes: ['disabled', 'required', 'verify-ca', 'verify-identity'],
  tlsMode: 'ssl-mode',
  tlsCa: 'ssl-ca',
  tlsCert: 'ssl-cert',
  tlsKey: 'ssl-key',
  connectTimeout: 'connect-timeout',
  others: [],
}

/** What is needed to open sessions on a server. Holds the password: never logged. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** '' = none. */
  readonly database: string
  readonly tls: UrlTls | null
  readonly compress: boolean
  readonly timeoutMs: number
}

/** Throws `source.mysql.url` when the URL cannot be used. */
export function targetOf(url: Secret, { compress }: { readonly compress: boolean }): Target {
  const { host, port, user, password, database, tls, connectTimeoutMs } = readDatabaseUrl(
    url,
    urlWords,
  )
  return { host, port, user, password, database, tls, compress, timeoutMs: connectTimeoutMs }
}

/** `host:port`, for messages. */
export function nameOf(target: Target): string {
  return target.host.includes(':')
    ? `[${target.host}]:${target.port}`
    : `${target.host}:${target.port}`
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
