/** What the tests of the Redis sink share: a real server behind a proxy, and the rows as a reader sees them. */
import { Redis } from 'ioredis'
import type { SinkContext } from '../../../core/connector/context.ts'
import type { Sink } from '../../../core/connector/sink.ts'
import { redis } from '../../../sinks/redis/connector.ts'
import type { SinkHarness } from '../../conformance/sink.ts'
import { startRedis, type RedisServer, type RedisVersion } from '../../services/redis.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { answerFaults, type AnswerFaults } from '../../support/answer-faults.ts'
import { quietContext } from '../../support/context.ts'

export function openSink(
  url: string,
  more: Record<string, unknown> = {},
  ctx: SinkContext = quietContext(),
): Promise<Sink> {
  return redis.open(redis.config.parse({ url, timeout: '10s', ...more }), [], ctx)
}

/** Rows by key, without the field of offsets. */
export async function rowsOf(
  server: RedisServer,
  prefix: string,
  format: 'hash' | 'json' = 'hash',
): Promise<Map<string, Record<string, string>>> {
  const client = new Redis(server.url)
  try {
    const keys = (await client.keys('*')).filter(
      (key) => key.startsWith(prefix) && !/:_sluice$|^_sluice:/.test(key),
    )
    const rows = new Map<string, Record<string, string>>()
    for (const key of keys.sort()) {
      const { _sluice: _, ...row } =
        format === 'hash'
          ? await client.hgetall(key)
          : (JSON.parse((await client.get(key)) ?? '{}') as Record<string, string>)
      rows.set(key, row)
    }
    return rows
  } finally {
    client.disconnect()
  }
}

/** The conformance suite's harness. Its rows have a key `n` and a text `v`. */
export async function startHarness(
  version: RedisVersion,
  more: Record<string, unknown> = {},
): Promise<SinkHarness & AsyncDisposable> {
  const { server, url, ...faults } = await startFaultyRedis(version)
  return {
    open: () => openSink(url, more),
    delivered: async (topic) => {
      const prefix = `${topic.replace(/[%{}:]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}:`
      const found = await rowsOf(server, prefix)
      return [...found.values()].map((row) => ({ v: null, ...row }))
    },
    connector: redis,
    truncates: true,
    ...faults,
  }
}

/** A server, and an address of it whose answers can be lost and stalled, as harnesses have to. */
export async function startFaultyRedis(
  version: RedisVersion,
): Promise<
  { readonly server: RedisServer; readonly url: string } & AsyncDisposable & AnswerFaults
> {
  const server = await startRedis({ version })
  const proxy = await startTcpProxy(server.port)
  return {
    server,
    url: `redis://127.0.0.1:${proxy.port}`,
    ...answerFaults(proxy),
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
