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
    const head = [verb, verb === 'EVAL' ? script.text : script.hash, String(keys.length)]
    const encoded = encodeWords(head, keys, args)
    const bytes = encoded.length
    this.#bytes += bytes
    const answered = (error: Error | null): void => {
      this.#bytes -= bytes
      this.#patience.refresh()
      if (error !== null) this.#judge(error, call, index)
      this.#wake()
    }
    this.#link.send(new EncodedCall(verb, head, keys, encoded)).then(
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

/**
 * Encoded once, and not argument by argument: that costs the client more than all the rest of a call. In a
 * cluster the client still finds the slot by the keys.
 */
class EncodedCall extends Command {
  readonly #encoded: Buffer

  constructor(
    verb: string,
    [, script, count]: readonly string[],
    keys: readonly string[],
    encoded: Buffer,
  ) {
    super(verb, [script!, count!, ...keys], { replyEncoding: 'utf8' })
    this.#encoded = encoded
  }

  override toWritable(): Buffer {
    return this.#encoded
  }
}

/** Room for `$length\r\n` and `\r\n`. */
const wordOverhead = 16
const bytesAUnit = 3

/** A request (RESP2): `*count`, then each word as `$length`, all lines ended by CR LF. */
function encodeWords(...lists: readonly (readonly (string | Buffer)[])[]): Buffer {
  let count = 0
  let room = wordOverhead
  for (const list of lists) {
    count += list.length
    for (const word of list) {
      room += wordOverhead + (typeof word === 'string' ? word.length * bytesAUnit : word.length)
    }
  }
  const out = Buffer.allocUnsafe(room)
  let at = out.write(`*${count}\r\n`, 0, 'latin1')
  for (const list of lists) {
    for (const word of list) {
      if (typeof word === 'string') {
        const length = Buffer.byteLength(word)
        at += out.write(`$${length}\r\n`, at, 'latin1')
        at += out.write(word, at)
      } else {
        at += out.write(`$${word.length}\r\n`, at, 'latin1')
        out.set(word, at)
        at += word.length
      }
      out[at++] = 0x0d
      out[at++] = 0x0a
    }
  }
  return out.subarray(0, at)
}
