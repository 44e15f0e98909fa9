/**
 * A watch over a server that gives a sign of life every so often. It counts its own ticks and not the
 * time that passed: were this process held up for minutes (a debugger, a laptop's sleep), what the server
 * sent meanwhile still lies unread, and that is no silence; nor is a jump of the clock. Nor is it one
 * while the socket is not read because nobody takes what came.
 */
import type { Code } from '../errors/codes.ts'
import { SluiceError } from '../errors/error.ts'
import type { Clock } from './context.ts'
import type { LazySocket } from './lazy-socket.ts'

export interface SilenceWatch {
  readonly socket: Pick<LazySocket, 'reads' | 'full' | 'fail'>
  /** The server lets no longer time pass without a byte, or would if it were asked for one. */
  readonly periodMs: number
  /** With which the socket fails after two periods of silence. */
  readonly code: Code
  readonly clock: Clock
  /**
   * What has to be said to the server meanwhile, `ticksPerPeriod` times a period. `ask`: it has been
   * silent for a period, and is to answer.
   */
  readonly onTick?: (ask: boolean) => void
}

export const ticksPerPeriod = 8
const quietTicksMax = 2 * ticksPerPeriod

/** Fails the socket when it is silent; ends when `signal` aborts. */
export async function watchSilence(watch: SilenceWatch, signal: AbortSignal): Promise<void> {
  const { socket, periodMs, clock } = watch
  let quietTicks = 0
  let { reads } = socket
  while (!signal.aborted) {
    await clock.sleep(Math.max(1, periodMs / ticksPerPeriod), signal).catch(() => {})
    if (signal.aborted) return
    quietTicks = socket.full || socket.reads !== reads ? 0 : quietTicks + 1
    reads = socket.reads
    if (quietTicks === quietTicksMax) {
      const seconds = Math.round((2 * periodMs) / 1000)
      const message = `The server sent nothing for ${seconds} s.`
      return socket.fail(new SluiceError(watch.code, { message }))
    }
    watch.onTick?.(quietTicks === ticksPerPeriod)
  }
}
