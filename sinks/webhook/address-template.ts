/**
 * The address of an event, out of the template of `url`.
 *
 *   url = scheme '://' host [ ':' port ] [ path ] [ '?' query ]      `{…}` in host, path and query
 *
 * Values in path and query are percent-encoded (RFC 3986 §2.1), so that none can end a segment or begin
 * a query; one that would be the segment `.` or `..`, or an empty one, is refused, because it leads
 * elsewhere. A value in the host stands for letters, digits and hyphens of one label, and the whole has to
 * match `allow_hosts`: a row must not choose whom Sluice talks to.
 *
 * An endpoint has a name, which the log of deliveries, dead letters and messages show: its host and the
 * values in its path. What the template itself says in path and query is never in it, since many
 * receivers are known by a token there (https://hooks.slack.com/services/T0…/B0…/…).
 */
import { createHash } from 'node:crypto'
import type { Batch } from '../../core/record/batch.ts'
import { bareHost } from './address.ts'
import type { ChangeEvent } from './events.ts'
import { textFiller, Unfillable, type EventValues, type Part, type Template } from './template.ts'

/** Where one request goes. */
export interface Route {
  /** Names the endpoint: its host, and the values in its path, `…` between them. */
  readonly name: string
  /** Scheme, host and port. */
  readonly origin: string
  /** Host for messages: without values of rows. */
  readonly host: string
  /** Path and query. */
  readonly path: string
}

export interface UrlTemplate {
  readonly scheme: string
  readonly authority: Template
  /** Path and query. */
  readonly path: Template
  readonly query: Template
  readonly hosts: readonly RegExp[] | null
  /** As it is written, for messages. */
  readonly host: string
}

/** The parts of a template before and after the first literal `mark`, which stays with the second. */
export function splitAt({ parts }: Template, marks: RegExp): readonly [Template, Template] {
  const before: Part[] = []
  for (const [index, part] of parts.entries()) {
    const at = typeof part === 'string' ? part.search(marks) : -1
    if (typeof part !== 'string' || at < 0) {
      before.push(part)
      continue
    }
    if (at > 0) before.push(part.slice(0, at))
    return [templateOf(before), templateOf([part.slice(at), ...parts.slice(index + 1)])]
  }
  return [templateOf(before), templateOf([])]
}

function templateOf(parts: readonly Part[]): Template {
  const columns = parts.flatMap((part) =>
    typeof part === 'string' || part.name.startsWith('@') ? [] : [part.name],
  )
  return { parts, columns }
}

export function isFixed({ parts }: Template): boolean {
  return parts.every((part) => typeof part === 'string')
}

/** `*.hooks.example.com`: a star is a part of one label. */
export function hostPattern(pattern: string): RegExp | null {
  if (!/^[a-z0-9*-]+(?:\.[a-z0-9*-]+)*$/i.test(pattern)) return null
  const text = pattern.toLowerCase().replaceAll('.', '\\.').replaceAll('*', '[a-z0-9-]+')
  return new RegExp(`^${text}$`)
}

const queryEscape = (value: string, name: string): string => {
  try {
    return encodeURIComponent(value)
  } catch {
    // Half of a surrogate pair, which a JSON column can hold and UTF-8 cannot.
    throw new Unfillable(`{${name}} cannot be written as UTF-8`)
  }
}

const pathEscape = (value: string, name: string): string => {
  if (value === '') throw new Unfillable(`{${name}} is empty, in the path of \`url\``)
  return queryEscape(value, name)
}

const hostEscape = (value: string, name: string): string => {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(value)) return value.toLowerCase()
  throw new Unfillable(`{${name}} cannot be a part of a host: letters, digits and hyphens`)
}

const dotSegment = /\/(?:\.|%2e){1,2}(?=[/?]|$)/i

/** The route of each event of a batch. Throws Unfillable. */
export function routesOf(
  url: UrlTemplate,
  batch: Batch,
  values: EventValues,
): (event: ChangeEvent) => Route {
  const authority = textFiller(url.authority, batch, values, hostEscape)
  const path = textFiller(url.path, batch, values, pathEscape)
  const query = textFiller(url.query, batch, values, queryEscape)
  const shown = textFiller(withoutWords(url.path), batch, values, pathEscape)
  const known = new Map<string, Route>()
  return (event) => {
    const place = path(event)
    const host = authority(event)
    const asked = query(event)
    const text = `${host}${place === '' ? '/' : place}${asked}`
    const route = known.get(text)
    if (route !== undefined) return route
    const made = routeOf(url, { host, path: place, query: asked, shown: shown(event) })
    known.set(text, made)
    return made
  }
}

/** Slashes stay, every other run of letters becomes `…`. */
function withoutWords(path: Template): Template {
  const masked = path.parts.map((part) =>
    typeof part === 'string' ? part.replace(/[^/]+(?:\/+[^/]+)*/g, '…') : part,
  )
  return { parts: masked, columns: path.columns }
}

interface Filled {
  readonly host: string
  readonly path: string
  readonly query: string
  /** The path as it may be shown. */
  readonly shown: string
}

function routeOf(url: UrlTemplate, { host, path, query, shown }: Filled): Route {
  if (dotSegment.test(path)) throw new Unfillable('a part of the path of `url` is "." or ".."')
  const { origin, hostname, pathname, search } = new URL(`${url.scheme}://${host}${path}${query}`)
  const bare = bareHost(hostname)
  if (url.hosts !== null && !url.hosts.some((pattern) => pattern.test(bare))) {
    throw new Unfillable('the host of `url` does not match `allow_hosts`')
  }
  const name = isFixed(url.path) ? bare : `${bare}${shown}`
  return { name: shortName(name), origin, host: url.host, path: `${pathname}${search}` }
}

/** Bounded; two long names that begin alike stay two. */
function shortName(name: string): string {
  if (name.length <= 200) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16)
  return `${name.slice(0, 180)}…${hash}`
}
