/** The connection to a Redis online store, as the pipeline file names it. */
import { RedisLink } from '../../../core/connector/redis.ts'
import type { RedisTargetConfig } from '../config.ts'

/** Connects to nothing yet. Throws `redis.url`. */
export function openLink({ url, cluster, timeout, sentinel, ca }: RedisTargetConfig): RedisLink {
  return new RedisLink({
    url,
    cluster,
    timeoutMs: timeout,
    ...(sentinel === undefined ? {} : { sentinel }),
    ...(ca === undefined ? {} : { ca }),
  })
}
