/**
 * From the URL of the online store to a driver configuration. Read here and not by the driver, because
 * its reading of sslmode differs between versions, and a mode that checks less than its name says is a
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
import type { PoolConfig } from 'pg'
import type { Secret } from '../../../core/connector/secret.ts'
import { SluiceError } from '../../../core/errors/error.ts'

const connectTimeoutMs = 15_000
const known = new Set(['sslmode', 'sslrootcert', 'sslcert', 'sslkey'])

/** Throws `sink.feast.postgres_url`. */
export function poolConfig(url: Secret, application: string): PoolConfig {
  const parsed = parseUrl(url.reveal())
  for (const name of parsed.searchParams.keys()) {
    if (!known.has(name)) throw urlError(`has the unknown parameter "${name}"`)
  }
  const host = decoded(parsed.hostname.replace(/^\[|\]$/g, ''), 'host')
  const user = decoded(parsed.username, 'user')
  const database = decoded(parsed.pathname.slice(1), 'database')
  if (host === '') throw urlError('names no host')
  if (user === '') throw urlError('names no user')
  return {
    host,
    port: parsed.port === '' ? 5432 : Number(parsed.port),
    user,
    password: decoded(parsed.password, 'password'),
    database: database === '' ? user : database,
    ssl: tlsOptions(parsed.searchParams, host),
    application_name: application,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    // The planner cannot know how long the arrays are, and a join of two of them by nested loops would
    // take the square of it.
    options: '-c enable_nestloop=off',
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

/** The parser lets a % stand that begins no encoded character, as one in a password often does. */
function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Its own error says nothing more, and the text is not repeated.
    throw urlError(
      `has a % in its ${part} that begins no encoded character; a % itself is written %25`,
    )
  }
}

function tlsOptions(parameters: URLSearchParams, host: string): false | ConnectionOptions {
  const local = host === 'localhost' || host === '127.0.0.1' || host === '::1'
  const mode = parameters.get('sslmode') ?? (local ? 'disable' : 'verify-full')
  if (mode === 'disable') return false
  const files = {
    ...fileOf(parameters, 'sslrootcert', 'ca'),
    ...fileOf(parameters, 'sslcert', 'cert'),
    ...fileOf(parameters, 'sslkey', 'key'),
  }
  switch (mode) {
    case 'require':
      return { ...files, rejectUnauthorized: false }
    case 'verify-ca':
      return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined }
    case 'verify-full':
      return { ...files, rejectUnauthorized: true }
    default:
      throw urlError(`has the unknown sslmode "${mode}"`)
  }
}

function fileOf(parameters: URLSearchParams, name: string, option: string): object {
  const path = parameters.get(name)
  if (path === null) return {}
  try {
    return { [option]: readFileSync(path, 'utf8') }
  } catch (cause) {
    throw new SluiceError('sink.feast.postgres_url', {
      message: `The file that ${name} names in the URL of the online store cannot be read.`,
      cause,
    })
  }
}

function urlError(what: string): SluiceError {
  return new SluiceError('sink.feast.postgres_url', {
    message: `The URL of the online store ${what}.`,
  })
}
