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
}

export type RedisKeys = z.output<z.ZodObject<typeof redisKeys>>

/** Connects to nothing yet. Throws `redis.url`. */
export function openRedis({ url, cluster, timeout, sentinel, ca }: RedisKeys): RedisLink {
  return new RedisLink({
    url,
    cluster,
    timeoutMs: timeout,
    ...(sentinel === undefined ? {} : { sentinel }),
    ...(ca === undefined ? {} : { ca }),
  })
}
