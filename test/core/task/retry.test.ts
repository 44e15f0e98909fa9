/**
 * Dead letters that are sent again, dropped, or that stop their topic: the deliver loop with requests
 * from outside. Attacks invariants 2, 5, 6 and 8.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import type { LetterBudget } from '../../../core/connector/letter-budget.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { batchOf } from '../../conformance/rows.ts'
import { runChild } from '../../support/child.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { ask, byTopic, doneAt, lettersOf, notesOf, over, retryOf } from '../../support/letters.ts'
import { numberRows, numberSchema } from '../../support/number-rows.ts'
import {
  scriptedSink,
  sinkScript,
  sourceChain,
  writeTopics,
  type Attempt,
  type SinkScript,
} from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { untilDisposed } from '../../support/while-running.ts'

function rows(values: readonly number[], topic = 's.t', schema = numberSchema()): LogEntry {
  return { kind: 'rows', topic, batch: numberRows(values, schema) }
}

/** Refuses rows whose number is one of `bad`. */
function refusing(bad: ReadonlySet<number>): NonNullable<SinkScript['answer']> {
  return ({ numbers }: Attempt) =>
    (numbers ?? []).flatMap((number, row) =>
      bad.has(number)
        ? [{ row, code: 'sink.webhook.rejected', message: 'said 422', attempts: 1 }]
        : [],
    )
}

function deliver(
  log: Log,
  script: SinkScript,
  deadLetters?: LetterBudget,
  from: readonly string[] = ['s.*'],
): AsyncDisposable {
  const task = {
    connector: scriptedSink(script),
    config: {},
    from,
    chains: [sourceChain],
    ...(deadLetters === undefined ? {} : { deadLetters }),
  }
  return untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
}

const again = (script: SinkScript): Attempt[] =>
  script.attempts.filter(({ id }) => /:(?:retry|replay):/.test(id))

test('a letter that is sent again and taken is gone; one that is refused again is the same letter', async () => {
  const log = await testLog()
  const bad = new Set([11, 13, 14])
  const script = sinkScript({ answer: refusing(bad) })
  await using _running = deliver(log, script)
  await writeTopics(log, rows([10, 11, 12, 13, 14]))
  await doneAt(log, 5)
  const before = await lettersOf(log)
  assert.deepEqual(
    before.map(({ letter, offset, attempts, row, op, weight }) => [
      letter,
      offset,
      attempts,
      row,
      op,
      weight,
    ]),
    [
      [0, 1, 1, '{"n":11}', 'insert', 1],
      [1, 3, 1, '{"n":13}', 'insert', 1],
      [2, 4, 1, '{"n":14}', 'insert', 1],
    ],
  )
  bad.delete(11)
  bad.delete(14)
  const { number } = await ask(log, retryOf(before))
  const ended = await over(log, number)
  assert.deepEqual([ended.how, ended.sent, ended.refused, ended.skipped], ['done', 2, 1, 0])
  assert.deepEqual(
    again(script).map(({ id, offset, numbers, origin }) => [id, offset, numbers, origin]),
    [
      ['sluice:p:k:s.t:retry:0:0', 1, [11], 'retry'],
      ['sluice:p:k:s.t:retry:0:1', 3, [13, 14], 'retry'],
    ],
  )
  const [left, ...none] = await lettersOf(log)
  assert.deepEqual(none, [])
  assert.deepEqual([left?.letter, left?.offset, left?.attempts], [1, 3, 2])
  assert.equal(left?.firstUs, before[1]!.firstUs)
  assert.ok(left!.atUs >= before[1]!.atUs)
  assert.equal((await notesOf(log))?.letters?.open, 1)
})

test('a request for letters of a topic that the sink gets no more does the others, and says so', async () => {
  const log = await testLog()
  const bad = new Set([1])
  const script = sinkScript({ answer: refusing(bad) })
  {
    await using _running = deliver(log, script)
    await writeTopics(log, rows([1]), rows([1], 's.u'))
    await waitFor('both letters', async () => (await lettersOf(log)).length === 2)
  }
  bad.clear()
  await using _running = deliver(log, script, undefined, ['s.t'])
  const request = await ask(log, retryOf(await lettersOf(log)))
  const { how, sent, problem } = await over(log, request.number)
  assert.deepEqual([how, sent], ['failed', 1])
  assert.match(problem ?? '', /does not get s\.u /)
  assert.equal((await lettersOf(log)).length, 1)
})

test('a request that is made while nothing runs is done at the next start, once (invariant 2)', async () => {
  const log = await testLog()
  const bad = new Set([1, 2])
  const script = sinkScript({ answer: refusing(bad) })
  {
    await using _running = deliver(log, script)
    await writeTopics(log, rows([1, 2, 3]))
    await doneAt(log, 3)
  }
  bad.clear()
  const letters = await lettersOf(log)
  await ask(log, retryOf(letters.slice(0, 1)))
  await ask(log, { kind: 'drop', letters: [letters[1]!.letter] })
  for (let start = 0; start < 2; start++) {
    await using _running = deliver(log, script)
    assert.equal((await over(log, 0)).sent, 1)
    assert.equal((await over(log, 1)).sent, 1)
  }
  assert.equal(again(script).length, 1)
  assert.deepEqual(await lettersOf(log), [])
})

test('stopped between plan and answer, a retry comes again as it was planned (invariant 6)', async () => {
  const log = await testLog()
  const bad = new Set([1, 2, 4])
  {
    await using _running = deliver(log, sinkScript({ answer: refusing(bad) }))
    await writeTopics(log, rows([1, 2, 3, 4]))
    await doneAt(log, 4)
  }
  await ask(log, retryOf(await lettersOf(log)))
  const hanging = sinkScript({
    answer: async (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      }),
  })
  {
    await using _running = deliver(log, hanging)
    await waitFor('an attempt', () => hanging.attempts.length > 0)
    // A drop of what is being sent comes too late: it may be in the target already.
    const late = await ask(log, { kind: 'drop', letters: [0] })
    assert.equal((await over(log, late.number)).skipped, 1)
  }
  const second = sinkScript()
  await using _running = deliver(log, second)
  await over(log, 0)
  assert.deepEqual(second.attempts[0], hanging.attempts[0])
  assert.deepEqual(
    second.attempts.map(({ numbers }) => numbers),
    [[1, 2], [4]],
  )
  assert.deepEqual(await lettersOf(log), [])
})

test('batches go side by side where the sink takes several, in the order of their offsets', async () => {
  const log = await testLog()
  const odd = new Set([1, 3, 5, 7, 9])
  const batching = { rowsMax: 100, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0, ahead: 2 }
  const script = sinkScript({ batching, answer: refusing(odd) })
  await using _running = deliver(log, script)
  await writeTopics(log, rows([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
  await doneAt(log, 10)
  odd.clear()
  odd.add(5)
  const { number } = await ask(log, retryOf(await lettersOf(log)))
  assert.deepEqual(await counts(log, number), ['done', 4, 1])
  assert.deepEqual(
    again(script).map(({ id, offset }) => [id.split(':').at(-1), offset]),
    [1, 3, 5, 7, 9].map((offset, batch) => [String(batch), offset]),
  )
  assert.deepEqual(
    (await lettersOf(log)).map(({ offset, attempts }) => [offset, attempts]),
    [[5, 2]],
  )
})

test('rows are brought into the shape that the target has by now', async () => {
  const log = await testLog()
  const bad = new Set([1])
  const script = sinkScript({ answer: refusing(bad) })
  await using _running = deliver(log, script)
  const old = { kind: 'rows', topic: 's.t', batch: pairs([1, 2], ['a']) } as const
  const wider = { kind: 'rows', topic: 's.t', batch: pairs([3], ['a', 'b']) } as const
  await writeTopics(log, old, wider)
  await doneAt(log, 3)
  bad.clear()
  const { number } = await ask(log, retryOf(await lettersOf(log)))
  assert.equal((await over(log, number)).sent, 1)
  assert.deepEqual(script.schemas, ['s.t: a', 's.t: a, b'], 'the target is not turned back')
})

test('a topic over its budget waits, and goes on when letters are over (invariants 5, 8)', async () => {
  const log = await testLog()
  const bad = new Set([1, 2, 3, 4, 5])
  const script = sinkScript({
    answer: refusing(bad),
    batching: { rowsMax: 2, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 },
  })
  const budget = { max: 3, rate: 1 }
  await writeTopics(log, rows([1, 2, 3, 4, 5, 6, 7]), rows([100], 's.other'))
  {
    await using _running = deliver(log, script, budget)
    await waitFor('parked', async () => (await notesOf(log))?.topics['s.t']?.parked != null)
    await doneAt(log, 1, 's.other')
    const { done, parked } = (await notesOf(log))!.topics['s.t']!
    assert.equal(done, 4, 'a batch more than the budget, no more')
    assert.equal(parked?.code, 'task.dead_letter_budget')
  }
  await using _running = deliver(log, script, budget)
  await waitFor('parked', async () => (await notesOf(log))?.topics['s.t']?.parked != null)
  const letters = await lettersOf(log)
  assert.equal(letters.length, 4)
  bad.delete(1)
  bad.delete(2)
  await ask(log, retryOf(letters.slice(0, 2)))
  await doneAt(log, 6)
  await waitFor('parked again', async () => (await notesOf(log))?.topics['s.t']?.parked != null)
  await ask(log, { kind: 'drop', letters: (await lettersOf(log)).map(({ letter }) => letter) })
  await doneAt(log, 7)
  assert.equal((await notesOf(log))?.topics['s.t']?.parked, null)
})

test('a replay of a key sends its letter and every later row of it, then the live ones', async () => {
  const log = await testLog()
  const bad = new Set([1])
  const script = sinkScript({ answer: refusing(bad) })
  await using _running = deliver(log, script)
  await writeTopics(
    log,
    keyed([
      [7, 1],
      [8, 2],
    ]),
    keyed([
      [7, 3],
      [8, 4],
      [7, 5],
    ]),
  )
  await doneAt(log, 5)
  bad.clear()
  const { number } = await ask(log, { kind: 'replay_keys', letters: byTopic(await lettersOf(log)) })
  assert.deepEqual(await counts(log, number), ['done', 3, 0])
  assert.deepEqual(
    again(script).map(({ offset, numbers, origin }) => [offset, numbers, origin]),
    [
      [0, [1], 'replay'],
      [2, [3], 'replay'],
      [4, [5], 'replay'],
    ],
  )
  assert.deepEqual(await lettersOf(log), [])
})

test('a replay sends a stretch of the log again, as its condition says, and no row that is not delivered yet', async () => {
  const log = await testLog()
  const script = sinkScript({
    batching: { rowsMax: 3, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 },
  })
  await using _running = deliver(log, script)
  await writeTopics(log, rows([0, 1, 2, 3]), rows([4, 5, 6, 7, 8, 9]))
  await doneAt(log, 10)
  const body = { kind: 'replay', topic: 's.t', from: 1, to: 1000, where: 'n % 4 <> 0' } as const
  const { number } = await ask(log, body)
  assert.deepEqual(await counts(log, number), ['done', 7, 0])
  assert.deepEqual(
    again(script).map(({ offset, numbers }) => [offset, numbers]),
    [
      [1, [1, 2, 3]],
      [5, [5, 6, 7]],
      [9, [9]],
    ],
  )
  // What nobody can decide is said.
  const failing = await over(log, (await ask(log, { ...body, where: '10 / (n - 2) > 4' })).number)
  assert.deepEqual([failing.how, failing.sent], ['failed', 2])
  assert.match(failing.problem ?? '', /the condition failed for 1 row /)
  const outside = { ...body, from: 3, where: '10 / (n - 2) > 4' }
  assert.deepEqual(await counts(log, (await ask(log, outside)).number), ['done', 2, 0])
  const wrong = await ask(log, { ...body, where: 'nothing = 1' })
  const ended = await over(log, wrong.number)
  assert.deepEqual([ended.how, ended.sent], ['failed', 0])
  assert.match(ended.problem!, /sql\.unknown_column/)
})

test('a request is cancelled while it is being sent, and the topic goes on', async () => {
  const log = await testLog()
  const hang = { on: false }
  const script = sinkScript({
    answer: (_, signal) =>
      hang.on
        ? new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
          })
        : [],
  })
  await using _running = deliver(log, script)
  await writeTopics(log, rows([0, 1, 2]))
  await doneAt(log, 3)
  hang.on = true
  const body = { kind: 'replay', topic: 's.t', from: 0, to: 3, where: null } as const
  const { number } = await ask(log, body)
  await waitFor('an attempt', () => again(script).length > 0)
  hang.on = false
  const cancel = await ask(log, { kind: 'cancel', request: number })
  assert.equal((await over(log, cancel.number)).how, 'done')
  assert.equal((await over(log, number)).how, 'cancelled')
  await writeTopics(log, rows([3]))
  await doneAt(log, 4)
  const none = await ask(log, { kind: 'cancel', request: 99 })
  assert.equal((await over(log, none.number)).how, 'failed')
})

test('processes that ask at once all get what they asked for', async () => {
  using folder = tempDir('ask')
  const url = `file://${folder.path}`
  const log = await testLog(url)
  const bodies = Array.from(
    { length: 8 },
    (_, i) => ({ kind: 'cancel', request: 100 + i }) as const,
  )
  // Each with a log of its own, as processes have it.
  const asked = await Promise.all(bodies.map(async (body) => ask(await testLog(url), body)))
  assert.deepEqual(new Set(asked.map(({ number }) => number)).size, 8)
  await using _running = deliver(log, sinkScript())
  for (const { number } of asked) await over(log, number)
  assert.equal((await notesOf(log))?.requests?.over.length, 8)
})

/** Rows of number columns of those names; all have the number. */
function pairs(numbers: readonly number[], names: readonly string[]): Batch {
  const fields = names.map((name) => ({ name, type: { kind: 'int32' }, nullable: true }) as const)
  return batchOf(
    makeSchema(fields, [], 'append'),
    numbers.map((n) => ({ values: Object.fromEntries(names.map((name) => [name, n])) })),
  )
}

/** Versions of keys: `[key, number]`. */
function keyed(versions: readonly (readonly [number, number])[]): LogEntry {
  const fields = ['n', 'key'].map(
    (name) => ({ name, type: { kind: 'int32' }, nullable: false }) as const,
  )
  const batch = batchOf(
    makeSchema(fields, [1], 'upsert'),
    versions.map(([key, n]) => ({ op: 'update', values: { n, key } })),
  )
  return { kind: 'rows', topic: 's.t', batch }
}

test('a process that dies after its request is written loses nothing, and its user may ask again', async () => {
  using folder = tempDir('ask')
  const url = `file://${folder.path}`
  const log = await testLog(url)
  const script = `
    const { ask } = await import(${JSON.stringify(new URL('../../support/letters.ts', import.meta.url).href)})
    const { testLog } = await import(${JSON.stringify(new URL('../../support/task-context.ts', import.meta.url).href)})
    await ask(await testLog(${JSON.stringify(url)}), { kind: 'drop', letters: [7] })`
  for (const failpoint of ['request.after_commit=1', 'log.commit.before_create=1', '']) {
    const end = await runChild(['--input-type=module', '--eval', script], { failpoints: failpoint })
    assert.equal(end, failpoint === '' ? 0 : 'SIGKILL')
  }
  await using _running = deliver(log, sinkScript())
  await over(log, 1)
  // Nothing of the one that died before its commit.
  assert.deepEqual(
    (await notesOf(log))?.requests?.over.map(({ number }) => number),
    [0, 1],
  )
})

async function counts(log: Log, number: number): Promise<unknown[]> {
  const { how, sent, refused } = await over(log, number)
  return [how, sent, refused]
}
