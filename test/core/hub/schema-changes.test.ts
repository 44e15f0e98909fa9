/** `on_schema_change` from the pipeline's parts to its sinks, and a sink that hears of what was decided. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flushPolicy, pipelineTasks, type PipelineParts } from '../../../core/hub/pipeline-tasks.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { batchOf } from '../../conformance/rows.ts'
import { waitFor } from '../../support/env.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { TableTarget } from '../../support/table-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { lines } from '../../toy/lines/connector.ts'

test('a sink stops as its policy says, the other follows, and a third is told of both', async () => {
  const targets = { strict: new TableTarget(), open: new TableTarget(), alerts: new TableTarget() }
  const sink = (name: keyof typeof targets, from: readonly string[]) => ({
    name,
    connector: targets[name].connector,
    config: {},
    from,
  })
  const parts: PipelineParts = {
    name: 'p',
    sources: [
      { name: 's', connector: lines as PipelineParts['sources'][0]['connector'], config: {} },
    ],
    transforms: [],
    sinks: [
      { ...sink('strict', ['s.*']), onSchemaChange: { policy: 'stop' } },
      sink('open', ['s.*']),
      sink('alerts', ['strict.schema_changes', 'open.schema_changes']),
    ],
  }
  const log = await testLog()
  const id = { name: 'id', type: { kind: 'int32' }, nullable: false } as const
  const more = { name: 'more', type: { kind: 'text' }, nullable: true } as const
  await writeTopics(
    log,
    ...[[id], [id, more]].map((fields, n) => ({
      kind: 'rows' as const,
      topic: 's.t',
      batch: batchOf(makeSchema(fields, [0], 'upsert'), [{ values: { id: n } }]),
    })),
  )
  const stop = new AbortController()
  const settings = { flush: flushPolicy('memory://x', 5), stateDir: '/nonexistent' }
  const running = pipelineTasks(parts, settings)
    .filter(({ kind }) => kind === 'deliver')
    .map((task) => task.run(taskContext(log, task.name), stop.signal))
  const told = (): readonly string[] =>
    [...targets.alerts.tables.entries()].flatMap(([topic, { written }]) =>
      written.map(({ row }) => `${topic} ${row['change']} ${row['action']}`),
    )
  await waitFor('both decisions', () => told().length === 2)
  stop.abort()
  await Promise.all(running)
  assert.deepEqual(told().toSorted(), [
    'open.schema_changes add apply',
    'strict.schema_changes add stop',
  ])
  assert.equal(targets.open.table('s.t').rows.size, 2)
  assert.equal(targets.strict.table('s.t').rows.size, 1)
})
