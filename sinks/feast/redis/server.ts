/** What single fields of a hash can do on a server: expire, and by which command. */
import type { RedisLink } from '../../../core/connector/redis.ts'
import type { FieldExpiry } from './script.ts'

/** What all masters can do: the least of them in a cluster that is being upgraded. */
export async function fieldExpiryOf(link: RedisLink, signal: AbortSignal): Promise<FieldExpiry> {
  let least: FieldExpiry = 'hsetex'
  for (const master of link.masters) {
    const asked = master.call('COMMAND', 'INFO', 'HSETEX', 'HPEXPIREAT') as Promise<unknown[]>
    const [hsetex, hpexpireat] = await link.settled(asked, signal)
    if (hpexpireat === null) return 'none'
    if (hsetex === null) least = 'hpexpireat'
  }
  return least
}
