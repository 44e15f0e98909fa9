/**
 * A watch over a server that was told to give a sign of life every so often. It counts its own ticks and
 * not the time that passed: were this process held up for minutes (a debugger, a laptop's sleep), what
 * the server sent meanwhile still lies unread, and that is no silence. Nor is it one while the socket
 * is not read because nobody takes what came.
 */
import type { Clock } from '../../../core/connector/context.ts'
import type { LazySocket } from '../../../core/connector/lazy-socket.ts'
import { SluiceError } from '../../../core/errors/error.ts'

const ticksPerPeriod = 8
/** Two periods without a byte are silence. */
const quietTicksMax = 2 * ticksPerPeriod

/** Fails the socket with `source.mysql.silent` when it is silent; ends when `signal` aborts. */
export async function watchSilence(
  socket: Pick<LazySocket, 'lastReadMs' | 'fail'>,
  periodMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let quietTicks = 0
  let lastReadMs = socket.lastReadMs
  while (!signal.aborted) {
    await clock.sleep(Math.max(1, periodMs / ticksPerPeriod), signal).catch(() => {})
    if (signal.aborted) return
    quietTicks = socket.lastReadMs === lastReadMs ? quietTicks + 1 : 0
    lastReadMs = socket.lastReadMs
    if (quietTicks < quietTicksMax) continue
    const seconds = Math.round((2 * periodMs) / 1000)
    const message = `The server sent nothing for ${seconds} s.`
    socket.fail(new SluiceError('source.mysql.silent', { message }))
    return
  }
}
