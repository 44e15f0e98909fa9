/**
 * `on_schema_change` through the deliver loop, against a target with columns: decided once, the same
 * after a crash, parked in front of what needs a decision. Attacks invariants 2, 5, 6 and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SchemaPolicy } from '../../../core/connector/schema-policy.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import type { TopicState } from '../../../core/task/delivery-log.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { waitFor } from '../../support/env.ts'
import { ownRows, sinkChain, statesOf } from '../../support/letters.ts'
import { sourceChain, writeTopics } from '../../support/scripted-sink.ts'
import { appliesAll, TableTarget, type TableRow } from '../../support/table-sink.ts'
import { taskContext, testLog, type TestContext } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'

const topic = 's.t'
const int32: LogicalType = { kind: 'int32' }
const int64: LogicalType = { kind: 'int64' }
const text: LogicalType = { kind: 'text' }

/** Rows of fields given as `name: [type, nullable]`, the first one their key. */
function rows(
  fields: Readonly<Record<string, LogicalType | readonly [LogicalType, 'not null']>>,
  ...given: readonly Readonly<Record<string, Value>>[]
): LogEntry {
  const list = Object.entries(fields).map(([name, type], i): Field => {
    const strict = !('kind' in type)
    return { name, type: strict ? type[0] : type, nullable: i > 0 && !strict }
  })
  const schema = makeSchema(list, [0], 'upsert')
  return {
    kind: 'rows',
    topic,
    batch: batchOf(
      schema,
      given.map((values) => ({ values })),
    ),
  }
}

async function stateOf(log: Log): Promise<TopicState | undefined> {
  return (await statesOf(log))[topic]
}

/** Delivers until `until` is so, then stops as a process does that is asked to. */
async function deliver(
  log: Log,
  target: TableTarget,
  onSchemaChange: SchemaPolicy,
  until: (state: TopicState | undefined, ctx: TestContext) => boolean,
): Promise<TestContext> {
  const ctx = taskContext(log, 'k')
  const { connector } = target
  const task = { connector, config: {}, from: ['s.*'], chains: [sourceChain], onSchemaChange }
  await whileRunning(
    (stop) => runDeliver(task, ctx, stop),
    () => waitFor('delivery', async () => until(await stateOf(log), ctx)),
  )
  return ctx
}

const done =
  (offset: number) =>
  (state: TopicState | undefined): boolean =>
    state?.done === offset && state.plan === null
/** In this process too: the state alone would be that of the one before. */
const parked = (state: TopicState | undefined, { troubles }: TestContext): boolean =>
  state?.parked?.code === 'schema.stopped' && troubles.at(-1)?.code === 'schema.stopped'

/** Rows of one of the task's own topics, without their time. */
async function said(log: Log, name: string): Promise<Record<string, unknown>[]> {
  const found = await ownRows(log, name)
  for (const row of found) delete row['at']
  return found
}

const table = (target: TableTarget): TableRow[] => [...target.table(topic).rows.values()]

test('lenient: a dropped column stays and is NULL, also where it took none; a new one comes', async () => {
  const log = await testLog()
  const target = new TableTarget()
  await writeTopics(log, rows({ id: int32, note: [text, 'not null'] }, { id: 1, note: 'a' }))
  await writeTopics(
    log,
    rows({ id: int32, extra: int64, more: text }, { id: 2, extra: 7, more: 'm' }),
  )
  await deliver(log, target, { policy: 'lenient' }, done(2))
  assert.deepEqual(table(target), [
    { id: '1', note: 'a' },
    { id: '2', extra: '7', more: 'm', note: null },
  ])
  assert.equal(target.table(topic).columns.find(({ name }) => name === 'note')?.nullable, true)
  assert.deepEqual(await said(log, 'k.schema_changes'), [
    {
      topic,
      offset: 1,
      change: 'drop',
      column: 'note',
      from: 'note text not null',
      to: null,
      action: 'keep',
      why: 'dropping a column needs drop: apply',
    },
    ...(['extra', 'more'] as const).map((column) => ({
      topic,
      offset: 1,
      change: 'add',
      column,
      from: null,
      to: column === 'extra' ? 'extra int64' : 'more text',
      action: 'apply',
      why: 'on_schema_change is lenient',
    })),
  ])
})

test('a step that a crash interrupts is told again, and not once it is over (invariant 6)', async () => {
  const log = await testLog()
  const target = new TableTarget()
  const policy = { policy: 'evolve', drop: 'apply' } as const
  const old = { id: int32, note: text, gone: text }
  await writeTopics(log, rows(old, { id: 1, note: 'a', gone: 'g' }))
  await deliver(log, target, policy, done(1))
  await writeTopics(log, rows({ id: int32, note: text }, { id: 2, note: 'b' }))
  const { beforeWrite } = target
  target.beforeWrite = async () => {
    throw new SluiceError('sink.clickhouse.url', { message: 'away' })
  }
  // Planned and evolved, not written: the process ends here.
  await deliver(log, target, policy, (state) => state?.parked?.message === 'away')
  target.beforeWrite = beforeWrite
  // The policy that comes after does not matter: what was planned is done.
  await deliver(log, target, { policy: 'stop' }, done(2))
  const steps = target
    .table(topic)
    .steps.map(({ agreed, from }) => [
      from?.fields.length ?? null,
      agreed.map(({ kind }) => kind).join(),
    ])
  assert.deepEqual(steps, [
    [null, ''],
    [null, 'drop'],
    [null, 'drop'],
  ])
  await writeTopics(log, rows({ id: int32, note: text }, { id: 3, note: 'c' }))
  await deliver(log, target, { policy: 'stop' }, done(3))
  assert.deepEqual(target.table(topic).steps.at(-1)?.agreed, [])
  assert.deepEqual(table(target), [
    { id: '1', note: 'a' },
    { id: '2', note: 'b' },
    { id: '3', note: 'c' },
  ])
})

test('stop: parked with the lines to write, once; with them it goes on and nothing is lost (invariant 5)', async () => {
  const log = await testLog()
  const target = new TableTarget()
  await writeTopics(log, rows({ id: int32, note: text }, { id: 1, note: 'a' }))
  await writeTopics(log, rows({ id: int32, more: text, last: text }, { id: 2 }, { id: 3 }))
  const ctx = await deliver(log, target, { policy: 'stop', add: 'apply' }, parked)
  const state = await stateOf(log)
  assert.equal(state?.done, 1)
  assert.match(
    state.parked!.message,
    /^s\.t, offset 1: column note \(text\) dropped\. Sink k waits/,
  )
  assert.match(
    state.parked!.remedy,
    /on_schema_change: \{ policy: stop, add: apply, drop: apply or keep \}/,
  )
  assert.equal(ctx.troubles.at(-1)?.code, 'schema.stopped')
  await deliver(log, target, { policy: 'stop', add: 'apply' }, parked)
  assert.deepEqual(
    (await said(log, 'k.schema_changes')).map(({ change, action }) => [change, action]),
    [['drop', 'stop']],
  )
  await deliver(log, target, { policy: 'stop', add: 'apply', drop: 'keep' }, done(3))
  assert.equal((await stateOf(log))?.parked, null)
  assert.deepEqual(
    table(target).map(({ id, note }) => [id, note]),
    [
      ['1', 'a'],
      ['2', null],
      ['3', null],
    ],
  )
})

test('ignore: what the old types hold goes on, the rest is set aside whole (invariants 5, 9)', async () => {
  const log = await testLog()
  const target = new TableTarget()
  await writeTopics(log, rows({ id: int32, n: int32 }, { id: 1, n: 1 }))
  const wide = { id: int32, n: int64, extra: text }
  await writeTopics(
    log,
    rows(
      wide,
      { id: 2, n: 2, extra: 'x' },
      { id: 3, n: 2 ** 40, extra: 'y' },
      { id: 4, n: null, extra: null },
      { id: 5, n: 2 ** 31, extra: null },
    ),
  )
  await deliver(log, target, { policy: 'ignore' }, done(5))
  assert.deepEqual(table(target), [
    { id: '1', n: '1' },
    { id: '2', n: '2' },
    { id: '4', n: null },
  ])
  assert.deepEqual(
    target.table(topic).written.map(({ offset }) => offset),
    [0, 1, 3],
    'row i has the offset of its batch + i',
  )
  const letters = await said(log, 'k.dead_letters')
  assert.deepEqual(
    letters.map(({ offset, code, row }) => [offset, code, row]),
    [
      [2, 'schema.value_not_held', { id: 3, n: 2 ** 40, extra: 'y' }],
      [4, 'schema.value_not_held', { id: 5, n: 2 ** 31, extra: null }],
    ],
  )
  assert.equal(target.table(topic).columns.length, 2)
})

test('ignore → lenient: what was left out comes with new rows, and types widen', async () => {
  const log = await testLog()
  const target = new TableTarget()
  await writeTopics(log, rows({ id: int32, n: int32 }, { id: 1, n: 1 }))
  const wide = { id: int32, n: int64, extra: text }
  await writeTopics(log, rows(wide, { id: 2, n: 2, extra: 'x' }))
  await deliver(log, target, { policy: 'ignore' }, done(2))
  await writeTopics(log, rows(wide, { id: 3, n: 2 ** 40, extra: 'y' }))
  await deliver(log, target, { policy: 'lenient' }, done(3))
  assert.deepEqual(table(target), [
    { id: '1', n: '1' },
    { id: '2', n: '2' },
    { id: '3', n: String(2 ** 40), extra: 'y' },
  ])
  assert.equal((await stateOf(log))?.shape?.out, undefined)
})

test('a column that comes late does not give old rows the source’s default: they had other values', async () => {
  const log = await testLog()
  const target = new TableTarget()
  const key: Field = { name: 'id', type: int32, nullable: false }
  const more: Field = { name: 'more', type: text, nullable: true, oldRows: 'd' }
  const grown = makeSchema([key, more], [0], 'upsert')
  const row = (id: number): LogEntry => ({
    kind: 'rows',
    topic,
    batch: batchOf(grown, [{ values: { id, more: 'own' } }]),
  })
  await writeTopics(log, rows({ id: int32 }, { id: 1 }), row(2))
  await deliver(log, target, { policy: 'ignore' }, done(2))
  await writeTopics(log, row(3))
  await deliver(log, target, { policy: 'lenient' }, done(3))
  const told = target
    .table(topic)
    .steps.at(-1)
    ?.to.fields.find(({ name }) => name === 'more')
  assert.deepEqual(told, { name: 'more', type: text, nullable: true })
  // Added at once, they do have it.
  const follower = new TableTarget()
  const again = await testLog()
  await writeTopics(again, rows({ id: int32 }, { id: 1 }), row(2))
  await deliver(again, follower, { policy: 'lenient' }, done(2))
  assert.equal(follower.table(topic).columns.at(-1)?.oldRows, 'd')
})

test('a yes to drops is about what comes: a column that was kept is let go, and nothing is taken', async () => {
  const log = await testLog()
  const target = new TableTarget()
  await writeTopics(log, rows({ id: int32, note: text }, { id: 1, note: 'a' }))
  await writeTopics(log, rows({ id: int32 }, { id: 2 }))
  await deliver(log, target, { policy: 'lenient' }, done(2))
  await writeTopics(log, rows({ id: int32 }, { id: 3 }))
  await deliver(log, target, { policy: 'lenient', drop: 'apply' }, done(3))
  assert.equal(target.table(topic).columns.length, 2)
  assert.equal((await stateOf(log))?.shape?.kept, undefined)
  assert.deepEqual(table(target)[0], { id: '1', note: 'a' })
})

test('a truncate that would remove rows needs a yes, or a word that it is to be passed over', async () => {
  const log = await testLog()
  const target = new TableTarget()
  const one = { id: int32 }
  await writeTopics(log, rows(one, { id: 1 }), { kind: 'truncate', topic }, rows(one, { id: 2 }))
  await deliver(log, target, { policy: 'lenient' }, parked)
  assert.equal((await stateOf(log))?.done, 1)
  await deliver(log, target, { policy: 'ignore' }, done(3))
  assert.equal(target.table(topic).truncates, 0)
  assert.deepEqual(table(target), [{ id: '1' }, { id: '2' }])
  await writeTopics(log, { kind: 'truncate', topic })
  await deliver(log, target, { policy: 'ignore', truncate: 'stop' }, parked)
  assert.equal(target.table(topic).truncates, 0)
  await deliver(log, target, { policy: 'lenient', truncate: 'apply' }, done(4))
  assert.equal(target.table(topic).truncates, 1)
  assert.deepEqual(
    (await said(log, 'k.schema_changes')).map(
      ({ change, action }) => `${String(change)} ${String(action)}`,
    ),
    ['truncate stop', 'truncate ignore', 'truncate stop', 'truncate apply'],
  )
})

test('a truncate passes where the target keeps what was there', async () => {
  const log = await testLog()
  const target = new TableTarget({ ...appliesAll, truncate: 'absorbs' })
  await writeTopics(log, rows({ id: int32 }, { id: 1 }), { kind: 'truncate', topic })
  await deliver(log, target, { policy: 'ignore' }, done(2))
  assert.equal(target.table(topic).truncates, 1)
})

test('notes of the version before, without a shape, are gone on with', async () => {
  const log = await testLog()
  const target = new TableTarget()
  await writeTopics(log, rows({ id: int32, note: text }, { id: 1, note: 'a' }))
  await deliver(log, target, { policy: 'lenient' }, done(1))
  const { signal } = new AbortController()
  {
    const state = (await stateOf(log))!
    const { shape: _, ...old } = state
    await using writer = await ChainWriter.open(log, sinkChain, { writer: 'old', signal })
    await writer.commit({ entries: [], notes: { topics: { [topic]: old } } }, signal)
  }
  await writeTopics(
    log,
    rows({ id: int32, note: text, more: text }, { id: 2, note: 'b', more: 'm' }),
  )
  await deliver(log, target, { policy: 'lenient' }, done(2))
  assert.deepEqual(table(target)[1], { id: '2', note: 'b', more: 'm' })
  // From here on it is known what the target has.
  await writeTopics(log, rows({ id: int32, more: text }, { id: 3, more: 'n' }))
  await deliver(log, target, { policy: 'lenient' }, done(3))
  assert.deepEqual(table(target)[2], { id: '3', note: null, more: 'n' })
})

test('the shape in the notes is its differences alone', async () => {
  const log = await testLog()
  const target = new TableTarget()
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`c${i}`, text]))
  await writeTopics(log, rows({ id: int32, ...many, last: text }, { id: 1 }))
  await writeTopics(log, rows({ id: int32, ...many }, { id: 2 }))
  await deliver(log, target, { policy: 'lenient' }, done(2))
  const { shape } = (await stateOf(log))!
  assert.deepEqual(shape?.kept, [{ name: 'last', type: text, nullable: true }])
  assert.ok(JSON.stringify(shape).length < 120)
})
