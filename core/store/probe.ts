/**
 * The race probe: is `create` atomic here? Several S3 look-alikes accept `If-None-Match: *` and
 * ignore it, or check it and then write without a lock (SeaweedFS before its #8801, rclone before
 * 1.76). On such a store a process that was replaced could overwrite its successor's commits, so
 * the store is refused before the first byte of data is written.
 *
 * In each round N creators race for one key. Exactly one must be told `created`, the stored bytes
 * must be the winner's, and a late creator must be told `exists`.
 */
import { ulid } from 'ulid'
import { SluiceError } from '../errors/error.ts'
import type { ObjectStore } from './store.ts'

export interface ProbeResult {
  readonly rounds: number
  readonly racers: number
}

/**
 * Small enough for a store that takes seconds for a contended key (SeaweedFS: 1–3 s; the rounds run
 * side by side), large enough for a race window as narrow as a file system's check-then-write.
 */
const rounds = 3
const racers = 8
const bodyBytes = 4096

/** Throws `store.not_atomic` with the name of what failed. Leaves no object behind. */
export async function probeStore(store: ObjectStore, signal: AbortSignal): Promise<ProbeResult> {
  const run = ulid()
  const keys = Array.from({ length: rounds }, (_, round) => `probe/${run}-${round}`)
  const races = await Promise.allSettled(keys.map((key) => race(store, key, signal)))
  const failures: unknown[] = []
  for (const outcome of races) if (outcome.status === 'rejected') failures.push(outcome.reason)
  // A lie outweighs a failure beside it: trying again would not make the store honest.
  const lie = failures.find((error) => isLie(error))
  try {
    await store.remove(keys, signal)
  } catch (error) {
    if (failures.length === 0) throw error
  }
  if (failures.length > 0) throw lie ?? failures[0]
  return { rounds, racers }
}

function isLie(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'store.not_atomic'
}

async function race(store: ObjectStore, key: string, signal: AbortSignal): Promise<void> {
  const bodies = Array.from({ length: racers }, (_, racer) => bodyOf(racer))
  const outcomes = await Promise.all(bodies.map((body) => store.create(key, body, signal)))
  const winners = outcomes.flatMap((outcome, racer) => (outcome === 'created' ? [racer] : []))
  if (winners.length > 1) {
    throw refuse(
      store,
      `${winners.length} of ${racers} racing creators of one object were told that they had created it`,
    )
  }
  const stored = await store.get(key, signal)
  if (stored === null) throw refuse(store, 'an object that was just created cannot be read')
  const owner = bodies.findIndex((body) => Buffer.compare(body, stored.bytes) === 0)
  // No winner at all: the winner's answer got lost and its repetition was told `exists`.
  if (owner < 0 || (winners.length === 1 && winners[0] !== owner)) {
    throw refuse(store, 'the stored bytes are not those of the creator that was told it had won')
  }
  if ((await store.create(key, bodyOf(racers), signal)) !== 'exists') {
    throw refuse(store, 'an object that exists was created again')
  }
  const after = await store.get(key, signal)
  if (after === null || Buffer.compare(after.bytes, stored.bytes) !== 0) {
    throw refuse(store, 'a refused creation changed the object')
  }
}

function bodyOf(racer: number): Uint8Array {
  return new Uint8Array(bodyBytes).fill(racer + 1)
}

function refuse(store: ObjectStore, what: string): SluiceError {
  return new SluiceError('store.not_atomic', { message: `${store.url}: ${what}` })
}
