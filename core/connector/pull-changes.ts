/**
 * The loop of a change stream. Pulling drives it: bytes are taken, decoded and handed out while somebody
 * asks for the next batch; otherwise the socket fills to its bound and the server waits.
 */
import type { Clock } from './context.ts'
import type { LazySocket } from './lazy-socket.ts'
import type { SourceBatch } from './source.ts'

/** Makes messages of bytes, and gives them to a decoder. */
interface MessageReader {
  /** Takes the next bytes; `run` must have returned true before. They stay as they are until it does again. */
  give(chunk: Uint8Array): void
  /** Reads until the bytes are used up (true) or the decoder stands still (false). */
  run(): boolean
}

interface ChangeDecoder {
  /** Batches ready to be handed out, oldest first. */
  out: SourceBatch[]
  /** Whether `flush` would give rows: whole transactions, and none open. */
  readonly flushable: boolean
  /** Makes batches of the whole transactions gathered, or an empty one where only the position moved. */
  flush(): void
}

export interface ChangePull {
  readonly socket: Pick<LazySocket, 'take' | 'wait' | 'wake' | 'busy'>
  readonly reader: MessageReader
  readonly decoder: ChangeDecoder
  /** Does what the decoder stands still for, when all before it is handed out. */
  readonly goOn: () => Promise<void>
  readonly clock: Clock
}

/** Whole transactions wait at most so long for more to come. */
const gatherMs = 10

/** Ends by throwing alone: what ended the connection, what the reader or `goOn` throws, or the signal's reason. */
export async function* pullChanges(
  { socket, reader, decoder, goOn, clock }: ChangePull,
  signal: AbortSignal,
): AsyncGenerator<SourceBatch, void, undefined> {
  const wake = (): void => socket.wake()
  signal.addEventListener('abort', wake, { once: true })
  /** When whole transactions began to wait for more; 0 = none do. */
  let waitingSinceMs = 0
  try {
    while (true) {
      signal.throwIfAborted()
      const chunk = socket.take()
      if (chunk !== null) {
        reader.give(chunk)
        while (!reader.run()) {
          if (decoder.out.length > 0) yield* takeOut(decoder)
          await goOn()
        }
        if (waitingSinceMs === 0 && decoder.flushable) waitingSinceMs = clock.nowMs()
      } else if (!socket.busy || isOver(waitingSinceMs, clock.nowMs())) decoder.flush()
      if (decoder.out.length > 0) {
        waitingSinceMs = 0
        yield* takeOut(decoder)
      } else if (chunk === null) await socket.wait()
    }
  } finally {
    signal.removeEventListener('abort', wake)
  }
}

function takeOut(decoder: ChangeDecoder): readonly SourceBatch[] {
  const batches = decoder.out
  decoder.out = []
  return batches
}

/** A clock that was set back ends the wait too. */
function isOver(sinceMs: number, nowMs: number): boolean {
  return sinceMs !== 0 && !(nowMs >= sinceMs && nowMs - sinceMs < gatherMs)
}
