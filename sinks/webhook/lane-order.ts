/**
 * LaneOrder: which batch's events of a key go next, where several batches of a topic are under way. A
 * batch takes its place for each of its keys when it is first written, and gives it up when the
 * events of that key are over; a batch that has to be tried again keeps its places.
 */
export class LaneOrder {
  /** Per topic and key: the batches that have events of it, oldest first. */
  readonly #queues = new Map<string, string[]>()
  /** Who waits for the first place of a queue. */
  readonly #waiting = new Map<string, (() => void)[]>()

  enter(topic: string, key: string, batchId: string): void {
    const name = queueName(topic, key)
    const queue = this.#queues.get(name)
    if (queue === undefined) this.#queues.set(name, [batchId])
    else if (!queue.includes(batchId)) queue.push(batchId)
  }

  /** Whether no older batch has events of the key. */
  isFirst(topic: string, key: string, batchId: string): boolean {
    return this.#queues.get(queueName(topic, key))?.[0] === batchId
  }

  /** Resolves when no older batch has events of the key. Rejects with the signal's reason. */
  async turn(topic: string, key: string, batchId: string, signal: AbortSignal): Promise<void> {
    const name = queueName(topic, key)
    while (this.#queues.get(name)?.[0] !== batchId) {
      signal.throwIfAborted()
      await this.#moved(name, signal)
    }
  }

  leave(topic: string, key: string, batchId: string): void {
    const name = queueName(topic, key)
    const queue = this.#queues.get(name)
    if (queue?.[0] !== batchId) return
    queue.shift()
    if (queue.length === 0) this.#queues.delete(name)
    const waiting = this.#waiting.get(name)
    this.#waiting.delete(name)
    for (const wake of waiting ?? []) wake()
  }

  /** The next change of the queue, or the abort. */
  #moved(name: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake, { once: true })
      const waiting = this.#waiting.get(name)
      if (waiting === undefined) this.#waiting.set(name, [wake])
      else waiting.push(wake)
    })
  }
}

function queueName(topic: string, key: string): string {
  return `${topic}\u0000${key}`
}
