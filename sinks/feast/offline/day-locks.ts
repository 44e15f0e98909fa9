/** One at a time per day of a view: a repeat that looks for its rows, and a merge that removes files. */
import { Semaphore } from '../../../core/connector/semaphore.ts'

export class DayLocks {
  readonly #locks = new Map<string, { readonly semaphore: Semaphore; users: number }>()

  async run<T>(folder: string, signal: AbortSignal, body: () => Promise<T>): Promise<T> {
    const lock = this.#locks.get(folder) ?? { semaphore: new Semaphore(1), users: 0 }
    this.#locks.set(folder, lock)
    lock.users++
    try {
      await lock.semaphore.acquire(signal)
      try {
        return await body()
      } finally {
        lock.semaphore.release()
      }
    } finally {
      lock.users--
      if (lock.users === 0) this.#locks.delete(folder)
    }
  }
}
