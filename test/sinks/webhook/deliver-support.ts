/** The webhook sink behind the real deliver loop, over a log in memory, for tests of what waits. */
import { systemClock, type Clock } from '../../../core/connector/context.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import type { Log } from '../../../core/log/log.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { webhook } from '../../../sinks/webhook/connector.ts'
import { sourceChain } from '../../support/scripted-sink.ts'
import { taskContext, type TestContext } from '../../support/task-context.ts'
import { untilDisposed } from '../../support/while-running.ts'
import { batchOf, configOf, type Change } from './support.ts'

export interface Delivering extends AsyncDisposable {
  readonly ctx: TestContext
}

/** Delivers topic `s.t` of the source's chain until it is disposed of; a failure of the task shows then. */
export function deliverHooks(
  log: Log,
  url: string,
  more: Record<string, unknown> = {},
  given: Partial<TestContext> = {},
): Delivering {
  const ctx = { ...taskContext(log, 'k'), ...given }
  const config = configOf(url, more)
  const task = { connector: webhook, config, from: ['s.*'], chains: [sourceChain] }
  const loop = untilDisposed((stop) =>
    runDeliver(task as Parameters<typeof runDeliver>[0], ctx, stop),
  )
  return { ...loop, ctx }
}

/** Real time, and as much more as a test lets pass: waits end as soon as their time has come. */
export function leapClock(): Clock & { readonly pass: (ms: number) => void } {
  let leaptMs = 0
  const nowMs = (): number => Date.now() + leaptMs
  return {
    nowMs,
    pass: (ms) => {
      leaptMs += ms
    },
    sleep: async (ms, signal) => {
      const endMs = nowMs() + ms
      while (nowMs() < endMs) await systemClock.sleep(Math.min(20, endMs - nowMs()), signal)
    },
  }
}

/** Rows with these ids, keyed by them, of tenants `t0`, `t1`, … */
export function tenantRows(ids: readonly number[], tenantOf: (id: number) => string): LogEntry {
  const changes = ids.map((id): Change => ['+', 'insert', id, tenantOf(id)])
  return { kind: 'rows', topic: 's.t', batch: batchOf(changes) }
}
