/**
 * The hub says what it does about a task that failed: why, when it tries again, and that it is over,
 * also for a task that has nothing to do by which it could say so itself.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { runHub, type HubTask } from '../../../core/hub/hub.ts'
import type { TaskContext } from '../../../core/task/context.ts'
import { taskContext, testLog, type TestContext } from '../../support/task-context.ts'

const away = new SluiceError('source.mysql.connection', { message: 'away' })
const wrong = new SluiceError('source.mysql.url', { message: 'wrong' })

/** Time goes on as soon as somebody sleeps, and by as much as the shortest sleep. */
class SleepingClock implements Clock {
  #nowMs = 1_000_000
  readonly #sleeps = new Set<{ readonly atMs: number; readonly wake: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleep = { atMs: this.#nowMs + ms, wake: resolve }
      this.#sleeps.add(sleep)
      const stop = (): void => {
        this.#sleeps.delete(sleep)
        reject(signal.reason as Error)
      }
      if (signal.aborted) stop()
      else signal.addEventListener('abort', stop, { once: true })
      setImmediate(() => this.#pass())
    })
  }

  #pass(): void {
    const [next] = [...this.#sleeps].sort((a, b) => a.atMs - b.atMs)
    if (next === undefined) return
    this.#sleeps.delete(next)
    this.#nowMs = Math.max(this.#nowMs, next.atMs)
    next.wake()
  }
}

interface Told {
  readonly ctx: TestContext
  readonly reports: string[]
  readonly lines: string[]
}

/** Runs one task, attempt by attempt; `attempt` counts from 1 and ends the hub by aborting `stop`. */
async function told(
  attempt: (number: number, ctx: TaskContext, stop: AbortController) => Promise<void>,
): Promise<Told> {
  const clock = new SleepingClock()
  const reports: string[] = []
  const lines: string[] = []
  const noted = (level: string) => (message: string) => void lines.push(`${level} ${message}`)
  const ctx: TestContext = {
    ...taskContext(await testLog(), 'shop'),
    clock,
    report: ({ state, detail }) => reports.push(`${state}: ${detail}`),
    logger: {
      debug: noted('debug'),
      info: noted('info'),
      warn: noted('warn'),
      error: noted('error'),
    },
  }
  const stop = new AbortController()
  let attempts = 0
  const task: HubTask = {
    kind: 'ingest',
    name: 'shop',
    run: (own) => attempt(++attempts, own, stop),
  }
  const end = await runHub(
    { tasks: [task], contextOf: () => ctx, clock, random: () => 0.5 },
    stop.signal,
  )
  assert.deepEqual(end, { kind: 'stopped' })
  return { ctx, reports, lines }
}

test('what passes by itself is a warning, and the status says when it is tried again', async () => {
  const { reports, lines } = await told(async (attempt, _, stop) => {
    if (attempt < 3) throw away
    stop.abort()
  })
  assert.deepEqual(lines, ['warn away', 'warn away'])
  assert.equal(reports.length, 2)
  assert.match(reports[0]!, /^retrying: attempt 1 failed, the next one in \d+ ms$/)
  assert.match(reports[1]!, /^retrying: attempt 2 failed, the next one in \d+ ms$/)
})

test('what somebody has to cure is an error, and is looked at again', async () => {
  const { reports, lines } = await told(async (attempt, _, stop) => {
    if (attempt === 1) throw wrong
    stop.abort()
  })
  assert.deepEqual(lines, ['error wrong'])
  assert.deepEqual(reports, ['stopped: waits for its cure, and looks again in 1 m'])
})

test('a task that is well again without having anything to do loses its error after a while', async () => {
  const { ctx } = await told(async (attempt, own, stop) => {
    if (attempt === 1) throw away
    await own.clock.sleep(59_000, stop.signal)
    assert.deepEqual(troublesOf(own), [away], 'not at once: it may only have connected')
    await own.clock.sleep(2000, stop.signal)
    stop.abort()
  })
  assert.deepEqual(ctx.troubles, [away, null])
})

test('an error that the task shows itself is not taken away', async () => {
  const { ctx } = await told(async (attempt, own, stop) => {
    if (attempt === 1) throw away
    own.trouble(wrong)
    await own.clock.sleep(120_000, stop.signal)
    stop.abort()
  })
  assert.deepEqual(ctx.troubles, [away, wrong])
})

function troublesOf(ctx: TaskContext): readonly unknown[] {
  return (ctx as TestContext).troubles
}
