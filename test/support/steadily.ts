/**
 * For tests of what a server's own clock decides, such as how long it waits for an answer: where the machine
 * stood still meanwhile, what became of it says nothing about the product.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const attemptsMax = 3

/**
 * Runs it; once more, from its beginning, where it fails and this process was held up for `stallMs` at a
 * time. What it changes it has to make anew by the number of the attempt, from 1.
 */
export async function steadily<T>(
  stallMs: number,
  attempt: (number: number) => Promise<T>,
): Promise<T> {
  for (let number = 1; ; number++) {
    const delays = monitorEventLoopDelay({ resolution: 20 })
    delays.enable()
    try {
      return await attempt(number)
    } catch (error) {
      // The histogram is told by a timer.
      await sleep(50)
      if (number === attemptsMax || delays.max / 1e6 < stallMs) throw error
    } finally {
      delays.disable()
    }
  }
}
