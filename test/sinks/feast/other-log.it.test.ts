/**
 * A store that was filled from another log is found, and nothing is lost in silence (invariant 5); what
 * was planned before a crash is never taken for it (invariant 6).
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { renamedSink } from '../../../core/connector/place-by-name.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Sink, SinkBatch } from '../../../core/connector/sink.ts'
import { feast } from '../../../sinks/feast/connector.ts'
import { startPostgres } from '../../services/postgres.ts'
import { startRedis } from '../../services/redis.ts'
import { quietContext } from '../../support/context.ts'
import { startOrSkip } from '../../support/service.ts'
import { evolve, fieldOf, hashOf, schemaOf, signal, sinkBatch } from './redis/support.ts'

interface Store extends AsyncDisposable {
  readonly name: string
  readonly target: Readonly<Record<string, unknown>>
  /** The ids among 0 to 9 that view v has a value of. */
  ids(): Promise<readonly number[]>
  /** As the message tells the user to. */
  empty(): Promise<void>
}

async function redisStore(): Promise<Store> {
  const server = await startRedis({ settings: { appendonly: 'no' } })
  const redis = new Redis(server.port, server.host)
  return {
    name: 'Redis at 127.0.0.1',
    target: { type: 'redis', url: server.url },
    ids: async () => {
      const hashes = await Promise.all(Array.from({ length: 10 }, (_, id) => hashOf(redis, id)))
      return [...hashes.keys()].filter((id) => hashes[id]![fieldOf('v', 'n')] !== undefined)
    },
    empty: async () => {
      await redis.flushdb()
    },
    [Symbol.asyncDispose]: async () => {
      redis.disconnect()
      await server[Symbol.asyncDispose]()
    },
  }
}

async function postgresStore(): Promise<Store> {
  const server = await startPostgres()
  return {
    name: 'PostgreSQL at 127.0.0.1',
    target: { type: 'postgres', url: server.url },
    ids: async () => {
      const rows = await server.query<{ id: number }>(
        `SELECT get_byte(entity_key, length(entity_key) - 8) AS id FROM shop_v
         WHERE feature_name = 'n' ORDER BY 1`,
      )
      return rows.map(({ id }) => id)
    },
    empty: async () => {
      await server.query('TRUNCATE TABLE "public"."shop_v"')
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const topic = 'src.rows'
const schema = schemaOf({ id: 'int64', n: 'int64' }, ['id'])
const set = (id: number) => ({ timeUs: 1e15, values: { id: BigInt(id), n: 1n } })

/** As after a start of the process, before anything was sent. */
async function opened(store: Store): Promise<Sink> {
  const config = feast.config.parse({ project: 'shop', target: store.target, views: { v: {} } })
  return feast.open(config, [{ name: topic, schema }], quietContext())
}

async function started(store: Store): Promise<Sink> {
  const sink = await opened(store)
  await evolve(sink, topic, schema)
  return sink
}

interface At {
  readonly offset: number
  readonly origin?: SinkBatch['origin']
  readonly upTo?: number
}

async function send(sink: Sink, ids: readonly number[], { upTo, ...at }: At): Promise<void> {
  const sent = sinkBatch(topic, schema, ids.map(set), at)
  await sink.write(upTo === undefined ? sent : { ...sent, upTo }, signal)
}

const isAhead =
  (...told: readonly string[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof SluiceError, String(error))
    assert.deepEqual([error.code, error.fault], ['sink.feast.store_ahead', 'config'])
    for (const part of told) assert.ok(error.message.includes(part), error.message)
    assert.ok(error.remedy.includes(renamedSink), error.remedy)
    return true
  }

for (const [name, start] of Object.entries({ redis: redisStore, postgres: postgresStore })) {
  const run = (what: string, body: (store: Store) => Promise<void>): void => {
    test(`${name}: ${what}`, async (t: TestContext) => {
      await using store = await startOrSkip(t, name, start)
      if (store === null) return
      await body(store)
    })
  }

  run('a log begun anew is told from the old one, until the store is empty', async (store) => {
    {
      await using sink = await started(store)
      await send(sink, [1, 2, 3], { offset: 0 })
      await send(sink, [4], { offset: 3 })
    }
    await using sink = await started(store)
    const again = send(sink, [7], { offset: 0 })
    await assert.rejects(again, isAhead('view v', 'offset 4', 'at 1', topic, store.name))
    await assert.rejects(send(sink, [7], { offset: 0 }), isAhead())
    assert.deepEqual(await store.ids(), [1, 2, 3, 4], 'nothing of the batch is there')
    await store.empty()
    await send(sink, [7], { offset: 0 })
    await send(sink, [8], { offset: 1 })
    assert.deepEqual(await store.ids(), [7, 8])
  })

  run('what was planned before a crash goes again, in one piece or several', async (store) => {
    for (const at of [{ offset: 0 }, { offset: 0 }, { offset: 2, upTo: 9 }]) {
      await using sink = await started(store)
      await send(sink, [1, 2], at)
    }
    await using sink = await started(store)
    await send(sink, [1, 2], { offset: 2, upTo: 9 })
    await send(sink, [3, 4], { offset: 5, upTo: 9 })
    await using later = await started(store)
    await assert.rejects(send(later, [5], { offset: 7 }), isAhead('offset 9', 'at 8'))
    await send(later, [5], { offset: 9 })
    assert.deepEqual(await store.ids(), [1, 2, 3, 4, 5])
  })

  run('rows that are sent once more say nothing of the log, and lower nothing', async (store) => {
    await using sink = await started(store)
    await send(sink, [1, 2, 3], { offset: 0 })
    await using other = await started(store)
    for (const origin of ['retry', 'replay'] as const) {
      await send(other, [1], { offset: 0, origin })
    }
    await assert.rejects(send(other, [2], { offset: 1 }), isAhead('offset 3', 'at 2'))
    await send(other, [4], { offset: 3, origin: 'replay' })
    await using last = await started(store)
    await send(last, [4], { offset: 3 })
    assert.deepEqual(await store.ids(), [1, 2, 3, 4])
  })

  run('a truncate moves the end, and the end outlives it', async (store) => {
    {
      await using sink = await started(store)
      await sink.truncate(topic, { id: 't', offset: 5 }, signal)
    }
    {
      await using sink = await started(store)
      await assert.rejects(send(sink, [1], { offset: 0 }), isAhead('offset 5', 'at 1'))
      await send(sink, [1, 2], { offset: 6 })
      await sink.truncate(topic, { id: 't', offset: 7 }, signal)
    }
    await using sink = await started(store)
    await assert.rejects(send(sink, [1], { offset: 6 }), isAhead('offset 8', 'at 7'))
    await send(sink, [3], { offset: 8 })
    assert.deepEqual(await store.ids(), [2, 3])
  })

  run('a truncate that is the first thing after a start is not passed over', async (store) => {
    {
      await using sink = await started(store)
      await send(sink, [1, 2], { offset: 0 })
    }
    await using sink = await opened(store)
    await sink.truncate(topic, { id: 't', offset: 2 }, signal)
    assert.deepEqual(await store.ids(), [])
  })

  run('an agreed change of the key is refused where the entities follow it', async (store) => {
    await using sink = await started(store)
    await send(sink, [1], { offset: 0 })
    const to = schemaOf({ id: 'int64', n: 'int64' }, ['n'])
    const agreed = [{ kind: 'key', from: ['id'], to: ['n'] }] as const
    await assert.rejects(sink.evolve(topic, { from: schema, to, agreed }, signal), (error) => {
      assert.ok(error instanceof SluiceError)
      assert.deepEqual([error.code, error.fault], ['sink.feast.view', 'config'])
      return error.message.includes('(n) instead of (id)')
    })
  })
}
