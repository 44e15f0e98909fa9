/**
 * kafkajs 2.2.4 sets a timer after each answer, to look at what waits for a throttled broker; where nothing does,
 * for a time that is long past, which Node 24 warns of on standard error. Here it sets none then.
 */
import { createRequire } from 'node:module'

interface RequestQueue {
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}

const load = createRequire(import.meta.url)

export function mendTimer(): void {
  const { prototype } = load('kafkajs/src/network/requestQueue') as {
    readonly prototype: RequestQueue
  }
  const schedule = prototype.scheduleCheckPendingRequests
  if (schedule.name === 'scheduleWhereSomeWait') return
  prototype.scheduleCheckPendingRequests = function scheduleWhereSomeWait(this: RequestQueue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}
