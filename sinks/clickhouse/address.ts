/**
 * Where ClickHouse is: pure.
 *
 *   url  = scheme "://" [ user [ ":" password ] "@" ] host { "," host } [ "/" database ]
 *   host = name [ ":" port ]
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { ClickHouseConfig } from './config.ts'

export interface Address {
  /** One a server, in the order given, without credentials. */
  readonly urls: readonly string[]
  readonly user: string
  readonly password: string
  readonly database: string
}

/** Throws `sink.clickhouse.url`. */
export function addressOf(config: ClickHouseConfig): Address {
  const texts = (Array.isArray(config.url) ? config.url : [config.url]).map((url) => url.reveal())
  const urls = texts.flatMap(eachHost)
  const first = urls[0]!
  // Passwords are compared and never shown.
  if (texts.length > 1 && urls.some((url) => !sameAccount(url, first))) {
    throw new SluiceError('sink.clickhouse.url', {
      message: 'The addresses under url have different users, passwords or databases.',
      remedy:
        'They are servers of one database: put user, password and database into the first, or into their own fields.',
    })
  }
  const path = databaseIn(first)
  return {
    urls: urls.map((url) => `${url.protocol}//${url.host}`),
    user: config.user ?? (decoded(first.username, 'user') || 'default'),
    password: config.password?.reveal() ?? decoded(first.password, 'password'),
    database: config.database ?? (path === '' ? 'default' : path),
  }
}

function eachHost(text: string): URL[] {
  const parts = /^(https?:\/\/)((?:[^/?#]*@)?)([^@/?#]+)(\/[^?#]*)?$/i.exec(text)
  const [, scheme = '', account = '', hosts = '', path = ''] = parts ?? []
  const urls = hosts.split(',').map((host) => `${scheme}${account}${host.trim()}${path}`)
  const empty = hosts.split(',').some((host) => host.trim() === '')
  if (parts === null || empty || urls.some((url) => !URL.canParse(url))) {
    // The text is not repeated: it may hold a password.
    throw new SluiceError('sink.clickhouse.url', {
      message: 'url is not an http:// or https:// address without query parameters.',
    })
  }
  return urls.map((url) => new URL(url))
}

/** The first one counts; what another says must be the same. */
function sameAccount(url: URL, first: URL): boolean {
  const account = url.username === '' && url.password === ''
  const sameUser = url.username === first.username && url.password === first.password
  const sameDatabase = databaseIn(url) === '' || databaseIn(url) === databaseIn(first)
  return (account || sameUser) && sameDatabase
}

function databaseIn(url: URL): string {
  return decoded(url.pathname.replace(/^\/|\/$/g, ''), 'database')
}

/** The parser lets a % stand that begins no encoded character, as one in a password often does. */
function decoded(text: string, part: 'user' | 'password' | 'database'): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Its own error says nothing more, and the text is not repeated.
    throw new SluiceError('sink.clickhouse.url', {
      message: `url has a % in its ${part} that begins no encoded character.`,
      remedy: `Write %25 for the % itself${part === 'password' ? ', or put the text as it is under `password`' : ''}.`,
    })
  }
}
