/** Events that fail twice before they are taken, for tests of timers on real servers. */
import assert from 'node:assert/strict'
import type { Log } from '../../../core/log/log.ts'
import { startReceiver, type Receiver } from '../../services/webhook-receiver.ts'
import { waitFor } from '../../support/env.ts'
import { doneAt, lettersOf } from '../../support/letters.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { deliverHooks, tenantRows } from './deliver-support.ts'
import { secret } from './support.ts'

export const events = 60
export const ids = Array.from({ length: events }, (_, id) => id % 20)
// Each key has an endpoint of its own, so that none fails three times in a row, which would pause it.
export const tenant = (id: number): string => `t${id}`

/** Fails each event's first two attempts. */
export function twiceFailing(): Promise<Receiver> {
  return startReceiver({
    secret,
    behaviour: ({ attempt }) => (attempt <= 2 ? { status: 500 } : undefined),
  })
}

export function hooks(log: Log, receiver: Receiver, timers: string): AsyncDisposable {
  return deliverHooks(log, `${receiver.url}/{name}`, {
    timers,
    concurrency: 8,
    retry: { schedule: Array.from({ length: 20 }, () => '700ms') },
  })
}

/** Every event was taken, once, each key's in their order, and nothing waits. */
export async function allTaken(log: Log, receiver: Receiver): Promise<void> {
  await waitFor(
    'all events',
    async () => receiver.taken.length >= events && (await lettersOf(log)).length === 0,
    // Without timers each wait is five seconds longer: six of them an event's key, one after the other.
    90_000,
  )
  const keys = new Map<unknown, number[]>()
  for (const { event } of receiver.taken) {
    const key = event.key?.['id']
    keys.set(key, [...(keys.get(key) ?? []), event.offset])
  }
  assert.equal(new Set(receiver.taken.map(({ id }) => id)).size, events)
  for (const [key, offsets] of keys) {
    const first = [...new Set(offsets)]
    assert.deepEqual(
      first,
      first.toSorted((a, b) => a - b),
      `key ${String(key)}`,
    )
  }
}

export interface Waiting extends AsyncDisposable {
  readonly log: Log
  readonly receiver: Receiver
}

/** Events that were sent, failed and wait, with their timers at the URL; delivered until it is disposed of. */
export async function startWaiting(timers: string): Promise<Waiting> {
  await using starting = new AsyncDisposableStack()
  const log = await testLog()
  const receiver = starting.use(await twiceFailing())
  starting.use(hooks(log, receiver, timers))
  await writeTopics(log, tenantRows(ids, tenant))
  await doneAt(log, events)
  const owned = starting.move()
  return { log, receiver, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
