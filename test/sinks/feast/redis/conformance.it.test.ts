import { Redis } from 'ioredis'
import { feast } from '../../../../sinks/feast/connector.ts'
import { entityKeyPrefix } from '../../../../sinks/feast/layout/entity-key.ts'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import {
  conformanceColumns,
  conformanceTopics,
  sinkConformance,
  type SinkHarness,
} from '../../../conformance/sink.ts'
import type { RedisServer, RedisVersion } from '../../../services/redis.ts'
import { textOf } from '../../../support/feast-reader.ts'
import { startFaultyRedis } from '../../redis/harness.ts'
import { openFeast } from './support.ts'

const views = Object.fromEntries(conformanceTopics.map((topic, i) => [`v${i}`, { topic }]))
/** Of an int64: its type, its length, and itself. */
const valueBytes = 16

/** All entities of a view, as one who knows its features reads them. */
async function rowsOf(server: RedisServer, view: string) {
  const client = new Redis(server.url)
  try {
    const prefix = entityKeyPrefix(['n'])
    const keys = await client.keysBuffer('*shop')
    const rows: Record<string, string | null>[] = []
    for (const key of keys.filter((key) => key.subarray(0, prefix.length).equals(prefix))) {
      const fields = conformanceColumns.map((name) => Buffer.from(featureField(view, name)))
      const [time, ...values] = await client.hmgetBuffer(key, `_ts:${view}`, ...fields)
      if (time === null) continue
      const n = key.readBigInt64LE(prefix.length + valueBytes - 8)
      const there = conformanceColumns.flatMap((name, i): [string, string | null][] => {
        const value = values[i] ?? null
        return value === null ? [] : [[name, textOf(value)]]
      })
      rows.push({ n: String(n), ...Object.fromEntries(there) })
    }
    return rows
  } finally {
    client.disconnect()
  }
}

async function startHarness(version: RedisVersion): Promise<SinkHarness & AsyncDisposable> {
  const { server, url, ...faults } = await startFaultyRedis(version)
  const options = { target: { timeout: '10s' }, topics: conformanceTopics }
  return {
    open: () => openFeast(url, views, options),
    delivered: (topic) => rowsOf(server, `v${conformanceTopics.indexOf(topic)}`),
    connector: feast,
    truncates: true,
    // Feast keeps these for references.
    takesColumn: (name) => !/[:@]/.test(name),
    ...faults,
  }
}

sinkConformance('feast, on Redis 7', () => startHarness('redis-7'))
sinkConformance('feast, on Valkey 9', () => startHarness('valkey-9'))
