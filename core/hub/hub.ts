/**
 * Hub: runs the tasks of a pipeline and restarts them as their errors' faults say. It knows nothing
 * of rows: a task that failed is started again from its chain, which is all it needs.
 */
import { backoffMs } from '../connector/backoff.ts'
import type { Clock } from '../connector/context.ts'
import { isAbort, toSluiceError, type SluiceError } from '../errors/error.ts'
import { shortDuration } from '../observe/format.ts'
import type { TaskContext } from '../task/context.ts'
import type { TaskKind } from '../task/names.ts'

export interface HubTask {
  readonly kind: TaskKind
  readonly name: string
  /** Returns when its signal is aborted and its open commit is finished; throws otherwise. */
  readonly run: (ctx: TaskContext, signal: AbortSignal) => Promise<void>
}

export interface HubOptions {
  readonly tasks: readonly HubTask[]
  readonly contextOf: (task: HubTask) => TaskContext
  readonly clock: Clock
  readonly random: () => number
}

/** How a hub ended: asked to, another process took over, or a bug that no restart cures. */
export type HubEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'fenced' | 'bug'; readonly task: HubTask; readonly error: SluiceError }

const retry = { baseMs: 200, maxMs: 30_000 }
/** A task that waits for its user looks again after this: what stopped it may have been cured. */
const curedRetryMs = 60_000
/** A task that ran this long was well: its next failure is a first one. */
const wellMs = 60_000

/** Runs until the signal is aborted, or until one task ends for good; then all the others end too. */
export async function runHub(options: HubOptions, signal: AbortSignal): Promise<HubEnd> {
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  let end: HubEnd = { kind: 'stopped' }
  const runs = options.tasks.map(async (task) => {
    const result = await supervise(task, options, stop)
    if (result.kind === 'stopped') return
    if (end.kind === 'stopped') end = result
    ended.abort()
  })
  await Promise.all(runs)
  return end
}

async function supervise(task: HubTask, options: HubOptions, signal: AbortSignal): Promise<HubEnd> {
  const { clock, random } = options
  const ctx = options.contextOf(task)
  for (let failures = 0; ;) {
    const startedMs = clock.nowMs()
    try {
      await (failures === 0 ? task.run(ctx, signal) : runAgain(task, ctx, signal))
      if (signal.aborted) return { kind: 'stopped' }
    } catch (thrown) {
      if (signal.aborted && isAbort(thrown)) return { kind: 'stopped' }
      const error = toSluiceError(thrown)
      ctx.trouble(error)
      const transient = error.fault === 'transient'
      const fields = { code: error.code, fault: error.fault, remedy: error.remedy }
      if (transient) ctx.logger.warn(error.message, fields)
      else ctx.logger.error(error.message, fields)
      if (error.fault === 'fenced') return { kind: 'fenced', task, error }
      if (error.fault === 'bug') return { kind: 'bug', task, error }
      failures = clock.nowMs() - startedMs > wellMs ? 1 : failures + 1
      ctx.metrics.count('task_restarts_total', 1, { task: task.name })
      const pauseMs = transient
        ? Math.max(backoffMs(failures, retry, random), error.retryAfterMs ?? 0)
        : curedRetryMs
      // The reason itself stands beside it: see `trouble`.
      const detail = transient
        ? `attempt ${failures} failed, the next one in ${shortDuration(pauseMs)}`
        : `waits for its cure, and looks again in ${shortDuration(pauseMs)}`
      ctx.report({ state: transient ? 'retrying' : 'stopped', detail })
      await clock.sleep(pauseMs, signal).catch(() => {})
    }
    if (signal.aborted) return { kind: 'stopped' }
  }
}

/**
 * Runs a task whose last error is on show. A task takes that away when it gets on; one that has nothing
 * to do, such as the reader of an idle source, never would: after a while without another error it is
 * taken away here.
 */
async function runAgain(task: HubTask, ctx: TaskContext, signal: AbortSignal): Promise<void> {
  let isOurs = true
  const over = new AbortController()
  const well = ctx.clock.sleep(wellMs, AbortSignal.any([signal, over.signal])).then(
    () => {
      if (isOurs) ctx.trouble(null)
    },
    () => {},
  )
  const trouble: TaskContext['trouble'] = (error, about = '') => {
    if (about === '') isOurs = false
    ctx.trouble(error, about)
  }
  try {
    await task.run({ ...ctx, trouble }, signal)
  } finally {
    over.abort()
    await well
  }
}
