/**
 * The connection URL of a database server. Read here and not by the drivers, whose readings of TLS modes
 * differ between versions and from what the modes' names say: one that checks less is a hole.
 *
 *   url = scheme '://' user [ ':' password ] '@' host [ ':' port ] [ '/' database ] [ '?' parameters ]
 *
 *   TLS mode, in the words of each database         encrypted   certificate chain   host name
 *   disable       disabled                          no          –                   –
 *   require       required                          yes         not checked         not checked
 *   verify-ca     verify-ca                         yes         checked             not checked
 *   verify-full   verify-identity                   yes         checked             checked
 *   (absent): the first one to this machine, the last one to any other
 *
 * PostgreSQL documentation, libpq-ssl; MySQL Reference Manual, "Command Options for Encrypted
 * Connections". Both without `prefer`, which a man in the middle can turn into no TLS at all.
 */
import { readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import type { Code } from '../errors/codes.ts'
import { SluiceError } from '../errors/error.ts'
import type { Secret } from './secret.ts'

/** What is different from database to database. */
export interface UrlWords {
  /** Of every error. */
  readonly code: Code
  /** Whose URL it is, in messages: `MySQL source`. */
  readonly owner: string
  /** The first one is what messages ask for. */
  readonly schemes: readonly [string, ...string[]]
  readonly port: number
  /** The TLS modes, from the weakest to the strictest. */
  readonly tlsModes: readonly [string, string, string, string]
  /** The parameters' names. */
  readonly tlsMode: string
  readonly tlsCa: string
  readonly tlsCert: string
  readonly tlsKey: string
  readonly connectTimeout: string
  /** Further parameters. Of them `host` and `port` take the place of what stands before the path. */
  readonly others: readonly string[]
}

/** Holds the password: never logged. */
export interface DatabaseUrl {
  /** A name, an address without brackets, or the path of a socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** '' = none. */
  readonly database: string
  /** null: not encrypted. */
  readonly tls: UrlTls | null
  readonly connectTimeoutMs: number
  readonly parameters: URLSearchParams
}

export interface UrlTls {
  readonly rejectUnauthorized: boolean
  /** Whether the host has to be a name of the certificate. */
  readonly verifyIdentity: boolean
  /** PEM. Without a `ca` those count that Node trusts. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

const connectTimeoutDefaultMs = 15_000
/** A day; what timers can hold is 24 times that. */
const connectTimeoutMaxSeconds = 86_400
const portMax = 65_535

/** Throws `words.code` when the URL cannot be used; the message repeats nothing that may be secret. */
export function readDatabaseUrl(url: Secret, words: UrlWords): DatabaseUrl {
  const parsed = parse(url.reveal(), words)
  const parameters = parsed.searchParams
  const bareHost = parsed.hostname.replace(/^\[|\]$/g, '')
  const host = parameters.get('host') ?? decoded(bareHost, 'host', words)
  const user = decoded(parsed.username, 'user', words)
  if (host === '') throw urlError(words, 'names no host')
  if (user === '') throw urlError(words, 'names no user')
  refuseUnknown(parsed, words)
  return {
    host,
    port: portOf(parameters.get('port') ?? parsed.port, words),
    user,
    password: decoded(parsed.password, 'password', words),
    database: decoded(parsed.pathname.slice(1), 'database', words),
    tls: tlsOf(parameters, host, words),
    connectTimeoutMs: connectTimeoutMs(parameters, words),
    parameters,
  }
}

function parse(text: string, words: UrlWords): URL {
  let parsed: URL
  try {
    parsed = new URL(text)
  } catch {
    // The parser's own error repeats its input, and with it the password.
    throw urlError(words, 'cannot be read as a URL')
  }
  if (!words.schemes.includes(parsed.protocol.slice(0, -1))) {
    throw urlError(words, `does not begin with ${words.schemes[0]}://`)
  }
  return parsed
}

/**
 * The parser lets a % stand that begins no encoded character: a password that was not encoded would be
 * read as another one, or not at all.
 */
function decoded(text: string, part: string, words: UrlWords): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Its own error says nothing more.
    throw urlError(
      words,
      `has a % in its ${part} that begins no encoded character; a % itself is written %25`,
    )
  }
}

function refuseUnknown({ search, hash, searchParams }: URL, words: UrlWords): void {
  const { tlsMode, tlsCa, tlsCert, tlsKey, connectTimeout, others } = words
  const known = [tlsMode, tlsCa, tlsCert, tlsKey, connectTimeout, ...others]
  for (const name of searchParams.keys()) {
    if (known.includes(name)) continue
    // With an @ behind it, the ? may stand in a password that was not encoded.
    const isNamed = !`${search}${hash}`.includes('@')
    throw urlError(
      words,
      `has ${isNamed ? `the unknown parameter "${name}"` : 'an unknown parameter'}`,
    )
  }
}

function portOf(text: string, words: UrlWords): number {
  const port = text === '' ? words.port : wholeNumber(text, portMax)
  if (port === null) throw urlError(words, `has a port that is no number from 1 to ${portMax}`)
  return port
}

function connectTimeoutMs(parameters: URLSearchParams, words: UrlWords): number {
  const name = words.connectTimeout
  const text = parameters.get(name)
  if (text === null) return connectTimeoutDefaultMs
  const seconds = wholeNumber(text, connectTimeoutMaxSeconds)
  if (seconds !== null) return seconds * 1000
  const range = `1 to ${connectTimeoutMaxSeconds}`
  throw urlError(words, `has a ${name} that is no number of seconds from ${range}`)
}

/** null: not one from 1 to `max`. */
function wholeNumber(text: string, max: number): number | null {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= max ? value : null
}

function tlsOf(parameters: URLSearchParams, host: string, words: UrlWords): UrlTls | null {
  const modes = words.tlsModes
  const asked = parameters.get(words.tlsMode)?.toLowerCase().replaceAll('_', '-')
  const mode = asked ?? (isThisMachine(host) ? modes[0] : modes[3])
  const strictness = modes.indexOf(mode)
  if (strictness === 0) return null
  if (strictness < 0) {
    const usable = `${modes.slice(0, -1).join(', ')} or ${modes[3]}`
    throw urlError(words, `has ${words.tlsMode}=${mode}; use ${usable}`)
  }
  // libpq's word for the certificates that are trusted anyway.
  const isSystemCa = parameters.get(words.tlsCa) === 'system'
  const ca = isSystemCa ? null : fileOf(parameters, words.tlsCa, words)
  const cert = fileOf(parameters, words.tlsCert, words)
  const key = fileOf(parameters, words.tlsKey, words)
  return {
    rejectUnauthorized: strictness >= 2,
    verifyIdentity: strictness === 3,
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
  }
}

function fileOf(parameters: URLSearchParams, name: string, words: UrlWords): string | null {
  const path = parameters.get(name)
  if (path === null) return null
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw urlError(words, `names a file for ${name} that cannot be read`, cause)
  }
}

/** Nobody else can listen in. Not so for a name such as 127.example.com, which is anybody's. */
function isThisMachine(host: string): boolean {
  const isLoopback = host === '::1' || (isIPv4(host) && host.startsWith('127.'))
  return isLoopback || host === 'localhost' || host.startsWith('/')
}

function urlError(words: UrlWords, what: string, cause?: unknown): SluiceError {
  return new SluiceError(words.code, {
    message: `The url of the ${words.owner} ${what}.`,
    ...(cause === undefined ? {} : { cause }),
  })
}
