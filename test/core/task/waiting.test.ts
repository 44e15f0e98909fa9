/**
 * Rows that wait, through the deliver loop: the cursor passes them, each is sent again when it is due,
 * in the order of its lane, also after a restart and when timers are lost. Attacks invariants 2, 5, 6.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import {
  absorbsAll,
  type Sink,
  type SinkBatch,
  type SinkConnector,
} from '../../../core/connector/sink.ts'
import type { RowWait, Timer, Timers } from '../../../core/connector/waiting.ts'
import type { Log } from '../../../core/log/log.ts'
import { jsonRows } from '../../../core/record/json.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { waitFor } from '../../support/env.ts'
import { doneAt, lettersOf, notesOf, sinkChain } from '../../support/letters.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { batchOf } from '../../conformance/rows.ts'
import { numberRows, numberSchema, numbersOf } from '../../support/number-rows.ts'
import { sourceChain, writeTopics } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { untilDisposed } from '../../support/while-running.ts'

/** Rows are of the lane of their tens: 41 and 42 are of lane 4. */
const laneOf = (number: number): string => `lane ${Math.floor(number / 10)}`

interface Script {
  /** How long a row has to wait at an attempt; null: it is taken. */
  waitMs: (number: number, attempts: number) => number | null
  readonly timers?: Timers
  readonly taken: number[]
  readonly ids: string[]
  readyMs?: (group: string) => number
  /** How long rows that waited are under way; a moment without it. */
  readonly hold?: () => Promise<unknown>
  /** Rows that waited and are under way, now and at most. */
  readonly under: { now: number; most: number }
}

/** Takes rows, or sets them aside behind others of their lane, as a sink that keeps order does. */
function sinkOf(script: Script): Sink {
  return {
    ...(script.timers === undefined ? {} : { timers: script.timers }),
    readyMs: (group) => script.readyMs?.(group) ?? 0,
    evolve: async () => {},
    truncate: async () => {},
    write: async (sent: SinkBatch) => {
      const waiting: RowWait[] = []
      script.ids.push(sent.id)
      if (sent.waited !== undefined) {
        script.under.most = Math.max(script.under.most, ++script.under.now)
        await (script.hold?.() ?? setTimeout(20))
        script.under.now--
      }
      numbersOf(sent.batch).forEach((number, row) => {
        const lane = laneOf(number)
        const set = (dueMs: number, attempts: number): void => {
          if (sent.waited === undefined) assert.ok(sent.waiting?.take(lane, 1))
          const problem = { code: 'sink.webhook.exhausted', message: 'waits' } as const
          waiting.push({ ...problem, row, attempts, dueMs, lane, group: lane })
        }
        if (sent.waited === undefined && sent.waiting?.has(lane) === true) return set(Date.now(), 0)
        const ms = script.waitMs(number, sent.waited?.attempts ?? 0)
        if (ms !== null) return set(Date.now() + ms, 1)
        script.taken.push(number)
      })
      return { rejected: [], waiting }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function connectorOf(script: Script): SinkConnector<unknown> {
  return {
    kind: 'waiting',
    config: z.unknown(),
    delivery: 'at-least-once' as const,
    schemaChanges: absorbsAll,
    batching: () => ({ rowsMax: 2, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0, ahead: 3 }),
    check: async () => [],
    open: async () => sinkOf(script),
  }
}

function deliver(log: Log, script: Script): AsyncDisposable {
  const connector = connectorOf(script)
  const task = { connector, config: {}, from: ['s.*'], chains: [sourceChain] }
  return untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
}

function script(more: Partial<Script> = {}): Script {
  return { waitMs: () => null, taken: [], ids: [], under: { now: 0, most: 0 }, ...more }
}

const write = (log: Log, numbers: readonly number[]): Promise<void> =>
  writeTopics(log, { kind: 'rows', topic: 's.t', batch: numberRows(numbers, numberSchema()) })

test('the cursor passes a row that waits; its lane goes on in order, the others at once (invariant 5)', async () => {
  const log = await testLog()
  let held = true
  const sink = script({ waitMs: (number) => (number === 41 && held ? 150 : null) })
  await using _running = deliver(log, sink)
  await write(log, [41, 10, 42, 11, 43, 12])
  await doneAt(log, 6)
  assert.deepEqual(
    sink.taken.toSorted((a, b) => a - b),
    [10, 11, 12],
  )
  const waiting = await lettersOf(log)
  assert.deepEqual(
    waiting.map(({ state, offset, attempts }) => [state, offset, attempts! > 0]),
    [
      ['waiting', 0, true],
      ['waiting', 2, false],
      ['waiting', 4, false],
    ],
  )
  held = false
  await waitFor('all letters to be over', async () => (await lettersOf(log)).length === 0)
  assert.deepEqual(sink.taken.slice(-3), [41, 42, 43])
  assert.equal((await notesOf(log))?.letters?.open, 0)
})

test('what waits is found again after a restart, and later rows of its lane stay behind it (invariants 2, 5)', async () => {
  const log = await testLog()
  {
    await using _running = deliver(
      log,
      script({ waitMs: (number) => (number === 41 ? 60_000 : null) }),
    )
    await write(log, [41, 42])
    await doneAt(log, 2)
  }
  const [first] = await lettersOf(log)
  const told: Timer[] = []
  let due: (offset: number) => void = () => {}
  const timers: Timers = {
    lateMs: 60_000,
    start: (_, call) => {
      due = call
    },
    set: (list) => void told.push(...list),
    [Symbol.asyncDispose]: async () => {},
  }
  const sink = script({ timers })
  await using _running = deliver(log, sink)
  await write(log, [43, 50])
  await doneAt(log, 4)
  assert.deepEqual(sink.taken, [50])
  // The timer is set anew from the log, for the row whose turn it is.
  await waitFor('the timer', async () => told.length > 0)
  assert.deepEqual(told, [
    { topic: 's.t', offset: 0, attempt: 1, group: 'lane 4', dueMs: first!.waits!.dueUs / 1000 },
  ])
  due(0)
  await waitFor('the lane', async () => (await lettersOf(log)).length === 0)
  assert.deepEqual(sink.taken, [50, 41, 42, 43])
})

test('a timer that never tells is made up for by the log, a little late (invariant 5)', async () => {
  const log = await testLog()
  const timers: Timers = {
    lateMs: 100,
    start: () => {},
    set: () => {},
    [Symbol.asyncDispose]: async () => {},
  }
  const sink = script({ timers, waitMs: (_, attempts) => (attempts === 0 ? 50 : null) })
  await using _running = deliver(log, sink)
  await write(log, [1])
  await waitFor('the row', async () => sink.taken.length === 1)
})

test('what is sent again has the id that the log gives it; attempts add up (invariant 6)', async () => {
  const log = await testLog()
  const sink = script({ waitMs: (_, attempts) => (attempts < 3 ? 20 : null) })
  await using _running = deliver(log, sink)
  await write(log, [7])
  await waitFor('the row', async () => sink.taken.length === 1)
  assert.deepEqual(
    sink.ids.filter((id) => id.includes(':waited:')),
    ['sluice:p:k:s.t:waited:0', 'sluice:p:k:s.t:waited:1', 'sluice:p:k:s.t:waited:2'],
  )
})

test('a group that is not ready is asked again, and holds up no other (invariant 8)', async () => {
  const log = await testLog()
  let ready = false
  const sink = script({
    waitMs: (_, attempts) => (attempts === 0 ? 10 : null),
    readyMs: (group) => (group === 'lane 1' && !ready ? 50 : 0),
  })
  await using _running = deliver(log, sink)
  await write(log, [11, 21])
  await waitFor('the other lane', async () => sink.taken.includes(21))
  assert.deepEqual(sink.taken, [21])
  ready = true
  await waitFor('the group', async () => sink.taken.length === 2)
})

test('large rows that are due together are under way a few at a time (invariant 8)', async () => {
  const log = await testLog()
  const schema = makeSchema(
    [
      { name: 'n', type: { kind: 'int64' }, nullable: false },
      { name: 'v', type: { kind: 'text' }, nullable: false },
    ],
    [],
    'append',
  )
  const large = 'x'.repeat(2 ** 20)
  const sink: Script = script({
    waitMs: (_, attempts) => (attempts === 0 ? 1000 : null),
    // However slowly they come: the first stay under way until a few are.
    hold: () => waitFor('five at a time', () => sink.under.most > 4),
  })
  await using _running = deliver(log, sink)
  for (let n = 0; n < 100; n += 4) {
    const rows = [0, 1, 2, 3].map((i) => ({ values: { n: BigInt((n + i) * 10), v: large } }))
    await writeTopics(log, { kind: 'rows', topic: 's.t', batch: batchOf(schema, rows) })
  }
  await waitFor('all', async () => sink.taken.length === 100)
  assert.ok(sink.under.most > 4 && sink.under.most <= 40, `${sink.under.most} at a time`)
})

test('a row that waited is brought into one shape, also while the next one is being planned (invariant 5)', async () => {
  const log = await testLog()
  let due: (offset: number) => void = () => {}
  const timers: Timers = {
    lateMs: 60_000,
    start: (_, call) => {
      due = call
    },
    set: () => {},
    [Symbol.asyncDispose]: async () => {},
  }
  const waited: unknown[] = []
  let tried = (): void => {}
  const isTried = new Promise<void>((resolve) => (tried = resolve))
  const sink: Sink = {
    ...sinkOf(script({ timers })),
    write: async ({ batch, offset, waited: before, waiting }) => {
      if (before !== undefined) {
        waited.push(JSON.parse(jsonRows(batch)(0)))
        tried()
      } else if (offset === 0) {
        assert.ok(waiting?.take('lane', 1))
        const problem = { code: 'sink.webhook.exhausted', message: 'waits' } as const
        const dueMs = Date.now() + 3_600_000
        const wait = { ...problem, row: 0, attempts: 1, dueMs, lane: 'lane', group: 'lane' }
        return { rejected: [], waiting: [wait] }
      }
      return { rejected: [], waiting: [] }
    },
  }
  const connector = { ...connectorOf(script()), open: async () => sink }
  const from = {
    from: ['s.*'],
    chains: [sourceChain],
    onSchemaChange: { policy: 'evolve' },
  } as const
  const task = { connector, config: {}, ...from }
  await using _running = untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
  const writeAs = async (name: string): Promise<void> => {
    const field = { name, type: { kind: 'text' }, nullable: true } as const
    const batch = batchOf(makeSchema([field], [], 'append'), [{ values: { [name]: 'x' } }])
    await writeTopics(log, { kind: 'rows', topic: 's.t', batch })
  }
  await writeAs('a')
  await writeAs('b')
  await doneAt(log, 2)
  // The plan of the first row named `c` is not durable before the row that waited was tried.
  const create = log.store.create.bind(log.store)
  log.store.create = async (key, ...rest) => {
    if (key.startsWith(`chains/${sinkChain}/c/`)) {
      due(0)
      await isTried
    }
    return create(key, ...rest)
  }
  await writeAs('c')
  await doneAt(log, 3)
  assert.deepEqual(waited, [{ b: 'x' }])
})
