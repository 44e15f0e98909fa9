/**
 * PollClient: asks what a topic's configuration says, page by page, as who we are and as often as we may;
 * and says what the answer's status means.
 */
import { hash } from 'node:crypto'
import type { Context } from '../../core/connector/context.ts'
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { PollTopicConfig } from './poll-config.ts'
import { PollHttp, type PollAnswer, type PollRequest, type PollStream } from './poll-http.ts'
import { limitWaitMs, Pace, retryAfterMs } from './poll-pace.ts'
import type { PageState } from './poll-state.ts'
import { sleepUntil } from './poll-schedule.ts'
import { bodyType, fillBody, fillText, fillUrl, type TemplateValues } from './poll-template.ts'
import { PollToken } from './poll-token.ts'

/** What one page asks for beside what the configuration says. */
export interface PageRequest {
  readonly page: PageState
  readonly values: TemplateValues
  readonly parameters: Readonly<Record<string, string | null>>
  readonly headers: Readonly<Record<string, string>>
}

/** Come again, with nothing changed. RFC 9110 §15, RFC 8470 §5.2 (425), RFC 6585 §4 (429). */
const againStatuses: ReadonlySet<number> = new Set([408, 425, 429])

export class PollClient implements AsyncDisposable {
  readonly #name: string
  readonly #config: PollTopicConfig
  readonly #ctx: Pick<Context, 'clock' | 'metrics'>
  readonly #http: PollHttp
  readonly #token: PollToken | null
  readonly #pace: Pace

  constructor(topic: string, config: PollTopicConfig, ctx: Pick<Context, 'clock' | 'metrics'>) {
    const { auth, ca, cert, cert_key: key } = config
    this.#name = topic
    this.#config = config
    this.#ctx = ctx
    this.#http = new PollHttp({
      name: `poll.${topic}`,
      timeoutMs: config.timeout,
      bytesMax: config.max_response,
      allowHosts: config.allow_hosts,
      tls: {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key: key.reveal() }),
      },
    })
    this.#token =
      auth?.scheme === 'oauth2'
        ? new PollToken(
            auth,
            (asked, signal) => this.#http.ask(asked, signal),
            () => ctx.clock.nowMs(),
          )
        : null
    this.#pace = new Pace(config.rate ?? null)
  }

  /** An answer of status 2xx or 304. Throws `http.poll.*`, once. */
  async ask(page: PageRequest, signal: AbortSignal): Promise<PollAnswer> {
    return this.#as(page, { 'accept-encoding': 'gzip, deflate, br, zstd' }, signal, (asked) =>
      this.#http.ask(asked, signal),
    )
  }

  /** A stream of status 200 or 204. */
  async open(page: PageRequest, signal: AbortSignal): Promise<PollStream> {
    return this.#as(page, { 'accept-encoding': 'identity' }, signal, (asked) =>
      this.#http.open(asked, this.#config.silence, signal),
    )
  }

  /** Hash of what a page asks for: what an answer says of itself is said to the same question only. */
  question(page: PageRequest): string {
    const { address, own, body } = this.#asked(page)
    const text = JSON.stringify([address.href, own, body])
    return hash('sha256', text, 'base64url').slice(0, 16)
  }

  /** The address of a page that an answer named: where it may be asked for, without the key that is ours. */
  admitted(url: string): string {
    const { auth } = this.#config
    const to = new URL(url)
    // Who we are is said by `auth` alone.
    to.username = ''
    to.password = ''
    this.#http.checkHost(new URL(fillUrl(this.#config.url.reveal(), {}, {}).origin), to)
    if (auth?.scheme === 'api_key' && auth.query !== undefined && to.searchParams.has(auth.query)) {
      to.searchParams.delete(auth.query)
    }
    return to.href
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]()
  }

  async #as<A extends PollAnswer | PollStream>(
    page: PageRequest,
    more: Readonly<Record<string, string>>,
    signal: AbortSignal,
    send: (asked: PollRequest) => Promise<A>,
  ): Promise<A> {
    const { clock } = this.#ctx
    for (let isFirst = true; ; isFirst = false) {
      const token = (await this.#token?.token(signal)) ?? null
      await sleepUntil(clock, clock.nowMs() + this.#pace.takeMs(clock.nowMs()), signal)
      const answer = await send(this.#request(page, more, token))
      const { status, headers } = answer
      this.#ctx.metrics.count('http_poll_requests_total', 1, {
        topic: this.#name,
        status: String(status),
      })
      this.#pace.note(headers, clock.nowMs())
      if ((status >= 200 && status < 300) || status === 304) return answer
      if ('close' in answer) answer.close()
      // A token may have been taken back before its time: another one is asked for, once.
      if (status === 401 && token !== null && isFirst) {
        this.#token?.refused()
        continue
      }
      throw this.#refusal(status, headers)
    }
  }

  /** What a page asks for, with all values in their places; but for who asks. */
  #asked({ page, values, parameters }: PageRequest): {
    readonly address: URL
    readonly own: Readonly<Record<string, string>>
    readonly body: string | null
  } {
    const { url, headers, body } = this.#config
    const own = Object.entries(headers).map(([name, value]) => [
      name.toLowerCase(),
      fillText(value.reveal(), values),
    ])
    return {
      address:
        page.url === undefined ? fillUrl(url.reveal(), values, parameters) : new URL(page.url),
      own: Object.fromEntries(own) as Record<string, string>,
      body: body === undefined ? null : fillBody(body, values),
    }
  }

  #request(
    page: PageRequest,
    more: Readonly<Record<string, string>>,
    token: string | null,
  ): PollRequest {
    const { method, body, auth, format, stream } = this.#config
    const { address, own, body: filled } = this.#asked(page)
    const all: Record<string, string> = {
      accept: accepted(stream === 'sse' ? 'sse' : format),
      'user-agent': 'sluice',
      ...more,
      ...(body !== undefined && { 'content-type': bodyType(body) }),
      ...page.headers,
      ...own,
    }
    switch (auth?.scheme) {
      case 'basic': {
        const pair = Buffer.from(`${auth.username}:${auth.password.reveal()}`)
        all['authorization'] = `Basic ${pair.toString('base64')}`
        break
      }
      case 'bearer':
        all['authorization'] = `Bearer ${auth.token.reveal()}`
        break
      case 'oauth2':
        all['authorization'] = `Bearer ${token ?? ''}`
        break
      case 'api_key':
        if (auth.header !== undefined) all[auth.header] = auth.key.reveal()
        if (auth.query !== undefined) address.searchParams.append(auth.query, auth.key.reveal())
        break
      case undefined:
    }
    return { url: address, method, headers: all, body: filled }
  }

  /** What a status means that is no answer. */
  #refusal(status: number, headers: Readonly<Record<string, string>>): SluiceError {
    const nowMs = this.#ctx.clock.nowMs()
    const limitedMs = limitWaitMs(headers, nowMs)
    const afterMs = retryAfterMs(headers['retry-after'] ?? null, nowMs) ?? limitedMs
    // GitHub says 403 where others say 429.
    const isLimit = status === 403 && (limitedMs !== null || headers['retry-after'] !== undefined)
    const { origin } = new URL(fillUrl(this.#config.url.reveal(), {}, {}))
    const message = `poll.${this.#name}: ${origin} answered ${status}`
    if (isLimit || againStatuses.has(status) || status >= 500) {
      return new SluiceError('http.poll.unavailable', {
        message,
        ...(afterMs !== null && { retryAfterMs: afterMs }),
      })
    }
    const code: Code = status === 401 || status === 403 ? 'http.poll.auth' : 'http.poll.refused'
    return new StatusError(code, message, status)
  }
}

/** A refusal for good, with its status: a page that a run goes on from may be gone. */
export class StatusError extends SluiceError {
  readonly status: number
  constructor(code: Code, message: string, status: number) {
    const remedy = remedies[status]
    super(code, { message, ...(remedy !== undefined && { remedy }) })
    this.status = status
  }
}

const remedies: Readonly<Record<number, string>> = {
  401: 'Set or correct `auth`: the server wants to know who asks.',
  403: 'Give the user or token of `auth` the right to read what `url` names.',
  404: 'Correct the path of `url`: the server has nothing there.',
  405: 'Set `method` to one that the server takes there.',
  406: 'Set the header `accept` under `headers` to what the server can write.',
  415: 'Set the header `content-type` under `headers` to what the server reads.',
}

function accepted(format: 'sse' | 'json' | 'ndjson' | 'csv'): string {
  switch (format) {
    case 'sse':
      return 'text/event-stream'
    case 'json':
      return 'application/json, */*;q=0.5'
    case 'ndjson':
      return 'application/x-ndjson, application/json;q=0.8, */*;q=0.5'
    case 'csv':
      return 'text/csv, */*;q=0.5'
  }
}
