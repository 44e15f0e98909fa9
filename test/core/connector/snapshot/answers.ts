/** Answers of the database that are waited for: which of them comes when, the world decides. */
interface Pending {
  /** Gives the answer; false when its time has not come. */
  readonly run: () => boolean
}

export class Answers {
  #pending: Pending[] = []

  get count(): number {
    return this.#pending.length
  }

  /** Lets one of them come, if its time has come. */
  give(which: number): boolean {
    const pending = this.#pending[which % Math.max(1, this.#pending.length)]
    if (pending === undefined || !pending.run()) return false
    this.#pending = this.#pending.filter((other) => other !== pending)
    return true
  }

  later<T>(signal: AbortSignal, answer: () => T, isTime = (): boolean => true): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const pending: Pending = {
        run: () => {
          if (!isTime()) return false
          signal.removeEventListener('abort', stop)
          try {
            resolve(answer())
          } catch (error) {
            reject(error as Error)
          }
          return true
        },
      }
      this.#pending.push(pending)
      const stop = (): void => {
        this.#pending = this.#pending.filter((other) => other !== pending)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', stop, { once: true })
    })
  }
}
