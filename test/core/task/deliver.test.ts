/**
 * The deliver loop against a sink that fails in every way a fault can, and that is stopped between
 * plan, send and done. Attacks invariants 2, 5 and 6.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { jsonRows } from '../../../core/record/json.ts'
import { batchOfKept, keptRow, letterEntry } from '../../../core/task/dead-letter-entry.ts'
import type { TopicState } from '../../../core/task/delivery-log.ts'
import { waitFor } from '../../support/env.ts'
import { sinkChain, statesOf } from '../../support/letters.ts'
import { numberRows, numberSchema } from '../../support/number-rows.ts'
import {
  deliverTo,
  sinkScript,
  sourceChain,
  writeTopics,
  type SinkScript,
} from '../../support/scripted-sink.ts'
import { taskContext, testLog, type TestContext } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'
import { failsWith } from '../../support/fails-with.ts'

const { signal } = new AbortController()

function rows(topic: string, values: readonly number[], schema = numberSchema()): LogEntry {
  return { kind: 'rows', topic, batch: numberRows(values, schema) }
}

/** Runs the loop until every topic of `done` is delivered up to that offset. */
async function deliverUntil(
  log: Log,
  script: SinkScript,
  done: Readonly<Record<string, number>>,
): Promise<TestContext> {
  const ctx = taskContext(log, 'k')
  const arrived = async (): Promise<boolean> => {
    const found = await statesOf(log)
    return Object.entries(done).every(([topic, offset]) => found[topic]?.done === offset)
  }
  await whileRunning(
    (stop) => deliverTo(script, ctx, stop),
    () => waitFor('delivery', arrived),
  )
  return ctx
}

const delivered = (script: SinkScript): (number | null)[] =>
  script.attempts.flatMap(({ numbers }): readonly (number | null)[] => numbers ?? [null])

test('rows, a new schema and a truncate arrive in order, each batch under its own id (invariant 6)', async () => {
  const log = await testLog()
  const wider = numberSchema('m')
  await writeTopics(log, rows('s.t', [1, 2]), rows('s.t', [3], wider))
  await writeTopics(log, { kind: 'truncate', topic: 's.t' }, rows('s.t', [4], wider))
  const script = sinkScript()
  await deliverUntil(log, script, { 's.t': 5 })
  assert.deepEqual(delivered(script), [1, 2, 3, null, 4])
  assert.deepEqual(script.schemas, ['s.t: n', 's.t: m'])
  assert.deepEqual(
    script.attempts.map(({ offset }) => offset),
    [0, 2, 3, 4],
  )
  assert.equal(new Set(script.attempts.map(({ id }) => id)).size, 4)
})

test('after a transient error the same batch is sent again under the same id (invariant 6)', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.t', [1, 2]))
  let failures = 2
  const script = sinkScript({
    answer: () => {
      if (failures-- > 0)
        throw new SluiceError('sink.webhook.unreachable', { message: 'no answer' })
      return []
    },
  })
  const appended = waitFor('the first attempt', () => script.attempts.length > 0)
  // What comes meanwhile does not change the batch.
  const more = appended.then(async () => writeTopics(log, rows('s.t', [3])))
  const ctx = await deliverUntil(log, script, { 's.t': 3 })
  await more
  assert.deepEqual(
    script.attempts.map(({ attempt, numbers }) => [attempt, numbers]),
    [
      [1, [1, 2]],
      [2, [1, 2]],
      [3, [1, 2]],
      [1, [3]],
    ],
  )
  assert.equal(new Set(script.attempts.slice(0, 3).map(({ id }) => id)).size, 1)
  assert.deepEqual(
    ctx.troubles.map((error) => error?.code),
    ['sink.webhook.unreachable', 'sink.webhook.unreachable', undefined],
  )
})

test('a topic that cannot go on is parked with its reason, and the others go on (invariant 5)', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.bad', [1]), rows('s.good', [2]))
  const script = sinkScript({
    answer: ({ topic }) => {
      if (topic === 's.bad') throw new SluiceError('sink.clickhouse.url', { message: 'not there' })
      return []
    },
  })
  await deliverUntil(log, script, { 's.bad': 0, 's.good': 1 })
  await writeTopics(log, rows('s.good', [3]))
  await deliverUntil(log, script, { 's.good': 2 })
  const { 's.bad': bad } = await statesOf(log)
  assert.equal(bad?.parked?.code, 'sink.clickhouse.url')
  assert.equal(bad?.parked?.message, 'not there')
  // It is still planned: cured, it goes on with that batch.
  const cured = sinkScript()
  await deliverUntil(log, cured, { 's.bad': 1 })
  assert.deepEqual(delivered(cured), [1])
  assert.equal(cured.attempts[0]?.id, script.attempts.find(({ topic }) => topic === 's.bad')?.id)
  assert.equal((await statesOf(log))['s.bad']?.parked, null)
})

test('rejected rows are dead letters in the commit that passes them (invariants 2, 5)', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.t', [10, 11, 12]))
  const script = sinkScript({
    answer: () => [{ row: 1, code: 'sink.webhook.rejected', message: 'said 422', attempts: 3 }],
  })
  await deliverUntil(log, script, { 's.t': 3 })
  const { signal } = new AbortController()
  await using reader = ChainReader.open(log, sinkChain, 1)
  const letters: unknown[] = []
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) break
    for (const [index] of commit.blocks.entries()) {
      const batch = await reader.readBlock(commit, index, signal)
      const { topics } = commit.notes as { topics: Record<string, TopicState> }
      const entry = letterEntry(batch!, 0, commit.blocks[index]!.baseOffset)
      const { topic, offset, code, message, attempts, row, op, weight } = entry
      const kept = jsonRows(batchOfKept([keptRow(batch!, 0)!]))(0)
      const letter = { topic, offset, code, message, attempts, row, op, weight, kept }
      letters.push({ ...letter, done: topics['s.t']?.done, rows: batch!.rows })
    }
  }
  assert.deepEqual(letters, [
    {
      topic: 's.t',
      offset: 1,
      code: 'sink.webhook.rejected',
      message: 'said 422',
      attempts: 3,
      row: '{"n":11}',
      op: 'insert',
      weight: 1,
      kept: '{"n":11}',
      done: 3,
      rows: 1,
    },
  ])
})

/** Resolves only by being aborted: the process is stopped while the batch is under way. */
const never = (_: unknown, signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

/** Runs the loop until the sink has been asked, and stops it before it answers. */
async function stopWhileSending(log: Log, script: SinkScript): Promise<void> {
  const stop = new AbortController()
  const task = deliverTo(script, taskContext(log, 'k'), stop.signal)
  await waitFor('an attempt', () => script.attempts.length > 0)
  stop.abort()
  await task
}

test('stopped between plan and answer, the same batch comes again, whatever came since (invariant 6)', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.t', [1, 2]))
  const first = sinkScript({ answer: never })
  await stopWhileSending(log, first)
  assert.equal((await statesOf(log))['s.t']?.done, 0)
  await writeTopics(log, rows('s.t', [3]))
  // Other limits since, as after an upgrade: the plan stands.
  const batching = { rowsMax: 1, bytesMax: 1, pauseMsMin: 0, pauseMsMax: 0 }
  const second = sinkScript({ batching })
  await deliverUntil(log, second, { 's.t': 3 })
  assert.deepEqual(second.attempts[0], first.attempts[0])
  assert.deepEqual(delivered(second), [1, 2, 3])
})

test('a plan whose rows are not those of the log is never sent (invariant 6)', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.t', [1, 2]))
  await stopWhileSending(log, sinkScript({ answer: never }))
  const planned = await statesOf(log)
  const plan = planned['s.t']!.plan!
  const changed = { ...planned['s.t']!, plan: { ...plan, hash: plan.hash ^ 1 } }
  const { signal } = new AbortController()
  {
    await using writer = await ChainWriter.open(log, sinkChain, { writer: 'test', signal })
    await writer.commit({ entries: [], notes: { topics: { 's.t': changed } } }, signal)
  }
  const script = sinkScript()
  const run = deliverTo(script, taskContext(log, 'k'), AbortSignal.timeout(60_000))
  await assert.rejects(run, failsWith('task.plan_changed'))
  assert.deepEqual(script.attempts, [])
})

test('a bug in a sink ends the task and every topic of it', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.a', [1]), rows('s.b', [2]))
  const script = sinkScript({
    answer: (attempt, signal) => {
      if (attempt.topic === 's.b') return never(attempt, signal)
      throw new SluiceError('internal.bug', { message: 'a bug' })
    },
  })
  const run = deliverTo(script, taskContext(log, 'k'), AbortSignal.timeout(60_000))
  await assert.rejects(run, failsWith('internal.bug'))
})

test('topics that all have a backlog share the memory of one sink, and all of them go on (invariant 8)', async () => {
  const topics = Array.from({ length: 20 }, (_, i) => `s.t${i}`)
  const log = await testLog()
  await using writer = await ChainWriter.open(log, sourceChain, { writer: 'test', signal })
  const numbers = Array.from({ length: 500 }, (_, i) => i)
  for (let i = 0; i < 30; i++) {
    await writer.commit({ entries: topics.map((topic) => rows(topic, numbers)) }, signal)
  }
  const blockBytes = numberRows(numbers).byteLength
  let release = (): void => {}
  const released = new Promise<void>((resolve) => (release = resolve))
  const script = sinkScript({
    batching: { rowsMax: 100_000, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 },
    answer: (_, abort) => {
      const stopped = new Promise<never>((_resolve, reject) => {
        abort.addEventListener('abort', () => reject(abort.reason as Error))
      })
      return Promise.race([released.then(() => []), stopped]) as Promise<never>
    },
  })
  let held = (): number => 0
  const ctx: TestContext = {
    ...taskContext(log, 'k'),
    report: ({ backlogBytes }) => {
      if (typeof backlogBytes === 'function') held = () => backlogBytes() ?? 0
    },
  }
  const heldBytesMax = 10 * blockBytes
  await whileRunning(
    (stop) => deliverTo(script, ctx, stop, { heldBytesMax }),
    async () => {
      await waitFor('every topic', () => script.attempts.length === topics.length)
      // A share was larger while fewer had one, and ends with a whole block.
      const most = 4 * heldBytesMax + topics.length * blockBytes
      assert.ok(held() <= most, `${held()} bytes, of ${most}`)
      release()
      await waitFor('all rows', async () => {
        const found = await statesOf(log)
        return topics.every((topic) => found[topic]?.done === 30 * numbers.length)
      })
    },
  )
})

test('a pause that the sink asks for holds also where topics share the memory (invariant 8)', async () => {
  const log = await testLog()
  const pauseMs = 3_600_000
  const numbers = Array.from({ length: 500 }, (_, i) => i)
  for (let i = 0; i < 10; i++) await writeTopics(log, rows('s.t', numbers))
  const script = sinkScript({
    batching: { rowsMax: 100_000, bytesMax: 1 << 20, pauseMsMin: pauseMs, pauseMsMax: pauseMs },
  })
  const usual = taskContext(log, 'k')
  const pauses = new Set<() => void>()
  const sleep = async (ms: number, stop: AbortSignal): Promise<void> => {
    if (ms < pauseMs / 2) return usual.clock.sleep(ms, stop)
    stop.throwIfAborted()
    const over = new Promise<void>((resolve, reject) => {
      pauses.add(resolve)
      stop.addEventListener('abort', () => {
        pauses.delete(resolve)
        reject(stop.reason as Error)
      })
    })
    await over
  }
  let held = (): number => 0
  const ctx: TestContext = {
    ...usual,
    clock: { nowMs: () => usual.clock.nowMs(), sleep },
    report: ({ backlogBytes }) => {
      if (typeof backlogBytes === 'function') held = () => backlogBytes() ?? 0
    },
  }
  // Two blocks, so that there are always more rows to come than memory for them.
  const heldBytesMax = 2 * numberRows(numbers).byteLength
  await whileRunning(
    (stop) => deliverTo(script, ctx, stop, { heldBytesMax }),
    async () => {
      for (const sent of [1, 2, 3]) {
        const pausing = (): boolean => pauses.size > 0 && held() === heldBytesMax
        await waitFor('a pause', () => pausing() || script.attempts.length > sent)
        assert.equal(script.attempts.length, sent)
        for (const end of pauses) end()
        pauses.clear()
      }
    },
  )
})
