/**
 * Tokens for SASL OAUTHBEARER: one that stands in the pipeline file, or OAuth's client credentials (RFC 6749, 4.4),
 * kept until a fifth of its life is left. Everyone who asks while one is fetched gets that one.
 */
import { Agent, request } from 'undici'
import { SluiceError } from '../../core/errors/error.ts'
import type { TokenConfig } from './security-config.ts'

const answerBytesMax = 1 << 20
/** Where the endpoint does not say (RFC 6749, 5.1, recommends that it does). */
const lifeDefaultMs = 300_000
const renewAt = 0.8

interface Kept {
  readonly token: string
  readonly renewMs: number
}

export class TokenSource implements AsyncDisposable {
  readonly #config: TokenConfig
  readonly #nowMs: () => number
  readonly #agent: Agent | null
  readonly #stop = new AbortController()
  #kept: Kept | null = null
  #fetching: Promise<Kept> | null = null

  constructor(config: TokenConfig, nowMs: () => number) {
    this.#config = config
    this.#nowMs = nowMs
    const { token_url: url, ca } = config
    this.#agent = url === undefined ? null : new Agent({ connect: ca === undefined ? {} : { ca } })
  }

  /** Throws `source.kafka.token` where it is refused, `source.kafka.token_unreachable` where nobody answers. */
  async token(): Promise<string> {
    if (this.#config.token !== undefined) return this.#config.token.reveal()
    if (this.#kept !== null && this.#nowMs() < this.#kept.renewMs) return this.#kept.token
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = null
    })
    this.#kept = await this.#fetching
    return this.#kept.token
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#agent?.destroy()
  }

  async #fetch(): Promise<Kept> {
    const { client_id: id = '', client_secret: secret, scope, timeout } = this.#config
    const url = this.#config.token_url!
    const form = new URLSearchParams({ grant_type: 'client_credentials' })
    if (scope !== undefined) form.set('scope', scope)
    // Each is form-encoded before Basic joins them (RFC 6749, 2.3.1).
    const words = [id, secret?.reveal() ?? ''].map((word) => encodeURIComponent(word))
    const authorization = `Basic ${Buffer.from(words.join(':')).toString('base64')}`
    const startMs = this.#nowMs()
    try {
      const { statusCode, body } = await request(url, {
        method: 'POST',
        headers: {
          authorization,
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
        },
        body: form.toString(),
        dispatcher: this.#agent!,
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeout)]),
      })
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > answerBytesMax) throw refused(url, 'answers with more than 1 MiB')
        chunks.push(chunk)
      }
      return readToken(url, statusCode, Buffer.concat(chunks).toString(), startMs)
    } catch (thrown) {
      if (thrown instanceof SluiceError) throw thrown
      throw new SluiceError('source.kafka.token_unreachable', {
        message: `The token endpoint ${url} did not answer: ${reasonOf(thrown)}.`,
        cause: thrown,
      })
    }
  }
}

function readToken(url: string, status: number, text: string, startMs: number): Kept {
  const answer = parsed(text)
  if (status >= 500 || status === 429) {
    throw new SluiceError('source.kafka.token_unreachable', {
      message: `The token endpoint ${url} answered ${status}.`,
    })
  }
  if (status !== 200) {
    // RFC 6749, 5.2: `error` is one word, such as invalid_client.
    const word = typeof answer['error'] === 'string' ? `: ${answer['error'].slice(0, 80)}` : ''
    throw refused(url, `answered ${status}${word}`)
  }
  const token = answer['access_token']
  if (typeof token !== 'string' || token === '') throw refused(url, 'answered without access_token')
  const seconds = Number(answer['expires_in'])
  const lifeMs = seconds > 0 ? seconds * 1000 : lifeDefaultMs
  return { token, renewMs: startMs + lifeMs * renewAt }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function refused(url: string, what: string): SluiceError {
  return new SluiceError('source.kafka.token', { message: `The token endpoint ${url} ${what}.` })
}

function reasonOf(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  return inner instanceof Error ? inner.message : String(inner)
}
