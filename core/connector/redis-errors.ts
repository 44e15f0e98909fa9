/**
 * What goes wrong with a Redis, as a SluiceError. A reply's first word tells (redis 7.0, server.c,
 * createSharedObjects, and cluster.c); errors of the socket are told by their codes.
 */
import type { Code } from '../errors/codes.ts'
import { SluiceError } from '../errors/error.ts'
import { socketFault } from './socket-error.ts'

const byWord: Readonly<Record<string, Code>> = {
  NOAUTH: 'redis.auth',
  WRONGPASS: 'redis.auth',
  NOPERM: 'redis.denied',
  LOADING: 'redis.loading',
  BUSY: 'redis.loading',
  READONLY: 'redis.read_only',
  UNBLOCKED: 'redis.read_only',
  MASTERDOWN: 'redis.read_only',
  OOM: 'redis.memory',
  MISCONF: 'redis.disk',
  NOREPLICAS: 'redis.disk',
  CLUSTERDOWN: 'redis.cluster_down',
  TRYAGAIN: 'redis.cluster_down',
  ASK: 'redis.cluster_down',
  MOVED: 'redis.cluster',
  WRONGTYPE: 'redis.wrong_type',
}

/** Told apart only by their text. */
const byText: readonly (readonly [RegExp, Code])[] = [
  [/cluster support disabled/i, 'redis.cluster'],
  [/invalid password|without any password configured|AUTH failed/i, 'redis.auth'],
  [/DB index is out of range|SELECT is not allowed/i, 'redis.database'],
  [/Failed to refresh slots cache|None of startup nodes/i, 'redis.unreachable'],
]

/** The pause before the next attempt, where trying at once would only add to the load. */
const retryAfterMs: Partial<Record<Code, number>> = { 'redis.memory': 1000, 'redis.loading': 250 }

/** `where`: hosts, without a secret. Returns what is a SluiceError already as it is. */
export function redisError(where: string, thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const root = rootOf(thrown)
  const code = codeOf(root)
  const pauseMs = retryAfterMs[code]
  return new SluiceError(code, {
    message: `Redis at ${where}: ${shown(root)}`,
    cause: thrown,
    ...(pauseMs === undefined ? {} : { retryAfterMs: pauseMs }),
  })
}

function codeOf(error: Error): Code {
  const { message } = error
  if ('code' in error && typeof error.code === 'string') {
    return socketFault(error.code) === 'tls' ? 'redis.certificate' : 'redis.unreachable'
  }
  const word = wordOf(message)
  // An error inside a script stands before the script's name: `WRONGTYPE … script: 6d8f…`.
  const known = word === null ? undefined : byWord[word]
  if (known !== undefined) return known
  for (const [pattern, code] of byText) if (pattern.test(message)) return code
  return word === null ? 'redis.unreachable' : 'redis.server'
}

/** The word of an error reply: capitals, then a space. */
function wordOf(message: string): string | null {
  return /^-?([A-Z]{2,})(?: |$)/.exec(message)?.[1] ?? null
}

/** The client wraps what one node said into an error of its own. */
function rootOf(thrown: unknown): Error {
  let error = thrown instanceof Error ? thrown : new Error(String(thrown))
  for (let depth = 0; depth < 5; depth++) {
    const inner: unknown = 'lastNodeError' in error ? error.lastNodeError : error.cause
    if (!(inner instanceof Error)) break
    error = inner
  }
  return error
}

/** Without a script's source line and arguments: those could hold values of rows. */
function shown({ message }: Error): string {
  const [first = ''] = message.split('\n')
  const end = first.search(/ script: |, on @user_script|, @user_script/)
  return (end < 0 ? first : first.slice(0, end)).slice(0, 200)
}
