/** The Redis sink: each row as a key of its own, hash or JSON. */
import type { Problem } from '../../core/connector/problem.ts'
import { openRedis } from '../../core/connector/redis-config.ts'
import type { SinkConnector } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
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
  check: (config) => check(config, AbortSignal.timeout(config.timeout)),
  open: async (config, _topics, ctx) => new RedisSink(config, ctx),
}

async function check(config: RedisConfig, signal: AbortSignal): Promise<readonly Problem[]> {
  try {
    await using link = openRedis(config)
    await link.ready(signal)
    return []
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    const { code, message, remedy, fault } = error
    return [{ code, severity: fault === 'transient' ? 'warning' : 'error', message, remedy }]
  }
}
