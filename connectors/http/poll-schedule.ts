/** When a topic is polled: from the start of one run to the next, or at the times of a cron pattern. */
import { Cron } from 'croner'
import type { Clock } from '../../core/connector/context.ts'

/** Timers of Node hold 2^31 ms at most, and a clock that is set meanwhile should be seen. */
const napMs = 60_000

export interface ScheduleConfig {
  readonly every?: number | undefined
  readonly cron?: string | undefined
  readonly timezone: string
}

/**
 * `lastMs`: the start of the last run. What was missed meanwhile is made up for once. One that is yet to come was
 * told by a clock that was wrong: nobody waits for that time.
 */
export function nextRunMs(
  { every, cron, timezone }: ScheduleConfig,
  lastMs: number | undefined,
  nowMs: number,
): number {
  const fromMs = Math.min(lastMs ?? nowMs, nowMs)
  if (cron === undefined) return lastMs === undefined ? nowMs : fromMs + (every ?? 0)
  const next = new Cron(cron, { timezone, paused: true }).nextRun(new Date(fromMs))
  // A pattern may have had its last time, such as one of a year that is over.
  return next?.getTime() ?? Number.POSITIVE_INFINITY
}

export async function sleepUntil(clock: Clock, atMs: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = atMs - clock.nowMs(); leftMs > 0; leftMs = atMs - clock.nowMs()) {
    await clock.sleep(Math.min(leftMs, napMs), signal)
  }
}
