/**
 * Tokens by OAuth's client credentials (RFC 6749 §4.4): kept until a fifth of their life is left, or until
 * they are refused. Of one topic, whose requests go one by one.
 */
import { tokenAnswer, tokenRequest } from '../../core/connector/oauth.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { PollAuthConfig } from './poll-auth-config.ts'
import type { PollAnswer, PollRequest } from './poll-http.ts'
import { retryAfterMs } from './poll-pace.ts'

export type TokenConfig = Extract<PollAuthConfig, { scheme: 'oauth2' }>

interface Kept {
  readonly token: string
  readonly renewMs: number
}

export class PollToken {
  readonly #config: TokenConfig
  readonly #ask: (request: PollRequest, signal: AbortSignal) => Promise<PollAnswer>
  readonly #nowMs: () => number
  #kept: Kept | null = null

  constructor(
    config: TokenConfig,
    ask: (request: PollRequest, signal: AbortSignal) => Promise<PollAnswer>,
    nowMs: () => number,
  ) {
    this.#config = config
    this.#ask = ask
    this.#nowMs = nowMs
  }

  /** Throws `http.poll.token` where it is refused, `http.poll.token_unreachable` where nobody answers. */
  async token(signal: AbortSignal): Promise<string> {
    if (this.#kept === null || this.#nowMs() >= this.#kept.renewMs) {
      this.#kept = await this.#fetch(signal)
    }
    return this.#kept.token
  }

  /** The token was refused: the next request gets another. */
  refused(): void {
    this.#kept = null
  }

  async #fetch(signal: AbortSignal): Promise<Kept> {
    const startMs = this.#nowMs()
    const answer = await this.#answer(signal)
    const origin = new URL(this.#config.token_url).origin
    const { status, headers, body } = answer
    const said = tokenAnswer(status, body.toString(), startMs)
    if (said.kind === 'token') return said
    const message = `the token server ${origin} ${said.why}`
    if (said.kind === 'refused') throw new SluiceError('http.poll.token', { message })
    const after = retryAfterMs(headers['retry-after'] ?? null, startMs)
    throw new SluiceError('http.poll.token_unreachable', {
      message,
      ...(after !== null && { retryAfterMs: after }),
    })
  }

  async #answer(signal: AbortSignal): Promise<PollAnswer> {
    const { token_url, client_id, client_secret, scope, audience, client_in } = this.#config
    const { headers, body } = tokenRequest({
      id: client_id,
      secret: client_secret,
      scope,
      audience,
      place: client_in,
    })
    try {
      const url = new URL(token_url)
      return await this.#ask({ url, method: 'POST', headers, body }, signal)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || thrown.fault !== 'transient') throw thrown
      throw new SluiceError('http.poll.token_unreachable', {
        message: thrown.message,
        cause: thrown,
      })
    }
  }
}
