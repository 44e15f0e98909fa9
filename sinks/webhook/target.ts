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
import type { WebhookConfig } from './config.ts'
import { keyBytesMax, keyBytesMin, parseKey } from './sign.ts'

export interface Target {
  /** Scheme, host and port. */
  readonly origin: string
  /** Host as a URL writes it; for messages and for the resolver. */
  readonly host: string
  /** Path and query. */
  readonly path: string
  /** Signing keys, the current one first. */
  readonly keys: readonly KeyObject[]
  /** Names and values in turn, the same for every request. */
  readonly headers: readonly string[]
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

export type TargetResult =
  | { readonly target: Target; readonly problems: readonly [] }
  | { readonly target: null; readonly problems: readonly Problem[] }

export function parseTarget(config: WebhookConfig): TargetResult {
  const problems: Problem[] = []
  const url = parseUrl(config, problems)
  const keys = parseKeys(config, problems)
  const headers = parseHeaders(config, problems)
  const tls = parseTls(config, problems)
  if (url === null || problems.length > 0) return { target: null, problems }
  return {
    target: {
      origin: url.origin,
      host: bareHost(url.hostname),
      path: `${url.pathname}${url.search}`,
      keys,
      headers,
      tls,
    },
    problems: [],
  }
}

function parseUrl(config: WebhookConfig, problems: Problem[]): URL | null {
  const text = config.url.reveal()
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    problems.push(problem('sink.webhook.invalid_url', '`url` is not an http or https address'))
    return null
  }
  if (url.username !== '' || url.password !== '') {
    problems.push(problem('sink.webhook.invalid_url', '`url` holds a user or a password'))
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
  return url
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
      const what = `\`${name}\` is not whsec_ followed by ${keyBytesMin} to ${keyBytesMax} bytes in base64`
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

function parseHeaders(config: WebhookConfig, problems: Problem[]): readonly string[] {
  const headers = ['content-type', 'application/json']
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
    } else if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      problems.push(
        problem('sink.webhook.invalid_header', `the value of the header ${lower} cannot be sent`),
      )
    }
    seen.add(lower)
    headers.push(lower, value)
  }
  if (!seen.has('user-agent')) headers.push('user-agent', 'Sluice')
  return headers
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
