/**
 * A target built anew beside the one in use, through the deliver loop: it has every row up to the live
 * cursor once and in order when it takes the old one's place, live rows go on meanwhile, and a request
 * that cannot go on leaves the topic as it was. Attacks invariants 2, 5 and 6.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SinkResync } from '../../../core/connector/resync.ts'
import type { SinkConnector } from '../../../core/connector/sink.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { waitFor } from '../../support/env.ts'
import { ask, doneAt, lettersOf, notesOf, over } from '../../support/letters.ts'
import { numberRows } from '../../support/number-rows.ts'
import {
  scriptedSink,
  sinkScript,
  sourceChain,
  writeTopics,
  type SinkScript,
} from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { untilDisposed } from '../../support/while-running.ts'

const rows = (...numbers: number[]): LogEntry => ({
  kind: 'rows',
  topic: 's.t',
  batch: numberRows(numbers),
})

/** What a target remembers: the rows beside, and what was called. */
class Beside implements SinkResync {
  readonly calls: string[] = []
  readonly #script: SinkScript
  #from = 0
  #begun: string | null = null
  #over: string | null = null
  /** Rows of the target that took the old one's place. */
  taken: readonly number[] | null = null
  before: () => Promise<void> = () => Promise.resolve()

  constructor(script: SinkScript) {
    this.#script = script
  }

  async begin(...[, { id }]: Parameters<SinkResync['begin']>): Promise<'fresh' | 'going' | 'over'> {
    await this.before()
    if (this.#over === id) return 'over'
    if (this.#begun === id) return 'going'
    this.#begun = id
    this.#from = this.#script.attempts.length
    this.calls.push('begin')
    return 'fresh'
  }

  truncate(): Promise<void> {
    this.calls.push('truncate')
    return Promise.resolve()
  }

  finish(...[, { id }]: Parameters<SinkResync['finish']>): Promise<void> {
    this.calls.push('finish')
    this.#over = id
    const beside = this.#script.attempts.slice(this.#from)
    this.taken = beside.flatMap(({ origin, numbers }) =>
      origin === 'resync' ? (numbers ?? []) : [],
    )
    return Promise.resolve()
  }

  abandon(): Promise<void> {
    this.calls.push('abandon')
    return Promise.resolve()
  }
}

interface Running extends AsyncDisposable {
  readonly beside: Beside
  readonly script: SinkScript
}

function deliver(log: Log, options: { readonly without?: boolean } = {}): Running {
  const script = sinkScript({
    batching: { rowsMax: 3, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 },
  })
  const beside = new Beside(script)
  const plain = scriptedSink(script)
  const connector: SinkConnector<unknown> = {
    ...plain,
    open: async (...args) => {
      const sink = await plain.open(...args)
      return options.without === true ? sink : Object.assign(sink, { resync: beside })
    },
  }
  const task = { connector, config: {}, from: ['s.*'], chains: [sourceChain] }
  const loop = untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
  return { ...loop, beside, script }
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

test('every row once and in order, a truncate in its place, up to the live cursor', async () => {
  const log = await testLog()
  await writeTopics(log, rows(...numbers(0, 10)), { kind: 'truncate', topic: 's.t' })
  await writeTopics(log, rows(...numbers(11, 20)))
  await using running = deliver(log)
  await doneAt(log, 20)
  // Live rows that come while it is under way.
  let more = 20
  running.beside.before = async () => {
    if (more < 26) await writeTopics(log, rows(more++))
  }
  const { number } = await ask(log, { kind: 'resync', topic: 's.t', from: null })
  const outcome = await over(log, number)
  assert.equal(outcome.how, 'done', outcome.problem ?? '')
  const { taken, calls } = running.beside
  assert.deepEqual(taken, [...numbers(0, 10), ...numbers(11, 11 + taken!.length - 10)])
  assert.deepEqual(calls, ['begin', 'truncate', 'finish'])
  assert.ok(taken!.length >= 19)
  // From there on rows are live ones, the first of them the first that the new target lacks.
  await doneAt(log, more)
  const after = running.script.attempts.flatMap(({ origin, numbers: given }) =>
    origin === undefined ? (given ?? []) : [],
  )
  assert.deepEqual(after, [...numbers(0, 10), ...numbers(11, more)])
})

test('from a place that is named', async () => {
  const log = await testLog()
  await writeTopics(log, rows(...numbers(0, 8)))
  await using running = deliver(log)
  await doneAt(log, 8)
  const { number } = await ask(log, { kind: 'resync', topic: 's.t', from: 5 })
  assert.equal((await over(log, number)).how, 'done')
  assert.deepEqual(running.beside.taken, [5, 6, 7])
})

test('a sink that cannot, and a target that refuses, end the request and not the topic', async () => {
  for (const without of [true, false]) {
    const log = await testLog()
    await writeTopics(log, rows(0, 1))
    await using running = deliver(log, { without })
    await doneAt(log, 2)
    running.beside.before = () =>
      Promise.reject(new SluiceError('sink.clickhouse.table_name', { message: 'in the way' }))
    const { number } = await ask(log, { kind: 'resync', topic: 's.t', from: null })
    const { how, problem } = await over(log, number)
    assert.equal(how, 'failed')
    assert.match(problem!, without ? /cannot build/ : /in the way/)
    await writeTopics(log, rows(2))
    await doneAt(log, 3)
    assert.deepEqual(running.beside.calls, without ? [] : ['abandon'])
  }
})

test('a request that is cancelled leaves nothing, and the topic goes on', async () => {
  const log = await testLog()
  await writeTopics(log, rows(0, 1))
  await using running = deliver(log)
  await doneAt(log, 2)
  // It waits for a target that is not there for now.
  running.beside.before = () =>
    Promise.reject(new SluiceError('sink.clickhouse.unreachable', { message: 'gone' }))
  const { number } = await ask(log, { kind: 'resync', topic: 's.t', from: null })
  await waitFor(
    'it is taken',
    async () => (await notesOf(log))?.requests?.active[number] !== undefined,
  )
  await ask(log, { kind: 'cancel', request: number })
  assert.equal((await over(log, number)).how, 'cancelled')
  await writeTopics(log, rows(2))
  await doneAt(log, 3)
  assert.deepEqual(running.beside.calls, ['abandon'])
})

test('a row that the new target refuses is a dead letter, and the others are in it', async () => {
  const log = await testLog()
  await writeTopics(log, rows(...numbers(0, 8)))
  await using running = deliver(log)
  await doneAt(log, 8)
  running.script.answer = ({ origin, numbers: given }) =>
    (given ?? []).flatMap((number, row) =>
      origin === 'resync' && number === 4
        ? [{ row, code: 'sink.clickhouse.value_out_of_range', message: 'no', attempts: 1 }]
        : [],
    )
  const { number } = await ask(log, { kind: 'resync', topic: 's.t', from: null })
  const { how, sent, refused } = await over(log, number)
  assert.deepEqual({ how, sent, refused }, { how: 'done', sent: 7, refused: 1 })
  assert.deepEqual(
    (await lettersOf(log)).map(({ offset, code }) => [offset, code]),
    [[4, 'sink.clickhouse.value_out_of_range']],
  )
})
