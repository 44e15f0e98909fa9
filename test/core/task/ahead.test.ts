/**
 * Several deliveries of one topic under way, for a sink that keeps its own order: they enter in order
 * and may end in any; the cursor moves over the oldest only; a restart sends every plan again as it
 * was. Attacks invariants 5 and 6.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import type { TopicState } from '../../../core/task/delivery-log.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { waitFor } from '../../support/env.ts'
import { statesOf } from '../../support/letters.ts'
import { numberRows, numberSchema } from '../../support/number-rows.ts'
import { deliverTo, sinkScript, writeTopics, type Attempt } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const batching = { rowsMax: 2, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0, ahead: 3 }

function rows(values: readonly number[], schema = numberSchema()): LogEntry {
  return { kind: 'rows', topic: 's.t', batch: numberRows(values, schema) }
}

async function stateOf(log: Log): Promise<TopicState | undefined> {
  return (await statesOf(log))['s.t']
}

/** Holds attempts until the test lets them go, by offset. */
class Gate {
  readonly #held = new Map<number, () => void>()
  answer = (attempt: Attempt, signal: AbortSignal): Promise<never> =>
    new Promise((resolve, reject) => {
      this.#held.set(attempt.offset, () => resolve([] as never))
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  async open(offset: number): Promise<void> {
    const release = await waitFor(`offset ${offset}`, () => this.#held.get(offset))
    release()
  }
}

test('later deliveries may end first; the cursor waits for the oldest', async () => {
  const log = await testLog()
  await writeTopics(log, rows([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))
  const gate = new Gate()
  const script = sinkScript({ batching, answer: gate.answer })
  const stop = new AbortController()
  const task = deliverTo(script, taskContext(log, 'k'), stop.signal)
  await waitFor('four under way', () => script.attempts.length === 4)
  await gate.open(4)
  await gate.open(2)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal((await stateOf(log))?.done, 0, 'the oldest is not over')
  assert.deepEqual(
    script.attempts.map(({ offset }) => offset),
    [0, 2, 4, 6],
    'and no more room',
  )
  await gate.open(0)
  await waitFor('the cursor', async () => (await stateOf(log))?.done === 6)
  for (const offset of [6, 8, 10]) await gate.open(offset)
  await waitFor('the end', async () => (await stateOf(log))?.done === 12)
  stop.abort()
  await task
  assert.deepEqual(
    script.attempts.flatMap(({ numbers }) => numbers),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  )
})

test('a restart sends every plan that was under way again, with its id and rows', async () => {
  const log = await testLog()
  await writeTopics(log, rows([1, 2, 3, 4, 5, 6]))
  const gate = new Gate()
  const first = sinkScript({ batching, answer: gate.answer })
  const stop = new AbortController()
  const task = deliverTo(first, taskContext(log, 'k'), stop.signal)
  await waitFor('three under way', () => first.attempts.length === 3)
  await gate.open(2)
  await waitFor('three plans', async () => (await stateOf(log))?.ahead?.length === 2)
  stop.abort()
  await task
  const again = sinkScript({ batching: { ...batching, rowsMax: 100 } })
  const stopAgain = new AbortController()
  const second = deliverTo(again, taskContext(log, 'k'), stopAgain.signal)
  await waitFor('the end', async () => (await stateOf(log))?.done === 6)
  stopAgain.abort()
  await second
  assert.deepEqual(again.attempts, first.attempts)
})

test('nothing is sent across a new schema or a truncate', async () => {
  const log = await testLog()
  const wider = numberSchema('m')
  await writeTopics(
    log,
    rows([1, 2, 3]),
    rows([4], wider),
    { kind: 'truncate', topic: 's.t' },
    rows([5], wider),
  )
  const under = new Set<number>()
  const script = sinkScript({
    batching,
    answer: async ({ offset, numbers }) => {
      under.add(offset)
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (numbers === null || numbers.includes(4) || numbers.includes(5))
        assert.equal(under.size, 1)
      under.delete(offset)
      return [] as never
    },
  })
  const stop = new AbortController()
  const task = deliverTo(script, taskContext(log, 'k'), stop.signal)
  await waitFor('the end', async () => (await stateOf(log))?.done === 6)
  stop.abort()
  await task
  assert.deepEqual(
    script.attempts.map(({ numbers }) => numbers),
    [[1, 2], [3], [4], null, [5]],
  )
})

test('a delivery that fails at first still enters before those after it', async () => {
  const log = await testLog()
  await writeTopics(log, rows([1, 2, 3, 4]))
  const entered: number[] = []
  const script = sinkScript({
    batching,
    answer: async ({ offset, attempt }) => {
      entered.push(offset)
      await Promise.resolve()
      if (offset === 0 && attempt === 1) {
        throw new SluiceError('sink.webhook.unreachable', { message: 'not now' })
      }
      return [] as never
    },
  })
  const stop = new AbortController()
  const task = deliverTo(script, taskContext(log, 'k'), stop.signal)
  await waitFor('the end', async () => (await stateOf(log))?.done === 4)
  stop.abort()
  await task
  assert.deepEqual(entered, [0, 2, 0])
})
