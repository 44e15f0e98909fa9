/**
 * Many calls of scripts on one RedisLink: so many bytes under way at a time, all answered before `run`
 * returns. A script that a server has forgotten (it restarted, SCRIPT FLUSH) is sent along with its call.
 */
import { createHash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisLink } from './redis.ts'
import { redisError } from './redis-errors.ts'

/** Enough for both sides never to wait for the other. */
const windowBytes = 1 << 20

export interface RedisScript {
  readonly text: string
  readonly hash: string
}

export function redisScript(text: string): RedisScript {
  return { text, hash: createHash('sha1').update(text).digest('hex') }
}

export interface RedisCall {
  readonly script: RedisScript
  /** In a cluster all of one slot. */
  readonly keys: readonly string[]
  readonly args: readonly (string | Buffer)[]
}

export interface FailedCall {
  readonly index: number
  readonly error: Error
}

/**
 * Sends the calls in their order and waits for their answers. Gives those that failed by themselves, by
 * WRONGTYPE; throws for everything else, as `redisError` says it, and on abort.
 */
export async function runCalls(
  link: RedisLink,
  calls: Iterable<RedisCall>,
  signal: AbortSignal,
): Promise<readonly FailedCall[]> {
  await link.ready(signal)
  const run = new Run(link, signal)
  try {
    let index = 0
    for (const call of calls) await run.send(call, index++)
    return await run.finish()
  } catch (error) {
    signal.throwIfAborted()
    throw redisError(link.where, error)
  } finally {
    run.end()
  }
}

class Run {
  readonly #link: RedisLink
  readonly #signal: AbortSignal
  readonly #failed: FailedCall[] = []
  readonly #forgotten: { readonly call: RedisCall; readonly index: number }[] = []
  readonly #patience: NodeJS.Timeout
  readonly #stop = (): void => this.#fail(this.#signal.reason as Error)
  #bytes = 0
  #failure: Error | null = null
  #wake = (): void => {}

  constructor(link: RedisLink, signal: AbortSignal) {
    this.#link = link
    this.#signal = signal
    signal.addEventListener('abort', this.#stop, { once: true })
    this.#patience = setTimeout(() => {
      this.#fail(link.timedOut())
      link.drop()
    }, link.timeoutMs)
  }

  async send(call: RedisCall, index: number): Promise<void> {
    this.#issue(call, index, 'EVALSHA')
    while (this.#bytes > windowBytes && this.#failure === null) await this.#woken()
    if (this.#failure !== null) throw this.#failure
  }

  async finish(): Promise<readonly FailedCall[]> {
    await this.#drained()
    const forgotten = this.#forgotten.splice(0)
    for (const { call, index } of forgotten) this.#issue(call, index, 'EVAL')
    await this.#drained()
    return this.#failed
  }

  end(): void {
    clearTimeout(this.#patience)
    this.#signal.removeEventListener('abort', this.#stop)
  }

  async #drained(): Promise<void> {
    while (this.#bytes > 0 && this.#failure === null) await this.#woken()
    if (this.#failure !== null) throw this.#failure
  }

  #issue(call: RedisCall, index: number, verb: 'EVAL' | 'EVALSHA'): void {
    const { script, keys, args } = call
    const head = verb === 'EVAL' ? script.text : script.hash
    const words = [head, String(keys.length), ...keys, ...args]
    const bytes = words.reduce((sum, word) => sum + word.length + 16, 0)
    this.#bytes += bytes
    const answered = (error: Error | null): void => {
      this.#bytes -= bytes
      this.#patience.refresh()
      if (error !== null) this.#judge(error, call, index)
      this.#wake()
    }
    this.#link.send(new Command(verb, words, { replyEncoding: 'utf8' })).then(
      () => answered(null),
      (error: Error) => answered(error),
    )
  }

  #judge(error: Error, call: RedisCall, index: number): void {
    if (error.message.startsWith('NOSCRIPT')) this.#forgotten.push({ call, index })
    else if (/^-?WRONGTYPE/.test(error.message)) this.#failed.push({ index, error })
    else this.#failure ??= error
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#wake()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
