/**
 * One POST: a signed body in, the status of the answer out. Connections are kept alive and counted;
 * redirects are not followed; a certificate that does not verify ends the connection.
 *
 * The answer's status decides as soon as it is read. Its body says nothing to us, but of a request with
 * several events: it is read and thrown away so that the connection can be used again, up to a bound of bytes and until the
 * deadline, after which the connection is closed instead.
 */
import type { LookupFunction } from 'node:net'
import { Agent, Pool, buildConnector, type Dispatcher } from 'undici'
import { guardedConnector } from './address.ts'
import type { Route } from './address-template.ts'
import { ExchangeWatch, type Watched, type WatchGroup } from './exchange-watch.ts'
import type { Answer, TransportFailure } from './outcome.ts'
import type { Target } from './target.ts'

/** Bytes of an answer's body that are read for the sake of keeping the connection. */
const answerBytesMax = 64 * 1024

export interface HttpOptions {
  readonly connectionsMax: number
  /** From the start of a request, connecting included, to the end of its answer. */
  readonly timeoutMs: number
  readonly allowPrivate: boolean
  /** Whether what an answer says is wanted, and not only its status. */
  readonly keepAnswers: boolean
  /** The resolver of names; `dns.lookup` when absent. */
  readonly resolve?: LookupFunction | undefined
}

type Posted = Answer | TransportFailure

export class HttpSender implements AsyncDisposable {
  readonly #pool: Pool | Agent
  readonly #keepAnswers: boolean
  readonly #watch: ExchangeWatch

  constructor(target: Target, options: HttpOptions) {
    const connectOptions = { ...target.tls, timeout: options.timeoutMs }
    this.#keepAnswers = options.keepAnswers
    this.#watch = new ExchangeWatch(options.timeoutMs)
    const poolOptions = {
      connections: options.connectionsMax,
      pipelining: 1,
      // The deadline of each request is the exchange's own and covers all of these.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: options.allowPrivate
        ? buildConnector({ ...connectOptions, ...(options.resolve && { lookup: options.resolve }) })
        : guardedConnector(connectOptions, options.resolve),
    }
    const { fixed } = target
    this.#pool = fixed === null ? new Agent(poolOptions) : new Pool(fixed.origin, poolOptions)
  }

  /** An answer, or why none came. Rejects with the signal's reason when it was aborted. */
  post(route: Route, headers: string[], body: Buffer, signal: AbortSignal): Promise<Posted> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const exchange = new Exchange(this.#watch.of(signal), this.#keepAnswers, resolve, reject)
      const { origin, path } = route
      this.#pool.dispatch({ origin, method: 'POST', path, headers, body }, exchange)
    })
  }

  /** Closes every connection, in use or not. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy()
    this.#watch[Symbol.dispose]()
  }
}

/** Follows one request. Settles once; whatever comes later only ends the connection. */
class Exchange implements Dispatcher.DispatchHandler, Watched {
  readonly startMs = performance.now()
  readonly #group: WatchGroup
  readonly #resolve: (posted: Posted) => void
  readonly #reject: (reason: Error) => void
  #controller: Dispatcher.DispatchController | null = null
  #answer: Answer | null = null
  #answerBytes = 0
  /** What the answer says, where that is wanted. */
  #chunks: Buffer[] | null
  #ended = false

  constructor(
    group: WatchGroup,
    keepAnswer: boolean,
    resolve: (posted: Posted) => void,
    reject: (reason: Error) => void,
  ) {
    this.#group = group
    this.#chunks = keepAnswer ? [] : null
    this.#resolve = resolve
    this.#reject = reject
    group.add(this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while the connection was being made: nothing is sent.
    if (this.#ended) return controller.abort(new Error('given up before it was sent'))
    this.#controller = controller
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // 100 Continue and 103 Early Hints come before the answer.
    if (status < 200) return
    const retryAfter = headers['retry-after']
    this.#answer = { status, retryAfter: typeof retryAfter === 'string' ? retryAfter : null }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#answerBytes += chunk.length
    if (this.#answerBytes <= answerBytesMax) {
      this.#chunks?.push(chunk)
      return
    }
    this.#chunks = null
    this.#settle(null)
    controller.abort(new Error('the body of the answer is too long to read'))
  }

  onResponseEnd(): void {
    this.#settle(null)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#settle(error)
  }

  giveUp(reason: Error): void {
    this.#settle(reason)
    this.#controller?.abort(reason)
  }

  #settle(error: Error | null): void {
    if (this.#ended) return
    this.#ended = true
    this.#group.delete(this)
    const { signal } = this.#group
    // Once there is a status, it counts, whatever became of the rest of the answer.
    if (this.#answer !== null) {
      const text = this.#chunks === null ? '' : Buffer.concat(this.#chunks).toString()
      this.#resolve(text === '' ? this.#answer : { ...this.#answer, text })
    } else if (signal.aborted) this.#reject(signal.reason as Error)
    else this.#resolve({ error, before: this.#controller === null })
  }
}
