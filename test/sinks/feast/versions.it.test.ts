/**
 * Versions of a view, side by side in one store: the unmodified Feast SDK reads each under its own name
 * (`view@v1:feature`), and the newest without one (invariant 9).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { feast as connector } from '../../../sinks/feast/connector.ts'
import { installFeast, type Feast, type FeastField } from '../../services/feast.ts'
import { startPostgres } from '../../services/postgres.ts'
import { startRedis } from '../../services/redis.ts'
import { quietContext } from '../../support/context.ts'
import { startOrSkip } from '../../support/service.ts'
import { onlineStore } from './postgres/support.ts'
import { evolve, schemaOf, signal, sinkBatch } from './redis/support.ts'

const project = 'shop'
const schema = schemaOf({ user_id: 'int64', n: 'int64', m: 'int64' }, ['user_id'])
const field = (name: string): FeastField => ({ name, type: 'Int64' })
/** Features by version. Feast keeps version 0 under the bare name of the view. */
const versions = [['n'], ['n', 'm'], ['m']]

/** One entity, each version of it with values of its own: 1 in version 0, 11 in version 1. */
async function write(target: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [version, features] of versions.entries()) {
    const orders = { features, ...(version === 0 ? {} : { version }) }
    const config = connector.config.parse({ project, target, views: { orders } })
    await using sink = await connector.open(config, [], quietContext())
    await evolve(sink, 'src.orders', schema)
    const value = BigInt(version * 10 + 1)
    const rows = [{ values: { user_id: 7n, n: value, m: value } }]
    assert.deepEqual(await sink.write(sinkBatch('src.orders', schema, rows), signal), {
      rejected: [],
    })
  }
}

async function assertRead(feast: Feast, onlineStore: Readonly<Record<string, unknown>>) {
  const wanted = {
    'orders@v0:n': 1,
    'orders@v1:n': 11,
    'orders@v1:m': 11,
    'orders@v2:m': 21,
    'orders:m': 21,
  }
  const views = [
    {
      name: 'orders',
      entities: [{ name: 'user_id', type: 'INT64' }],
      features: versions.at(-1)!.map(field),
      earlier: versions.slice(0, -1).map((names) => names.map(field)),
    },
  ]
  const read = Object.keys(wanted).map((ref) => ({ features: [ref], entities: [{ user_id: 7 }] }))
  const found = await feast.run({ repository: { project, onlineStore, views }, read })
  assert.deepEqual(
    found.flat(),
    Object.entries(wanted).map(([ref, value]) => ({ [ref]: { int: String(value) } })),
  )
}

test('in Redis, under one key', async (t) => {
  const feast = await startOrSkip(t, 'Feast', installFeast)
  if (feast === null) return
  await using server = await startOrSkip(t, 'Redis', () => startRedis())
  if (server === null) return
  await write({ type: 'redis', url: server.url })
  const place = `${server.host}:${server.port}`
  await assertRead(feast, { type: 'redis', connection_string: place })
})

test('in Postgres, a table each', async (t) => {
  const feast = await startOrSkip(t, 'Feast', installFeast)
  if (feast === null) return
  await using server = await startOrSkip(t, 'PostgreSQL', () => startPostgres())
  if (server === null) return
  await write({ type: 'postgres', url: server.url })
  await assertRead(feast, onlineStore(server))
})
