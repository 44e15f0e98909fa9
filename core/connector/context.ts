/**
 * Context: everything a connector or task may not take from the world by itself, so that a
 * simulation can own it. One Context per source or sink instance.
 */
import type { SluiceError } from '../errors/error.ts'
import type { Batch } from '../record/batch.ts'
import type { HttpRoutes } from './http-routes.ts'
import type { FileStore, FileStoreOptions } from './file-store.ts'

export interface Context {
  /** Name of the pipeline (one YAML file) and of this source or sink in it. */
  readonly pipeline: string
  readonly name: string
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly logger: Logger
  readonly metrics: Metrics
  /** What this task is doing now, for the live status; cheap, call it when the answer changes. */
  readonly report: (status: StatusReport) => void
  /**
   * An error on show, and the part of the source or sink that it is about; null when that is well again.
   * Absent outside of a task.
   */
  readonly trouble?: (error: SluiceError | null, about?: string) => void
}

/** What sources get beside that. */
export interface SourceContext extends Context {
  /** The hub's HTTP server, for sources that are called; absent where nobody may call. */
  readonly http?: HttpRoutes
  /**
   * What this source wrote to one of its own topics (named without the source's name), in commits made
   * at or after `sinceMs`, oldest first: the memory of a source that has to know its own past. Ends
   * with the newest commit there is when it is called. Absent where there is no log (preflight).
   */
  readonly history?: (topic: string, sinceMs: number, signal: AbortSignal) => AsyncIterable<Batch>
}

/** What sinks get beside that. */
export interface SinkContext extends Context {
  /**
   * Files at `file://./folder` (relative to the pipeline file), `file:///folder` or
   * `s3://bucket/prefix`. Connects to nothing yet; the caller disposes of it.
   */
  readonly files: (url: string, options?: FileStoreOptions) => FileStore
  /**
   * Commit time in the log of the topic's oldest row that was not delivered, ms since 1970; null = all
   * were, undefined = not known yet. Absent outside of a delivery.
   */
  readonly waitsSinceMs?: (topic: string) => number | null | undefined
}

export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** Structured, per batch and never per row: a constant message and fields. No secrets, no row values. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Counters go up, gauges are set, observations feed a histogram. Names without the `sluice_` prefix. */
export interface Metrics {
  count(name: string, by?: number, labels?: MetricLabels): void
  gauge(name: string, value: number, labels?: MetricLabels): void
  observe(name: string, value: number, labels?: MetricLabels): void
}
export type MetricLabels = Readonly<Record<string, string>>

export interface StatusReport {
  readonly state?: 'starting' | 'snapshotting' | 'running' | 'retrying' | 'parked' | 'stopped'
  /** One short phrase, such as `orders: 120,000 of about 400,000 rows`. */
  readonly detail?: string
  /** How far behind the source or log this task is: the age of the oldest row that waits for it; 0 = none does. */
  readonly lagMs?: Reading
  readonly backlogBytes?: Reading
}

/** A value that stands until the next report, or one that is asked for whenever somebody looks; null = unknown. */
export type Reading = number | (() => number | null)

/** The real clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const stop = (): void => {
        clearTimeout(timer)
        reject(signal.reason as Error)
      }
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop)
        resolve()
      }, ms)
      signal.addEventListener('abort', stop, { once: true })
    }),
}
