/**
 * The hub's HTTP server: the one door through which sources are called. It keeps slow, malformed and
 * endless requests away from them; what a request means is the source's business (RouteHandler).
 *
 * On node:http with find-my-way rather than on a framework: routes come and go as sources restart, bodies
 * stay raw for signatures, and nothing of what a framework adds to a request would be used.
 *
 * Refused here: two framings in one request (Content-Length beside Transfer-Encoding), malformed heads,
 * chunks and targets (400), paths that nobody has (404), heads and bodies that do not arrive in time (408),
 * heads that are too large or hold too many fields (431). Connections beyond `maxConnections` are closed.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import findMyWay from 'find-my-way'
import type { Logger } from '../connector/context.ts'
import { sendProblem } from '../connector/http-problem.ts'
import type { HttpRoutes, RouteCall, RouteHandler } from '../connector/http-routes.ts'
import type { Secret } from '../connector/secret.ts'
import { SluiceError, toSluiceError } from '../errors/error.ts'
import { listen } from '../observe/listen.ts'
import { ClientAddresses } from './client-address.ts'

export interface HttpServerSettings {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** PEM texts. `clientCa`: clients must have a certificate of these authorities. */
  readonly tls: {
    readonly cert: string
    readonly key: Secret
    readonly clientCa: string | null
  } | null
  /** Proxies whose X-Forwarded-For is believed, as CIDRs. */
  readonly trustProxy: readonly string[]
  readonly maxConnections: number
  /** From the first byte of a request to the end of its head, and to the end of its body. */
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  /** How long a connection without a request stays open. */
  readonly keepAliveMs: number
}

interface Route {
  readonly path: string
  /** null: its source is not there now. */
  handle: RouteHandler | null
}

const headBytesMax = 16 * 1024
const headersMax = 100
const parameterLengthMax = 256
/** How often connections are looked over for time-outs. */
const checkMs = 1000
/** How long answers that are under way may take when the server ends. */
const closeMs = 5000
const closeCheckMs = 20

export class HttpServer implements HttpRoutes, AsyncDisposable {
  readonly #settings: HttpServerSettings
  readonly #logger: Logger
  readonly #addresses: ClientAddresses
  readonly #router = findMyWay({
    maxParamLength: parameterLengthMax,
    onBadUrl: () => {},
    querystringParser: () => ({}),
  })
  /** By path; names of parameters do not make paths different. */
  readonly #routes = new Map<string, Route>()
  #server: Server | null = null
  #listening: Promise<void> | null = null
  #closing = false

  constructor(settings: HttpServerSettings, logger: Logger) {
    this.#settings = settings
    this.#logger = logger
    this.#addresses = new ClientAddresses(settings.trustProxy)
  }

  /** The port that is listened on; null before the first route. */
  get port(): number | null {
    const address = this.#server?.address()
    return typeof address === 'object' && address !== null ? address.port : null
  }

  async add(path: string, handle: RouteHandler): Promise<AsyncDisposable> {
    this.#listening ??= this.#listen()
    try {
      await this.#listening
    } catch (error) {
      this.#listening = null
      throw error
    }
    // Looked for after all that is waited for: sources start side by side.
    const shape = path.replaceAll(/:[^/]+/g, ':')
    const known = this.#routes.get(shape)
    if (known?.handle !== null && known !== undefined) {
      throw new SluiceError('http.route_taken', { message: `the path ${path} is taken already` })
    }
    const route: Route = { path, handle }
    // Parameters may have other names than before.
    if (known !== undefined) this.#router.off('POST', known.path)
    this.#routes.set(shape, route)
    this.#router.on('POST', path, () => {}, route)
    return {
      [Symbol.asyncDispose]: async () => {
        route.handle = null
      },
    }
  }

  /** Answers what is under way, then closes; whoever asks meanwhile is told to come again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    await this.#listening?.catch(() => {})
    const server = this.#server
    if (server === null) return
    const closed = new Promise((resolve) => server.close(resolve))
    const sweep = setInterval(() => server.closeIdleConnections(), closeCheckMs)
    const late = setTimeout(() => server.closeAllConnections(), closeMs)
    await closed
    clearInterval(sweep)
    clearTimeout(late)
  }

  async #listen(): Promise<void> {
    const { host, port, tls } = this.#settings
    const server = this.#create()
    const at = await listen(server, { host, port, code: 'http.port_unavailable' })
    server.on('error', (error) => this.#logger.warn('HTTP server', { reason: error.message }))
    this.#server = server
    this.#logger.info('waiting for requests', { url: `${tls === null ? 'http' : 'https'}://${at}` })
  }

  #create(): Server {
    const { tls, headersTimeoutMs, requestTimeoutMs, keepAliveMs } = this.#settings
    const options = {
      headersTimeout: headersTimeoutMs,
      requestTimeout: Math.max(requestTimeoutMs, headersTimeoutMs),
      // Of TLS, before there is a request whose head could be late.
      handshakeTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkMs,
      maxHeaderSize: headBytesMax,
      insecureHTTPParser: false,
    }
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response)
    }
    const server =
      tls === null ? createServer(options, handle) : createWithTls({ ...options }, tls, handle)
    server.maxConnections = this.#settings.maxConnections
    // One more than may be: Node leaves those beyond it out in silence.
    server.maxHeadersCount = headersMax + 1
    // Whoever asks first whether it may send its body is answered before it does (RFC 9110 §10.1.1).
    server.on('checkContinue', handle)
    return server
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    // A client that goes away is nothing to tell anybody.
    request.on('error', ignore)
    response.on('error', ignore)
    if (request.rawHeaders.length > headersMax * 2) {
      const detail = `a request may have ${headersMax} header fields`
      return sendProblem(request, response, { status: 431, code: 'http.head', detail })
    }
    const found = this.#router.find('POST', originForm(request.url ?? '/'))
    const route = found?.store as Route | null | undefined
    if (found === null || route === undefined || route === null) {
      const isBad = found !== null
      return sendProblem(request, response, {
        status: isBad ? 400 : 404,
        code: isBad ? 'http.target' : 'http.not_found',
        detail: isBad ? 'the path is not percent-encoded UTF-8' : 'there is nothing at this path',
      })
    }
    const parameters = found.params as Readonly<Record<string, string>>
    for (const name in parameters) {
      if (isPlain(parameters[name]!)) continue
      const detail = `the part :${name} of the path holds what no part of a path may`
      return sendProblem(request, response, { status: 400, code: 'http.target', detail })
    }
    if (route.handle === null || this.#closing) return sendAbsent(request, response)
    this.#call(route.handle, request, response, {
      parameters,
      remoteAddress: this.#addresses.of(request),
    })
  }

  #call(
    handle: RouteHandler,
    request: IncomingMessage,
    response: ServerResponse,
    call: RouteCall,
  ): void {
    const failed = (thrown: unknown): void => {
      const error = toSluiceError(thrown)
      this.#logger.error('a request failed', { code: error.code, reason: error.message })
      const detail = 'this request could not be handled'
      sendProblem(request, response, { status: 500, code: 'internal.bug', detail })
      if (!response.writableEnded) response.destroy()
    }
    try {
      const done = handle(request, response, call)
      if (done !== undefined) done.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** A server has to take the whole address too, as some proxies send it (RFC 9112 §3.2.2). */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  return /^https?:\/\/[^/?#]+(\/[^]*)$/i.exec(target)?.[1] ?? target
}

/** One for all requests: each of them lives until its answer, with all that it holds. */
function ignore(): void {}

function createWithTls(
  options: ServerOptions,
  { cert, key, clientCa }: NonNullable<HttpServerSettings['tls']>,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const client = clientCa === null ? {} : { ca: clientCa, requestCert: true }
  try {
    return createTlsServer(
      { ...options, cert, key: key.reveal(), minVersion: 'TLSv1.2', ...client },
      handle,
    )
  } catch (error) {
    // OpenSSL's texts name what is wrong with a PEM, and quote nothing of it.
    const why = error instanceof Error ? error.message : String(error)
    throw new SluiceError('http.tls', {
      message: `server.tls cannot be used: ${why}`,
      cause: error,
    })
  }
}

function sendAbsent(request: IncomingMessage, response: ServerResponse): void {
  sendProblem(request, response, {
    status: 503,
    code: 'http.not_ready',
    detail: 'what takes these requests is not running now',
    headers: { 'retry-after': '2' },
  })
}

/** Nothing that leads elsewhere where it is used as a part of a path or a name of a file. */
function isPlain(value: string): boolean {
  if (value === '' || value === '.' || value === '..') return false
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return !/[/\\\u0000-\u001f\u007f]/.test(value)
}
