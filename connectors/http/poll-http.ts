/**
 * One request of a poll and its answer: within a time and a bound of bytes (packed and unpacked), with
 * redirects followed only to where the operator sent us. Every way to fail is one of Sluice's errors, and
 * none of them has more of an address than its origin: what stands behind it may be a token.
 */
import { Agent, request, type Dispatcher } from 'undici'
import { socketFault } from '../../core/connector/socket-error.ts'
import { Semaphore } from '../../core/connector/semaphore.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { Pieces } from './pieces.ts'
import { unpack } from './unpack.ts'

export interface PollRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

export interface PollAnswer {
  readonly status: number
  /** Names in lower case; several of one name are joined. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Where the answer came from, after redirects. */
  readonly url: URL
}

export interface PollStream {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Pieces as they come; an end by failure throws. */
  readonly body: AsyncIterable<Buffer>
  /** Lets go of it, read or not: a connection with an answer that nobody reads is lost to all others. */
  readonly close: () => void
}

export interface PollHttpOptions {
  /** For messages: `poll.orders`. */
  readonly name: string
  readonly timeoutMs: number
  readonly bytesMax: number
  /** `host` or `host:port` beside the origin of each request. */
  readonly allowHosts: readonly string[]
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

const redirectsMax = 5
const redirecting: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** What an answer that is not read may still send, so that its connection can be used again. */
const dumpBytesMax = 64 * 1024

export class PollHttp implements AsyncDisposable {
  readonly #options: PollHttpOptions
  readonly #agent: Agent
  readonly #slots = new Semaphore(1)

  constructor(options: PollHttpOptions) {
    this.#options = options
    this.#agent = new Agent({
      connections: 2,
      // The deadline of each request is its own and covers these; a stream has its silence.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { ...options.tls, timeout: options.timeoutMs },
    })
  }

  /** Whatever the status is, the answer, but of redirects. Throws `http.poll.*`. */
  async ask(asked: PollRequest, signal: AbortSignal): Promise<PollAnswer> {
    const deadline = AbortSignal.timeout(this.#options.timeoutMs)
    const both = AbortSignal.any([signal, deadline])
    try {
      const { response, url } = await this.#follow(asked, both)
      const headers = headersOf(response)
      const packed = await this.#bodyOf(response)
      const body = await this.#unpacked(packed, headers['content-encoding'] ?? '', both)
      return { status: response.statusCode, headers, body, url }
    } catch (thrown) {
      throw this.#failure(thrown, originOf(asked), signal, deadline)
    }
  }

  /** An answer that does not end; aborting the signal ends it. `silenceMs`: without a byte for so long, it fails. */
  async open(asked: PollRequest, silenceMs: number, signal: AbortSignal): Promise<PollStream> {
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), this.#options.timeoutMs)
    const both = AbortSignal.any([signal, deadline.signal])
    try {
      const { response } = await this.#follow(asked, both, silenceMs)
      const close = (): void => void response.body.on('error', ignore).destroy()
      const headers = headersOf(response)
      const coding = headers['content-encoding'] ?? 'identity'
      if (coding !== 'identity' && response.statusCode === 200) {
        close()
        throw this.#error(
          'http.poll.refused',
          `${originOf(asked)} packs a stream (${coding}) though it was asked not to`,
        )
      }
      const body = this.#pieces(response, originOf(asked), signal)
      return { status: response.statusCode, headers, body, close }
    } catch (thrown) {
      throw this.#failure(thrown, originOf(asked), signal, deadline.signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Whether a next page may be there; otherwise `http.poll.foreign_host`. */
  checkHost(from: URL, to: URL): void {
    if (this.#isAllowed(from, to)) return
    throw this.#error('http.poll.foreign_host', `${from.origin} names a next page at ${to.origin}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  #isAllowed(from: URL, to: URL): boolean {
    if (to.origin === from.origin) return true
    // Never from https to http: what was said in secret would be said aloud.
    if (to.protocol !== 'https:' && to.protocol !== from.protocol) return false
    return this.#options.allowHosts.some((host) => host.toLowerCase() === to.host)
  }

  async #follow(
    asked: PollRequest,
    signal: AbortSignal,
    bodyTimeoutMs = 0,
  ): Promise<{ readonly response: Dispatcher.ResponseData; readonly url: URL }> {
    let { url, headers } = asked
    for (let redirects = 0; ; redirects++) {
      const response = await request(url, {
        dispatcher: this.#agent,
        method: asked.method,
        headers,
        body: asked.body,
        signal,
        bodyTimeout: bodyTimeoutMs,
      })
      const target = response.headers['location']
      if (!redirecting.has(response.statusCode) || typeof target !== 'string')
        return { response, url }
      await response.body.dump({ limit: dumpBytesMax })
      const to = URL.canParse(target, url.href) ? new URL(target, url) : null
      if (to === null || redirects === redirectsMax || !this.#isAllowed(asked.url, to)) {
        const where = to === null ? 'no address' : to.origin
        const what =
          redirects === redirectsMax
            ? `redirects more than ${redirectsMax} times, to`
            : 'redirects to'
        throw this.#error('http.poll.redirect', `${url.origin} ${what} ${where}`)
      }
      // RFC 9110 §15.4: only 307 and 308 keep the method for sure.
      if (asked.method !== 'GET' && response.statusCode < 307) {
        throw this.#error(
          'http.poll.redirect',
          `${url.origin} redirects a ${asked.method} by ${response.statusCode}`,
        )
      }
      if (to.origin !== asked.url.origin) headers = { accept: asked.headers['accept'] ?? '*/*' }
      url = to
    }
  }

  async #bodyOf(response: Dispatcher.ResponseData): Promise<Buffer> {
    const pieces = new Pieces()
    for await (const piece of response.body as AsyncIterable<Buffer>) {
      if (pieces.bytes + piece.length > this.#options.bytesMax) throw this.#tooLarge()
      pieces.push(piece)
    }
    return pieces.take()
  }

  async #unpacked(body: Buffer, coding: string, signal: AbortSignal): Promise<Buffer> {
    const name = coding.trim().toLowerCase()
    if (name === '' || name === 'identity' || body.length === 0) return body
    const limits = { bytesMax: this.#options.bytesMax, slots: this.#slots }
    const unpacked = await unpack(body, name, limits, signal)
    if (Buffer.isBuffer(unpacked)) return unpacked
    if (unpacked.kind === 'too_large') throw this.#tooLarge()
    throw this.#error('http.poll.answer', `an answer cannot be unpacked: ${unpacked.detail}`)
  }

  async *#pieces(
    response: Dispatcher.ResponseData,
    origin: string,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    try {
      yield* response.body as AsyncIterable<Buffer>
    } catch (thrown) {
      throw this.#failure(thrown, origin, signal, null)
    } finally {
      response.body.destroy()
    }
  }

  #failure(
    thrown: unknown,
    origin: string,
    signal: AbortSignal,
    deadline: AbortSignal | null,
  ): unknown {
    if (signal.aborted) return signal.reason
    if (thrown instanceof SluiceError) return thrown
    if (deadline?.aborted === true) {
      const message = `${origin} did not answer to the end within ${this.#options.timeoutMs} ms`
      return this.#error('http.poll.unreachable', message, thrown)
    }
    const { code, message } = reasonOf(thrown)
    if (code === 'UND_ERR_BODY_TIMEOUT') {
      return this.#error('http.poll.unreachable', `${origin} sent nothing for too long`, thrown)
    }
    // A header with characters that none may have: asking again would change nothing.
    if (code === 'UND_ERR_INVALID_ARG') {
      return this.#error('http.poll.refused', `the request cannot be sent: ${message}`, thrown)
    }
    const isTls = socketFault(code) === 'tls'
    return this.#error(
      isTls ? 'http.poll.tls' : 'http.poll.unreachable',
      `${origin} ${isTls ? 'could not be verified' : 'could not be asked'}: ${message}`,
      thrown,
    )
  }

  #tooLarge(): SluiceError {
    const message = `an answer has more than ${this.#options.bytesMax} bytes`
    return this.#error('http.poll.too_large', message)
  }

  #error(
    code: `http.poll.${'refused' | 'answer' | 'redirect' | 'foreign_host' | 'too_large' | 'tls' | 'unreachable'}`,
    what: string,
    cause?: unknown,
  ): SluiceError {
    return new SluiceError(code, { message: `${this.#options.name}: ${what}`, cause })
  }
}

/** A body that is let go of says that it was. */
function ignore(): void {}

function originOf({ url }: PollRequest): string {
  return url.origin
}

function headersOf({ headers }: Dispatcher.ResponseData): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined)
      found[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value
  }
  return found
}

/** Code and text of what undici threw; a connection tried at several addresses hides them one level down. */
export function reasonOf(thrown: unknown): { readonly code: string; readonly message: string } {
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  if (!(first instanceof Error)) return { code: '', message: String(first) }
  const code = 'code' in first && typeof first.code === 'string' ? first.code : ''
  return { code, message: first.message.replace(/[.\s]+$/, '') }
}
