/**
 * Where fields do not expire, keys do (script.ts): also those whose view has no TTL any more, with all that is written
 * into them since. Whether a view ever had one stands in the Redis itself, one key a view:
 *
 *   `_sluice:{project}:{view}:ttl` = 1
 */
import type { RedisLink } from '../../../core/connector/redis.ts'
import type { FeatureView } from '../view.ts'

/** Whether the view has a TTL, or had one; notes that it has. */
export async function hadTtl(
  link: RedisLink,
  { project, stored, ttlMs }: FeatureView,
  signal: AbortSignal,
): Promise<boolean> {
  const key = `_sluice:${project}:${stored}:ttl`
  if (ttlMs === null) return (await link.settled(link.client.exists(key), signal)) === 1
  await link.settled(link.client.set(key, 1), signal)
  return true
}
