import type { SinkContext } from '../connector/context.ts'
import type { HttpRoutes } from '../connector/http-routes.ts'
import type { SluiceError } from '../errors/error.ts'
import type { Log } from '../log/log.ts'

/**
 * What every task gets. A task is built from plain data and this; it runs until its signal is
 * aborted (then it finishes its open commit and returns) or until it throws a SluiceError whose
 * fault tells the hub what to do.
 */
export interface TaskContext extends SinkContext {
  readonly log: Log
  /** For sources that are called; absent where nobody may call. */
  readonly http?: HttpRoutes
  /** Names this process in the commits it writes. */
  readonly writer: string
  /** Counts for the live status: rows and bytes that are now durable or delivered. */
  readonly progress: (rows: number, bytes: number) => void
  /**
   * The last error and its cure on show; null when the task is well again. `about` names a part of it
   * (a topic) that has troubles of its own, beside those of the others.
   */
  readonly trouble: (error: SluiceError | null, about?: string) => void
}

/** How often a task commits: at once after a pause, at most every `intervalMs` under load, or when full. */
export interface FlushPolicy {
  readonly bytesMax: number
  readonly intervalMs: number
  /** A store that answers slowly is asked less often, up to this pause. */
  readonly intervalMsMax: number
}
