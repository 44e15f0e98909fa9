/**
 * Which topics `from` and SQL mean when a source's topics are called as those are that tasks write of their own
 * work. Attacks invariant 1: a topic that is passed over is rows lost.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import { kafka } from '../../../connectors/kafka/connector.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import type { SourceConnector } from '../../../core/connector/source.ts'
import { pipelineTasks, type PipelineParts } from '../../../core/hub/pipeline-tasks.ts'
import type { Log } from '../../../core/log/log.ts'
import { readHead } from '../../../core/log/head.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { waitFor } from '../../support/env.ts'
import { numberRows, numberSchema } from '../../support/number-rows.ts'
import { scriptedSink, sinkScript } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'

const chains: Readonly<Record<string, readonly string[]>> = {
  'p.source.k': ['k.a', 'k.deliveries', 'k.schema_changes', 'k.dead_letters', 'k.z'],
  'p.source.pg': ['pg.public.idempotency_keys', 'pg.public.dead_letters', 'pg.z'],
  'p.source.hooks': ['hooks.orders', 'hooks.orders.idempotency_keys', 'hooks.z'],
  'p.sink.first': ['first.dead_letters', 'first.deliveries', 'first.schema_changes', 'first.z'],
}
/** Named in full beside what a test names: the last of each chain, which are begun after the others of it. */
const last = ['k.z', 'pg.z', 'hooks.z', 'first.z']
const config = null
const sources = [
  { name: 'k', connector: kafka as SourceConnector<unknown>, config },
  { name: 'pg', connector: postgres as SourceConnector<unknown>, config },
  { name: 'hooks', connector: http as SourceConnector<unknown>, config },
]
const settings = { flush: { bytesMax: 1, intervalMs: 1, intervalMsMax: 1 }, stateDir: '/nowhere' }

async function logOfAll(): Promise<Log> {
  const log = await testLog()
  const { signal } = new AbortController()
  for (const [chain, topics] of Object.entries(chains)) {
    await using writer = await ChainWriter.open(log, chain, { writer: 'test', signal })
    const batch = numberRows([1], numberSchema())
    await writer.commit(
      { entries: topics.map((topic) => ({ kind: 'rows', topic, batch })) },
      signal,
    )
  }
  return log
}

function taskOf(name: string, parts: Pick<PipelineParts, 'transforms' | 'sinks'>) {
  const tasks = pipelineTasks({ name: 'p', sources, ...parts }, settings)
  return tasks.find((task) => task.name === name)!
}

/** The topics that a sink is given, in the order of their names. */
async function deliveredBy(from: readonly string[]): Promise<readonly string[]> {
  const log = await logOfAll()
  const script = sinkScript()
  const connector = scriptedSink(script)
  const sinks = ['first', 'w'].map((name) => ({
    name,
    connector,
    config,
    from: [...from, ...last],
  }))
  const task = taskOf('w', { transforms: [], sinks })
  const seen = () => [...new Set(script.attempts.map(({ topic }) => topic))].toSorted()
  await whileRunning(
    (stop) => task.run(taskContext(log, 'w'), stop),
    () => waitFor('rows', () => last.every((topic) => seen().includes(topic))),
  )
  return seen().filter((topic) => !last.includes(topic))
}

for (const [from, topics] of [
  [['k.*'], ['k.a', 'k.deliveries', 'k.schema_changes']],
  [['deliveries'], ['k.deliveries']],
  [['pg.*'], ['pg.public.dead_letters', 'pg.public.idempotency_keys']],
  [['public.idempotency_keys'], ['pg.public.idempotency_keys']],
  [['hooks.*'], ['hooks.orders']],
  [['first.*'], []],
  [
    ['first.deliveries', 'hooks.orders.idempotency_keys', 'k.dead_letters'],
    ['first.deliveries', 'hooks.orders.idempotency_keys', 'k.dead_letters'],
  ],
] as const) {
  test(`from: ${from.join(', ')}`, async () => {
    assert.deepEqual(await deliveredBy(from), topics)
  })
}

for (const [table, topic] of [
  ['dead_letters', 'pg.public.dead_letters'],
  ['k.schema_changes', 'k.schema_changes'],
  ['"hooks.orders.idempotency_keys"', 'hooks.orders.idempotency_keys'],
] as const) {
  test(`SQL FROM ${table}`, async () => {
    const log = await logOfAll()
    const sql = `SELECT n FROM ${table}`
    const transforms = [{ name: 't', sql, query: await parseQuery(sql) }]
    const task = taskOf('t', { transforms, sinks: [] })
    const { signal } = new AbortController()
    const read = await whileRunning(
      (stop) => task.run(taskContext(log, 't'), stop),
      () =>
        waitFor('its rows', async () => {
          const head = await readHead(log, 'p.transform.t', signal)
          return head !== null && (head.topics.get('t')?.nextOffset ?? 0) > 0 && head
        }),
    )
    assert.deepEqual(Object.keys(read.cursors), [
      Object.keys(chains).find((chain) => chains[chain]!.includes(topic)),
    ])
  })
}
