/** The Redis sink: each row as a key of its own, hash or JSON. */
import { checkRedis } from '../../core/connector/redis-check.ts'
import type { SinkConnector } from '../../core/connector/sink.ts'
import { redisConfig, type RedisConfig } from './config.ts'
import { RedisSink } from './sink.ts'

export const redis: SinkConnector<RedisConfig> = {
  kind: 'redis',
  config: redisConfig,
  delivery: 'idempotent',
  // Every row says its own columns; under other keys the old ones would stay.
  schemaChanges: {
    add: 'absorbs',
    widen: 'absorbs',
    narrow: 'absorbs',
    rename: 'absorbs',
    drop: 'absorbs',
    key: 'refuses',
    truncate: 'applies',
  },
  batching: () => ({ rowsMax: 10_000, bytesMax: 8 * 2 ** 20, pauseMsMin: 0, pauseMsMax: 100 }),
  check: (config) => checkRedis(config),
  open: async (config, _topics, ctx) => new RedisSink(config, ctx),
}
