/**
 * Many calls of scripts on one RedisLink (redis-window.ts). A script that a server has forgotten (it
 * restarted, SCRIPT FLUSH) is sent along with its call.
 */
import { createHash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisLink } from './redis.ts'
import { inWindow, type RedisWindow } from './redis-window.ts'

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

/** Which call, from 0, and why. */
export interface RefusedCall {
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
): Promise<readonly RefusedCall[]> {
  const options = { keeps: isOwnFailure, signal }
  const failed = await inWindow<Sent>(link, options, async (window) => {
    let index = 0
    for (const call of calls) {
      await window.room()
      issue(link, window, { call, index: index++ }, 'EVALSHA')
    }
  })
  const refused = failed.filter(({ error }) => !isForgotten(error))
  const forgotten = failed.filter(({ error }) => isForgotten(error))
  if (forgotten.length > 0) {
    const again = await inWindow<Sent>(link, options, async (window) => {
      for (const { call } of forgotten) {
        await window.room()
        issue(link, window, call, 'EVAL')
      }
    })
    refused.push(...again)
  }
  return refused.map(({ call: { index }, error }) => ({ index, error }))
}

interface Sent {
  readonly call: RedisCall
  readonly index: number
}

function isOwnFailure(error: Error): boolean {
  return isForgotten(error) || /^-?WRONGTYPE/.test(error.message)
}

function isForgotten({ message }: Error): boolean {
  return message.startsWith('NOSCRIPT')
}

function issue(
  link: RedisLink,
  window: RedisWindow<Sent>,
  sent: Sent,
  verb: 'EVAL' | 'EVALSHA',
): void {
  const { script, keys, args } = sent.call
  const head = [verb, verb === 'EVAL' ? script.text : script.hash, String(keys.length)]
  const encoded = encodeWords(head, keys, args)
  window.add(sent, encoded.length, link.send(new EncodedCall(verb, head, keys, encoded)))
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
