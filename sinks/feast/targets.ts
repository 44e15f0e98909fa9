/** The online stores, one lazy line each. */
import type { SinkContext } from '../../core/connector/context.ts'
import type { FeastConfig } from './config.ts'
import type { OnlineTarget } from './target.ts'

/** Connects to nothing yet. Throws where the address cannot be one. */
export async function openTarget(config: FeastConfig, ctx: SinkContext): Promise<OnlineTarget> {
  const { target } = config
  switch (target.type) {
    case 'redis': {
      const { RedisTarget } = await import('./redis-target.ts')
      return new RedisTarget(config, target, ctx)
    }
    case 'postgres': {
      const { openPostgresTarget } = await import('./postgres/target.ts')
      return openPostgresTarget(target, config, ctx)
    }
    case 'push': {
      const { openPushTarget } = await import('./push/target.ts')
      return openPushTarget(target, ctx)
    }
  }
}
