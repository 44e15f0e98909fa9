/**
 * Where a Redis is, as a pipeline file says it: the same keys in every sink and target that has one. The docs
 * and the JSON Schema are generated from the descriptions here.
 */
import { z } from 'zod'
import { durationText } from './duration.ts'
import { RedisLink } from './redis.ts'
import { secretText } from './secret.ts'

/** Keys of a strict object, beside those of the sink or target itself. */
export const redisKeys = {
  url: secretText(
    'Address: `redis://user:password@host:6379/0`, `rediss://…` over TLS. Several hosts of a cluster or of sentinels are parted by commas.',
  ),
  cluster: z.boolean().default(false).meta({ description: 'Whether it is a Redis cluster.' }),
  sentinel: z.string().min(1).optional().meta({
    description: 'Name of the master set, where the hosts of `url` are sentinels.',
  }),
  ca: z.string().min(1).optional().meta({
    description: 'PEM certificates to trust instead of the public authorities: `${file.ca.pem}`.',
  }),
  timeout: durationText('Longest wait for an answer, connecting included.', {
    minMs: 100,
    maxMs: 300_000,
  }).prefault('10s'),
  wait_replicas: z.int().min(1).max(100).optional().meta({
    description:
      'How many replicas must have a batch before it is delivered; in a cluster, of every master. Without it the newest rows are lost with a master that is replaced before it has sent them on.',
  }),
  wait_timeout: durationText(
    'Longest wait for those replicas, shorter than `timeout`; then the batch is sent again.',
    { minMs: 10, maxMs: 60_000 },
  ).prefault('1s'),
}

export type RedisKeys = z.output<z.ZodObject<typeof redisKeys>>

/** What the keys have to be beside each other. */
export function judgeRedisKeys(
  { timeout, wait_replicas: replicas, wait_timeout: wait }: RedisKeys,
  ctx: z.core.$RefinementCtx,
): void {
  if (replicas === undefined || wait < timeout) return
  const message = 'expected less than `timeout`: nothing else is answered meanwhile'
  ctx.addIssue({ code: 'custom', path: ['wait_timeout'], message })
}

/** Connects to nothing yet. Throws `redis.url`. */
export function openRedis(keys: RedisKeys): RedisLink {
  const { url, cluster, timeout, sentinel, ca, wait_replicas: count, wait_timeout: wait } = keys
  return new RedisLink({
    url,
    cluster,
    timeoutMs: timeout,
    ...(sentinel === undefined ? {} : { sentinel }),
    ...(ca === undefined ? {} : { ca }),
    ...(count === undefined ? {} : { replicas: { count, timeoutMs: wait } }),
  })
}
