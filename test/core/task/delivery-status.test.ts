/**
 * What the live status says of a sink: how far it is behind, and what is wrong with each of its
 * topics. Attacks invariant 5: a task that stands says why.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import type { LetterBudget } from '../../../core/connector/letter-budget.ts'
import { PlainRenderer } from '../../../core/observe/plain-renderer.ts'
import { StatusBoard } from '../../../core/observe/status.ts'
import type { TaskContext } from '../../../core/task/context.ts'
import { Lag } from '../../../core/task/lag.ts'
import { waitFor } from '../../support/env.ts'
import { numberRows, numberSchema } from '../../support/number-rows.ts'
import { deliverTo, sinkScript, writeTopics, type SinkScript } from '../../support/scripted-sink.ts'
import { ask, lettersOf, retryOf } from '../../support/letters.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

function rows(topic: string, ...values: readonly number[]): LogEntry {
  return { kind: 'rows', topic, batch: numberRows(values, numberSchema()) }
}

/** A deliver task that shows itself on a board, as `run` makes it; `end` stops it. */
function shown(log: Log, script: SinkScript, deadLetters?: LetterBudget) {
  const status = new StatusBoard().task({ kind: 'deliver', name: 'k' })
  const warnings: string[] = []
  const context = taskContext(log, 'k')
  const ctx: TaskContext = {
    ...context,
    logger: {
      ...context.logger,
      warn: (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
    },
    report: (report) => status.report(report),
    progress: (count, bytes) => status.progress(count, bytes),
    trouble: (error, about) => status.trouble(error, about),
  }
  const stop = new AbortController()
  const running = deliverTo(script, ctx, stop.signal, deadLetters && { deadLetters })
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  return { status, warnings, end }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

test('the lag is the age of the oldest row that waits, grows by itself, and is 0 when none does', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.t', 1), rows('s.u', 2))
  await pause(30)
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  let held = true
  const script = sinkScript({
    answer: ({ topic }) => (held && topic === 's.t' ? opened.then(() => Promise.reject(away)) : []),
  })
  const { status, end } = shown(log, script)
  await waitFor('the other topic', () => status.rows === 1)
  const before = status.lagMs!
  assert.ok(before >= 30, `${before} ms`)
  await pause(20)
  assert.ok(status.lagMs! >= before + 15, 'nobody reported anything meanwhile')
  assert.ok(status.backlogBytes! > 0)
  held = false
  open()
  await waitFor('the retry', () => status.rows === 2 && status.lagMs === 0)
  assert.equal(status.backlogBytes, 0)
  await pause(20)
  assert.equal(status.lagMs, 0)
  await writeTopics(log, rows('s.t', 3))
  await waitFor('the next row', () => status.rows === 3 && status.lagMs === 0)
  await end()
})

const away = new SluiceError('sink.webhook.unreachable', { message: 'no answer' })

test('each parked topic has its own reason on show until it is cured', async () => {
  const log = await testLog()
  const names = Array.from({ length: 8 }, (_, i) => `s.bad${i}`)
  await writeTopics(log, ...names.map((name) => rows(name, 1)), rows('s.good', 2))
  const script = sinkScript({
    answer: ({ topic }) => {
      if (topic === 's.good') return []
      throw new SluiceError('sink.clickhouse.url', { message: `${topic} is not there` })
    },
  })
  const { status, end } = shown(log, script)
  await waitFor('all of them', () => status.troubles.length === 8 && status.rows === 1)
  assert.equal(status.state, 'parked')
  assert.equal(status.detail, '8 topics')
  assert.deepEqual(status.troubles.map(({ about }) => about).toSorted(), names)
  const lines: string[] = []
  const board = { tasks: [status] } as unknown as StatusBoard
  new PlainRenderer(board, (line) => lines.push(line)).tick(0)
  assert.equal(lines.filter((line) => line.includes(' is not there')).length, 5)
  assert.equal(lines.at(-1), '  and 3 more')
  await end()
})

test('a topic that gets well takes only its own trouble away', async () => {
  const log = await testLog()
  await writeTopics(log, rows('s.bad', 1), rows('s.slow', 2))
  let failures = 2
  const script = sinkScript({
    answer: ({ topic }) => {
      if (topic === 's.bad') throw new SluiceError('sink.clickhouse.url', { message: 'not there' })
      if (failures-- > 0) throw away
      return []
    },
  })
  const { status, end } = shown(log, script)
  await waitFor('both', () => status.troubles.length === 2)
  await waitFor('the slow one', () => status.rows === 1)
  assert.deepEqual(
    status.troubles.map(({ about, code }) => [about, code]),
    [['s.bad', 'sink.clickhouse.url']],
  )
  assert.equal(status.state, 'parked')
  assert.equal(status.detail, 's.bad')
  await end()
})

test('between two rounds a busy task is not idle, and a task that lost its source falls behind', () => {
  let nowMs = 10_000
  const lag = new Lag({ nowMs: () => nowMs, sleep: () => assert.fail('no need') })
  assert.equal(lag.read(), 0)
  lag.begin(9000)
  lag.begin(9500)
  nowMs = 11_000
  assert.equal(lag.read(), 2000)
  lag.end()
  nowMs = 11_900
  assert.equal(lag.read(), 2000)
  nowMs = 12_000
  assert.equal(lag.read(), 0)
  nowMs = 20_000
  lag.lost()
  nowMs = 21_000
  assert.equal(lag.read(), 1000)
})

test('rows that are set aside are told; a topic that is within its budget again is well (invariant 5)', async () => {
  const log = await testLog()
  let isBad = true
  const script = sinkScript({
    answer: ({ numbers }) =>
      isBad
        ? (numbers ?? []).map((_, row) => ({
            row,
            code: 'sink.webhook.rejected',
            message: 'said 422',
            attempts: 1,
          }))
        : [],
  })
  await writeTopics(log, rows('s.t', 1, 2, 3))
  const { status, warnings, end } = shown(log, script, { max: 2, rate: 1 })
  await waitFor('parked', async () => status.state === 'parked')
  const [warning] = warnings
  assert.match(warning!, /^rows set aside .*"s\.t".*"rows":3.*sink\.webhook\.rejected.*said 422/)
  isBad = false
  await ask(log, retryOf(await lettersOf(log)))
  await waitFor('running', async () => status.state === 'running')
  assert.deepEqual([...status.troubles], [])
  await end()
})
