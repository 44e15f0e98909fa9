/**
 * Feast's feature server as the online store: `POST /push` of `feast serve`.
 *
 * The server writes as its own store does; there is no compare-and-set that a client could ask for. So
 * that rows of one entity arrive in their order, requests go out one after the other, and a batch is
 * sent again from its beginning when one failed. What that promises stands in the README.
 */
import { Agent, request } from 'undici'
import type { Context } from '../../../core/connector/context.ts'
import type { Problem } from '../../../core/connector/problem.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { failpoint } from '../../../core/errors/failpoint.ts'
import type { TargetConfig } from '../config.ts'
import type { FeastType } from '../types.ts'
import type { FeatureRows, OnlineTarget, TargetProblem } from '../target.ts'
import type { FeatureView } from '../view.ts'
import { answerError, noAnswerError } from './outcome.ts'
import { pushRequests } from './requests.ts'

export type PushTargetConfig = Extract<TargetConfig, { readonly type: 'push' }>

/** The server converts and writes every row before it answers. */
const timeoutMs = 60_000
const answerBytesMax = 64 * 1024

export function openPushTarget(config: PushTargetConfig, ctx: Context): PushTarget {
  return new PushTarget(config, ctx)
}

export class PushTarget implements OnlineTarget {
  readonly #config: PushTargetConfig
  readonly #origin: URL
  readonly #ctx: Context
  readonly #agent = new Agent({ connections: 1, pipelining: 1, headersTimeout: timeoutMs })
  #hasSaidQueued = false

  /** Throws `sink.feast.push_url`. */
  constructor(config: PushTargetConfig, ctx: Context) {
    this.#config = config
    this.#origin = originOf(config.url.reveal())
    this.#ctx = ctx
  }

  async check(signal: AbortSignal): Promise<readonly Problem[]> {
    try {
      await this.#ask('GET', 'health', null, signal)
      return []
    } catch (thrown) {
      signal.throwIfAborted()
      if (!(thrown instanceof SluiceError)) throw thrown
      const { code, message, remedy } = thrown
      return [{ code, severity: 'error', message, remedy }]
    }
  }

  /** Throws `sink.feast.push_view` for what cannot be pushed. */
  async evolve(view: FeatureView): Promise<void> {
    if (view.onDelete === 'remove' && view.schema.changelog !== 'append') {
      throw unfit(view, 'its topic has deletions, and a push cannot remove', {
        remedy: `Set views.${view.name}.on_delete to null or keep.`,
      })
    }
    const bytes = [...view.entities, ...view.features].find(({ type }) => isBytes(type))
    if (bytes === undefined) return
    throw unfit(view, `${bytes.name} is bytes, which JSON cannot carry`, {
      remedy: `Select encode(${bytes.name}, 'base64') in a transform.`,
    })
  }

  async write(rows: FeatureRows, signal: AbortSignal): Promise<readonly TargetProblem[]> {
    signal.throwIfAborted()
    const { to, source } = this.#config
    const { requests, refused } = pushRequests(rows, {
      source: source.replaceAll('{view}', rows.view.stored),
      to,
      created: new Date(this.#ctx.clock.nowMs()).toISOString(),
    })
    for (const { body } of requests) {
      failpoint('feast.push.before_request')
      const status = await this.#push(rows.view, body, signal)
      if (status === 202) this.#sayQueued()
    }
    return refused
  }

  async truncate(view: FeatureView): Promise<void> {
    throw unfit(view, 'its topic was truncated, and a push cannot remove', {
      remedy:
        'Empty the view in the store (`feast teardown`, `feast apply`), then write on_schema_change: { truncate: ignore }.',
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #push(view: FeatureView, body: string, signal: AbortSignal): Promise<number> {
    try {
      return await this.#ask('POST', 'push', body, signal)
    } catch (thrown) {
      const list = view.features.find(({ type }) => type.kind === 'list')
      if (this.#config.to === 'online' || list === undefined) throw thrown
      if (!(thrown instanceof SluiceError) || thrown.code !== 'sink.feast.push_failed') throw thrown
      // Of files it does not find the type of `list<element: string>` (0.67, pa_to_feast_value_type).
      const remedy = `${thrown.remedy} Where its offline store is files, it takes no list, and ${JSON.stringify(list.name)} is one: set \`to: online\`, and \`offline\` of the sink for a log with lists.`
      const { message, retryAfterMs } = thrown
      const when = retryAfterMs === null ? {} : { retryAfterMs }
      throw new SluiceError(thrown.code, { message, remedy, cause: thrown, ...when })
    }
  }

  /** The status of an answer that is a success. */
  async #ask(
    method: 'GET' | 'POST',
    path: string,
    body: string | null,
    signal: AbortSignal,
  ): Promise<number> {
    const url = new URL(path, this.#origin)
    const what = `${method} ${url.origin}${url.pathname}`
    try {
      const answer = await request(url, {
        dispatcher: this.#agent,
        method,
        body,
        signal,
        headers: { 'content-type': 'application/json', ...this.#headers() },
      })
      const { statusCode } = answer
      if (statusCode === 200 || statusCode === 202) {
        await answer.body.dump({ limit: answerBytesMax })
        return statusCode
      }
      throw answerError(what, statusCode, await textOf(answer.body), answer.headers)
    } catch (thrown) {
      signal.throwIfAborted()
      throw noAnswerError(what, thrown)
    }
  }

  #headers(): Record<string, string> {
    const entries = Object.entries(this.#config.headers)
    return Object.fromEntries(entries.map(([name, secret]) => [name, secret.reveal()]))
  }

  #sayQueued(): void {
    if (this.#hasSaidQueued) return
    this.#hasSaidQueued = true
    this.#ctx.logger.warn(
      'feast serve keeps rows for its offline store in memory and has not written them when it answers',
      { setting: 'feature_server.offline_push_batching_enabled' },
    )
  }
}

function isBytes(type: FeastType | string): boolean {
  if (typeof type === 'string') return type === 'bytes'
  return type.kind === 'list' ? isBytes(type.element) : type.name === 'bytes'
}

function unfit(view: FeatureView, what: string, more: { readonly remedy: string }): SluiceError {
  return new SluiceError('sink.feast.push_view', {
    message: `View ${view.name}: ${what}.`,
    ...more,
  })
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    parts.push(part)
    bytes += part.length
    if (bytes >= answerBytesMax) break
  }
  return Buffer.concat(parts).toString('utf8')
}

function originOf(text: string): URL {
  try {
    const url = new URL(text.endsWith('/') ? text : `${text}/`)
    if (url.protocol === 'http:' || url.protocol === 'https:') return url
  } catch {
    // The parser's own error repeats its input, which may hold a password.
  }
  throw new SluiceError('sink.feast.push_url', {
    message: 'The address of the feature server is no http:// or https:// URL.',
  })
}
