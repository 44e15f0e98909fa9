/** A reader that goes on as a pipeline does. */
import { setTimeout as sleep } from 'node:timers/promises'
import { toSluiceError } from '../../../core/errors/error.ts'
import type { Follower } from './follow.ts'

/** Reads until `done`, through faults that are tried again; their codes are returned. */
export async function readThrough(
  follower: Follower,
  done: () => boolean,
): Promise<readonly string[]> {
  const tried: string[] = []
  while (!done()) {
    try {
      await follower.next()
    } catch (thrown) {
      const error = toSluiceError(thrown)
      if (error.fault !== 'transient') throw error
      tried.push(error.code)
      await follower.crash()
      await sleep(100)
    }
  }
  return tried
}
