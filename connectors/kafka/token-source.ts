/**
 * Tokens for SASL OAUTHBEARER: one that stands in the pipeline file, or OAuth's client credentials (RFC 6749, 4.4),
 * kept until a fifth of its life is left. Everyone who asks while one is fetched gets that one.
 */
import { Agent, request } from 'undici'
import { tokenAnswer, tokenRequest } from '../../core/connector/oauth.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { TokenConfig } from './security-config.ts'

const answerBytesMax = 1 << 20

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
    const { token_url, client_id, client_secret, scope, timeout } = this.#config
    // The pipeline file has all three, or the token itself.
    const url = token_url!
    const credentials = { id: client_id!, secret: client_secret!, scope, place: 'header' } as const
    const startMs = this.#nowMs()
    try {
      const { statusCode, body } = await request(url, {
        method: 'POST',
        ...tokenRequest(credentials),
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
  const said = tokenAnswer(status, text, startMs)
  if (said.kind === 'token') return said
  if (said.kind === 'refused') throw refused(url, said.why)
  throw new SluiceError('source.kafka.token_unreachable', {
    message: `The token endpoint ${url} ${said.why}.`,
  })
}

function refused(url: string, what: string): SluiceError {
  return new SluiceError('source.kafka.token', { message: `The token endpoint ${url} ${what}.` })
}

function reasonOf(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  return inner instanceof Error ? inner.message : String(inner)
}
