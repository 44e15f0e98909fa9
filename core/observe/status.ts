/**
 * The live status: what each task of this process is doing. Tasks write plain fields, as often as
 * they like; readers (the terminal, plain lines, /status, metrics) look when it suits them. Rates are
 * computed by the reader, so that writing costs nothing.
 */
import type { SluiceError } from '../errors/error.ts'

export type TaskKind = 'ingest' | 'transform' | 'deliver'

export type TaskState =
  | 'starting'
  | 'snapshotting'
  | 'running'
  /** Waits after a transient error and tries again by itself. */
  | 'retrying'
  /** A part of it (a topic) stands still and needs a decision; the rest goes on. */
  | 'parked'
  | 'stopped'
  /** Ended by an error; `lastError` says why. */
  | 'failed'

export interface TaskId {
  readonly kind: TaskKind
  readonly name: string
}

export interface LastError {
  readonly code: string
  readonly message: string
  readonly remedy: string
  /** Milliseconds since 1970. */
  readonly atMs: number
}

/** What `report` takes: the shape of the connector contract's StatusReport. */
export interface Report {
  readonly state?: TaskState
  readonly detail?: string
  readonly lagMs?: number
  readonly backlogBytes?: number
}

export class TaskStatus {
  readonly id: TaskId
  state: TaskState = 'starting'
  /** Rows and bytes made durable or delivered since the start of this process. */
  rows = 0
  bytes = 0
  /** null = unknown. */
  lagMs: number | null = null
  backlogBytes: number | null = null
  lastError: LastError | null = null
  detail = ''
  /** Goes up whenever the state or the error changes, so that a reader can tell cheaply. */
  version = 0
  readonly #nowMs: () => number

  constructor(id: TaskId, nowMs: () => number) {
    this.id = id
    this.#nowMs = nowMs
  }

  report(report: Report): void {
    if (report.state !== undefined) this.setState(report.state)
    if (report.detail !== undefined) this.detail = report.detail
    if (report.lagMs !== undefined) this.lagMs = report.lagMs
    if (report.backlogBytes !== undefined) this.backlogBytes = report.backlogBytes
  }

  progress(rows: number, bytes: number): void {
    this.rows += rows
    this.bytes += bytes
  }

  /** The error on show and its cure; null when the task is well again. */
  trouble(error: SluiceError | null): void {
    if (error === null && this.lastError === null) return
    const repeated = error !== null && this.lastError?.message === error.message
    this.lastError =
      error === null
        ? null
        : {
            code: error.code,
            message: error.message,
            remedy: error.remedy,
            atMs: this.#nowMs(),
          }
    if (!repeated) this.version++
  }

  setState(state: TaskState): void {
    if (this.state === state) return
    this.state = state
    this.version++
  }
}

export class StatusBoard {
  readonly #tasks = new Map<string, TaskStatus>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs
  }

  /** The status of a task; the same object for the same id. */
  task(id: TaskId): TaskStatus {
    const key = `${id.kind} ${id.name}`
    const found = this.#tasks.get(key)
    if (found !== undefined) return found
    const status = new TaskStatus({ kind: id.kind, name: id.name }, this.#nowMs)
    this.#tasks.set(key, status)
    return status
  }

  /** In the order in which they were first asked for. */
  get tasks(): readonly TaskStatus[] {
    return [...this.#tasks.values()]
  }

  /** Why the pipeline is not ready, one reason a task; none = ready. */
  notReady(): readonly string[] {
    if (this.#tasks.size === 0) return ['no task was started yet']
    return this.tasks
      .filter(({ state }) => state !== 'running' && state !== 'snapshotting')
      .map(({ id, state, lastError }) =>
        [`${id.kind} ${id.name}: ${state}`, lastError?.code].filter(Boolean).join(' '),
      )
  }

  /** For /status and `--format json`. */
  toJSON(): unknown {
    return {
      tasks: this.tasks.map((task) => ({
        kind: task.id.kind,
        name: task.id.name,
        state: task.state,
        rows: task.rows,
        bytes: task.bytes,
        lagMs: task.lagMs,
        backlogBytes: task.backlogBytes,
        detail: task.detail,
        lastError: task.lastError,
      })),
    }
  }
}

/** Rows a second of each task, over the last few looks. */
export class Rates {
  readonly #samples = new Map<TaskStatus, { atMs: number; rows: number }[]>()

  /** Call at a steady pace; the rate is over the last `windowMs`. */
  sample(task: TaskStatus, nowMs: number, windowMs = 5000): number {
    const samples = this.#samples.get(task) ?? []
    this.#samples.set(task, samples)
    samples.push({ atMs: nowMs, rows: task.rows })
    while (samples.length > 2 && samples[1]!.atMs <= nowMs - windowMs) samples.shift()
    const first = samples[0]!
    return nowMs > first.atMs ? ((task.rows - first.rows) * 1000) / (nowMs - first.atMs) : 0
  }
}
