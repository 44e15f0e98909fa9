/**
 * LaneOrder: which batch's events of a key go next, where several batches of a topic are under way. A
 * batch takes its place for each of its keys when it is first written, and gives it up when the
 * events of that key are over; a batch that has to be tried again keeps its places.
 */
export class LaneOrder {
  /** By topic. */
  readonly #all = new Map<string, Places>()

  enter(topic: string, key: string, batchId: string): void {
    let places = this.#all.get(topic)
    if (places === undefined)
      this.#all.set(topic, (places = { queues: new Map(), waiting: new Map() }))
    const queue = places.queues.get(key)
    if (queue === undefined) places.queues.set(key, [batchId])
    else if (!queue.includes(batchId)) queue.push(batchId)
  }

  /** Whether no older batch has events of the key. */
  isFirst(topic: string, key: string, batchId: string): boolean {
    return this.#all.get(topic)?.queues.get(key)?.[0] === batchId
  }

  /** Resolves when no older batch has events of the key. Rejects with the signal's reason. */
  async turn(topic: string, key: string, batchId: string, signal: AbortSignal): Promise<void> {
    while (!this.isFirst(topic, key, batchId)) {
      signal.throwIfAborted()
      await this.#moved(topic, key, signal)
    }
  }

  leave(topic: string, key: string, batchId: string): void {
    const places = this.#all.get(topic)
    const queue = places?.queues.get(key)
    if (places === undefined || queue?.[0] !== batchId) return
    queue.shift()
    if (queue.length === 0) places.queues.delete(key)
    const waiting = places.waiting.get(key)
    if (waiting === undefined) return
    places.waiting.delete(key)
    for (const wake of waiting) wake()
  }

  /** The next change of the queue, or the abort. */
  #moved(topic: string, key: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake, { once: true })
      const all = this.#all.get(topic)?.waiting
      const waiting = all?.get(key)
      if (waiting === undefined) all?.set(key, [wake])
      else waiting.push(wake)
    })
  }
}

/** By key. */
interface Places {
  /** The batches that have events of it, oldest first. */
  readonly queues: Map<string, string[]>
  /** Who waits for the first place. */
  readonly waiting: Map<string, (() => void)[]>
}
