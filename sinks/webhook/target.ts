/**
 * From a webhook sink's configuration to what its requests need. Everything that is wrong with it is
 * found at once, without the network; messages name the host, never the whole URL, which may hold a
 * token.
 */
import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import type { Problem } from '../../core/connector/problem.ts'
import type { Secret } from '../../core/connector/secret.ts'
import { codes, type Code } from '../../core/errors/codes.ts'
import { addressRefused, bareHost, isPublicAddress } from './address.ts'
import { hostPattern, isFixed, splitAt, type Route, type UrlTemplate } from './address-template.ts'
import type { WebhookConfig } from './config.ts'
import { keyBytesMax, keyBytesMin, parseKey } from './sign.ts'
import { parseTemplate, sampleOf, type Template } from './template.ts'

export interface Target {
  readonly url: UrlTemplate
  /** Where every request goes; null where the row says it. */
  readonly fixed: Route | null
  /** Host as a URL writes it, or as the template does; for messages and for the resolver. */
  readonly host: string
  /** Signing keys, the current one first. */
  readonly keys: readonly KeyObject[]
  /** Names and values in turn, the same for every request. */
  readonly headers: readonly string[]
  readonly headerTemplates: readonly HeaderTemplate[]
  /** null: the usual body. */
  readonly body: Template | null
  /** Whether the body is JSON. */
  readonly isJson: boolean
  /** Columns that the templates need. */
  readonly columns: readonly string[]
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

export interface HeaderTemplate {
  readonly name: string
  readonly template: Template
}

export type TargetResult =
  | { readonly target: Target; readonly problems: readonly [] }
  | { readonly target: null; readonly problems: readonly Problem[] }

export function parseTarget(config: WebhookConfig): TargetResult {
  const problems: Problem[] = []
  const url = parseUrl(config, problems)
  const keys = parseKeys(config, problems)
  const { headers, headerTemplates } = parseHeaders(config, problems)
  const isJson = /^application\/(?:[\w.-]+\+)?json\b/.test(config.content_type)
  const body = parseBody(config, isJson, problems)
  const tls = parseTls(config, problems)
  if (url === null || problems.length > 0) return { target: null, problems }
  const templates = [url.authority, url.path, url.query, ...(body === null ? [] : [body])]
  for (const { template } of headerTemplates) templates.push(template)
  const columns = [...new Set(templates.flatMap((template) => template.columns))]
  const fixed = fixedRoute(url)
  const { host } = url
  return {
    target: { url, fixed, host, keys, headers, headerTemplates, body, isJson, columns, tls },
    problems: [],
  }
}

/** The one address that there is without placeholders. */
function fixedRoute({ scheme, authority, path, query, host }: UrlTemplate): Route | null {
  if (![authority, path, query].every(isFixed)) return null
  const text = [authority, path, query].map((template) => sampleOf(template, false)).join('')
  const { origin, pathname, search } = new URL(`${scheme}://${text}`)
  return { name: host, origin, host, path: `${pathname}${search}` }
}

function parseUrl(config: WebhookConfig, problems: Problem[]): UrlTemplate | null {
  const invalid = (what: string): null => {
    problems.push(problem('sink.webhook.invalid_url', what))
    return null
  }
  const { template, problem: flaw } = parseTemplate(config.url.reveal(), false)
  if (template === null) return invalid(`\`url\` ${flaw}`)
  const sample = sampleOf(template, false)
  const url = URL.canParse(sample) ? new URL(sample) : null
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return invalid('`url` is not an http or https address')
  }
  const parts = partsOf(template)
  if (parts === null) return invalid('`url` does not begin with https:// and a host')
  if (url.username !== '' || url.password !== '') {
    invalid('`url` holds a user or a password')
  }
  if (url.protocol === 'http:' && !config.allow_http) {
    problems.push(
      problem(
        'sink.webhook.http_refused',
        `the address of ${url.hostname} is http:// and readable`,
      ),
    )
  }
  const host = bareHost(url.hostname)
  if (!config.allow_private && isIP(host) !== 0 && !isPublicAddress(host)) {
    problems.push(problem('sink.webhook.address_refused', addressRefused(host, host).message))
  }
  const scheme = url.protocol.slice(0, -1)
  const hosts = parseHosts(config, parts.authority, problems)
  return { ...parts, scheme, hosts, host: isFixed(parts.authority) ? host : shown(parts.authority) }
}

function partsOf(template: Template): Pick<UrlTemplate, 'authority' | 'path' | 'query'> | null {
  const [first] = template.parts
  const scheme = typeof first === 'string' ? /^https?:\/\//i.exec(first)?.[0] : undefined
  if (typeof first !== 'string' || scheme === undefined) return null
  const [beforeFragment] = splitAt(template, /#/)
  const [head = '', ...others] = beforeFragment.parts
  const rest = typeof head === 'string' ? head.slice(scheme.length) : ''
  const parts = rest === '' ? others : [rest, ...others]
  const [authority, place] = splitAt({ parts, columns: [] }, /[/?]/)
  const [path, query] = splitAt(place, /\?/)
  return { authority, path, query }
}

function shown({ parts }: Template): string {
  return parts.map((part) => (typeof part === 'string' ? part : `{${part.name}}`)).join('')
}

/** A host that a row has a part in needs patterns of what it may be. */
function parseHosts(
  { allow_hosts: patterns }: WebhookConfig,
  authority: Template,
  problems: Problem[],
): readonly RegExp[] | null {
  const fixed = isFixed(authority)
  if (!fixed && patterns === undefined) {
    const what =
      'the host of `url` has a placeholder, and `allow_hosts` does not say where it may lead'
    problems.push(problem('sink.webhook.invalid_url', what))
  }
  if (patterns === undefined) return null
  const hosts: RegExp[] = []
  for (const pattern of patterns) {
    const host = hostPattern(pattern)
    if (host !== null) hosts.push(host)
    else {
      const what = `\`allow_hosts\` has "${pattern}", which is no host with stars`
      problems.push(problem('sink.webhook.invalid_url', what))
    }
  }
  return hosts
}

function parseBody(config: WebhookConfig, isJson: boolean, problems: Problem[]): Template | null {
  const invalid = (what: string): null => {
    problems.push(problem('sink.webhook.invalid_body', what))
    return null
  }
  const { body, batch, content_type: type } = config
  if (body === undefined) {
    return isJson ? null : invalid(`\`content_type\` is ${type}, and the usual body is JSON`)
  }
  const { template, problem: flaw } = parseTemplate(body, isJson)
  if (template === null) return invalid(`\`body\` ${flaw}`)
  if (!isJson && batch !== undefined) return invalid('`batch` needs a body of JSON')
  if (isJson && !reads(() => JSON.parse(sampleOf(template, true)))) {
    return invalid('`body` is not JSON once its placeholders are filled')
  }
  return template
}

function parseKeys(config: WebhookConfig, problems: Problem[]): readonly KeyObject[] {
  const keys: KeyObject[] = []
  const secrets: readonly (readonly [string, Secret | undefined])[] = [
    ['secret', config.secret],
    ['secret_previous', config.secret_previous],
  ]
  for (const [name, secret] of secrets) {
    if (secret === undefined) continue
    const key = parseKey(secret)
    if (key !== null) keys.push(key)
    else {
      const what = `\`${name}\` is not whsec_ followed by ${keyBytesMin} to ${keyBytesMax} bytes in base64, or whsk_ and an Ed25519 key`
      problems.push(problem('sink.webhook.invalid_secret', what))
    }
  }
  return keys
}

/** What this sink or the connection sets; a second value would contradict it. */
const ownHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'webhook-id',
  'webhook-signature',
  'webhook-timestamp',
])

function parseHeaders(
  config: WebhookConfig,
  problems: Problem[],
): Pick<Target, 'headers' | 'headerTemplates'> {
  const headers = ['content-type', config.content_type]
  const headerTemplates: HeaderTemplate[] = []
  const seen = new Set<string>()
  for (const [name, secret] of Object.entries(config.headers)) {
    const lower = name.toLowerCase()
    const value = secret.reveal()
    // RFC 9110 §5.6.2 (token) and §5.5 (field-value): no line end can get in, so that no header or
    // request can be smuggled in with a value.
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
      problems.push(
        problem('sink.webhook.invalid_header', `"${name}" cannot be the name of a header`),
      )
    } else if (ownHeaders.has(lower) || seen.has(lower)) {
      problems.push(problem('sink.webhook.invalid_header', `the header ${lower} is set already`))
    } else if (!isFieldValue(value)) {
      problems.push(
        problem('sink.webhook.invalid_header', `the value of the header ${lower} cannot be sent`),
      )
    }
    seen.add(lower)
    const { template, problem: flaw } = parseTemplate(value, false)
    if (template === null) {
      const what = `the value of the header ${lower} ${flaw}`
      problems.push(problem('sink.webhook.invalid_header', what))
    } else if (isFixed(template)) headers.push(lower, sampleOf(template, false))
    else headerTemplates.push({ name: lower, template })
  }
  if (!seen.has('user-agent')) headers.push('user-agent', 'Sluice')
  return { headers, headerTemplates }
}

/** RFC 9110 §5.5: no line end, so that no header can be smuggled in with a value. */
export function isFieldValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}

function parseTls({ tls }: WebhookConfig, problems: Problem[]): Target['tls'] {
  if (tls === undefined) return {}
  const invalid = (what: string): void => {
    problems.push(problem('sink.webhook.invalid_tls', what))
  }
  for (const name of ['ca', 'cert'] as const) {
    const pem = tls[name]
    if (pem !== undefined && !reads(() => new X509Certificate(pem))) {
      invalid(`\`tls.${name}\` is not a PEM certificate`)
    }
  }
  const key = tls.key?.reveal()
  if (key !== undefined && !reads(() => createPrivateKey(key))) {
    invalid('`tls.key` is not a PEM private key')
  }
  if ((tls.cert === undefined) !== (key === undefined)) {
    invalid('`tls.cert` and `tls.key` belong together, and one is missing')
  }
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(key === undefined ? {} : { key }),
  }
}

function reads(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch {
    return false
  }
}

export function problem(code: Code, message: string): Problem {
  return { code, severity: 'error', message, remedy: codes[code].remedy }
}
