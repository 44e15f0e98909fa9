/** OnlineReader: what an online store has of a view, read as Feast lays it out. */
import type { SinkContext } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { FeastConfig } from '../config.ts'
import type { FeatureView } from '../view.ts'

export interface OnlineReader extends AsyncDisposable {
  /** One answer a key, by entity key without the project; null: the view has nothing there. */
  read(
    view: FeatureView,
    keys: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly (OnlineEntity | null)[]>
  /**
   * Keys of all entities that may have a row of the view, some at a time. One that is there throughout
   * comes at least once.
   */
  keys(view: FeatureView, signal: AbortSignal): AsyncGenerator<readonly Uint8Array[]>
}

export interface OnlineEntity {
  /** Event time, µs since 1970; null where it is not there, or none. */
  readonly eventUs: bigint | null
  /** `feast.types.Value` messages by feature, in the view's order; no bytes: null; null: not there. */
  readonly values: readonly (Uint8Array | null)[]
}

/** Connects to nothing yet. Throws `sink.feast.not_readable`. */
export async function openReader(config: FeastConfig, ctx: SinkContext): Promise<OnlineReader> {
  const { target } = config
  switch (target.type) {
    case 'redis': {
      const { RedisReader } = await import('./redis.ts')
      return new RedisReader(config, target)
    }
    case 'postgres': {
      const { PostgresReader } = await import('./postgres.ts')
      return new PostgresReader(target, ctx)
    }
    case 'push':
      throw new SluiceError('sink.feast.not_readable', {
        message: `The target of sink ${ctx.name} is of type push.`,
      })
  }
}
