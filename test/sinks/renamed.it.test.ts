/**
 * A sink that gets another name in the pipeline file, on the same log and target: it stops in front of its
 * first batch, says how that can be, and under its old name goes on where it was. Attacks invariants 5
 * and 6.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { renamedSink } from '../../core/connector/place-by-name.ts'
import type { SinkConnector } from '../../core/connector/sink.ts'
import type { Log } from '../../core/log/log.ts'
import { makeSchema } from '../../core/record/schema.ts'
import { runDeliver } from '../../core/task/deliver.ts'
import type { TopicState } from '../../core/task/delivery-log.ts'
import { clickhouse } from '../../sinks/clickhouse/connector.ts'
import { feast } from '../../sinks/feast/connector.ts'
import { redis } from '../../sinks/redis/connector.ts'
import { batchOf } from '../conformance/rows.ts'
import { startClickHouse } from '../services/clickhouse.ts'
import { startRedis } from '../services/redis.ts'
import { waitFor } from '../support/env.ts'
import { statesOf } from '../support/letters.ts'
import { sourceChain, writeTopics } from '../support/scripted-sink.ts'
import { startOrSkip } from '../support/service.ts'
import { taskContext, testLog } from '../support/task-context.ts'
import { whileRunning } from '../support/while-running.ts'

const topic = 's.t'
const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'n', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)

/** Rows with these ids, at these times. */
async function write(log: Log, ids: readonly number[], timeUs: number): Promise<void> {
  const rows = ids.map((id, i) => ({ timeUs: timeUs + i, values: { id, n: id } }))
  await writeTopics(log, { kind: 'rows', topic, batch: batchOf(schema, rows) })
}

interface Target {
  readonly connector: SinkConnector<unknown>
  readonly config: unknown
  readonly rows: () => Promise<number>
}

/** Delivers under this name until the topic is where it is waited for. */
function deliverAs(
  name: string,
  { connector, config }: Target,
  log: Log,
  settled: (state: TopicState) => boolean,
): Promise<TopicState> {
  const task = { connector, config, from: [topic], chains: [sourceChain] }
  return whileRunning(
    (stop) => runDeliver(task, taskContext(log, name), stop),
    async () => {
      let found: TopicState | undefined
      await waitFor(name, async () => {
        found = (await statesOf(log, name))[topic]
        return found !== undefined && settled(found)
      })
      return found!
    },
  )
}

async function rename(target: Target, code: string): Promise<void> {
  const log = await testLog()
  // Two commits, so that the first batch of a sink that begins anew ends before the newest row.
  await write(log, [1, 2, 3], 1e15)
  await deliverAs('old', target, log, ({ done, plan }) => done === 3 && plan === null)
  await write(log, [4, 5], 2e15)
  await deliverAs('old', target, log, ({ done, plan }) => done === 5 && plan === null)
  assert.equal(await target.rows(), 5)

  const bounded = {
    ...target,
    connector: {
      ...target.connector,
      batching: () => ({ rowsMax: 2, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }),
    },
  }
  const { parked, done } = await deliverAs('anew', bounded, log, (state) => state.parked !== null)
  assert.deepEqual([parked?.code, done], [code, 0])
  assert.ok(parked?.remedy.startsWith(renamedSink), parked?.remedy)
  assert.equal(await target.rows(), 5, 'nothing was written')

  await write(log, [6], 3e15)
  const back = await deliverAs('old', target, log, (state) => state.done === 6)
  assert.equal(back.parked, null)
  assert.equal(await target.rows(), 6)
}

const connectorOf = (connector: unknown): SinkConnector<unknown> =>
  connector as SinkConnector<unknown>

for (const mode of ['upsert', 'append'] as const) {
  test(`clickhouse, ${mode}`, async (t: TestContext) => {
    await using server = await startOrSkip(t, 'ClickHouse', () => startClickHouse())
    if (server === null) return
    const rows = async (): Promise<number> =>
      Number((await server.query('SELECT count() AS n FROM t'))[0]?.['n'])
    const config = clickhouse.config.parse({ url: server.url, mode })
    await rename(
      { connector: connectorOf(clickhouse), config, rows },
      'sink.clickhouse.table_ahead',
    )
  })
}

test('redis', async (t: TestContext) => {
  await using server = await startOrSkip(t, 'Redis', () => startRedis())
  if (server === null) return
  const rows = async (): Promise<number> =>
    Number(await server.cli('eval', "return #redis.call('KEYS', 's.t:*')", '0'))
  const config = redis.config.parse({ url: server.url })
  await rename({ connector: connectorOf(redis), config, rows }, 'sink.redis.store_ahead')
})

test('feast on redis', async (t: TestContext) => {
  await using server = await startOrSkip(t, 'Redis', () => startRedis())
  if (server === null) return
  const rows = async (): Promise<number> =>
    Number(await server.cli('eval', "return #redis.call('KEYS', '*shop')", '0'))
  const config = feast.config.parse({
    project: 'shop',
    target: { type: 'redis', url: server.url },
    views: { v: {} },
  })
  await rename({ connector: connectorOf(feast), config, rows }, 'sink.feast.store_ahead')
})
