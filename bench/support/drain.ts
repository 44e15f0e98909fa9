/** Reading of a change stream's socket as ours does, without looking at what comes, or hardly. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LazySocket } from '../../core/connector/lazy-socket.ts'

/** Without a byte for so long, a stream has nothing more. */
const quietMs = 1000

export interface Drained {
  readonly bytes: number
  /** From the call to the last byte. */
  readonly seconds: number
}

/** Reads `bytesWanted` and looks at nothing; with Infinity, until nothing comes for a second. */
export async function drain(socket: LazySocket, bytesWanted: number): Promise<Drained> {
  const startMs = performance.now()
  let bytes = 0
  let lastMs = startMs
  while (bytes < bytesWanted) {
    const chunk = socket.take()
    if (chunk !== null) {
      bytes += chunk.length
      lastMs = performance.now()
    } else if (bytesWanted !== Infinity) await socket.wait()
    else if (performance.now() - lastMs > quietMs) break
    else await sleep(5)
  }
  return { bytes, seconds: (lastMs - startMs) / 1000 }
}

/** What finds messages in chunks. */
export interface Messages {
  give(chunk: Uint8Array): void
  run(): boolean
}

/** Gives what comes to `messages` until `isOver`; the moment of that, by performance.now(). */
export async function readUntil(
  socket: LazySocket,
  messages: Messages,
  isOver: () => boolean,
): Promise<number> {
  while (!isOver()) {
    const chunk = socket.take()
    if (chunk === null) await socket.wait()
    else {
      messages.give(chunk)
      messages.run()
    }
  }
  return performance.now()
}
