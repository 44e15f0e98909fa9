/**
 * The live status: what each task of this process is doing. Tasks write plain fields, as often as
 * they like; readers (the terminal, plain lines, /status, metrics) look when it suits them. Rates are
 * computed by the reader, so that writing costs nothing.
 */
import type { SluiceError } from '../errors/error.ts'
import { troublesJson, troubleWord } from './troubles.ts'

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

/** An error on show, and the part of the task (a topic) that it is about; '' = all of it. */
export interface Trouble extends LastError {
  readonly about: string
}

/** A value that stands until the next report, or one that is asked for whenever somebody looks. */
export type Reading = number | (() => number | null)

/** What `report` takes: the shape of the connector contract's StatusReport. */
export interface Report {
  readonly state?: TaskState
  readonly detail?: string
  readonly lagMs?: Reading
  readonly backlogBytes?: Reading
}

export class TaskStatus {
  readonly id: TaskId
  state: TaskState = 'starting'
  /** Rows and bytes made durable or delivered since the start of this process. */
  rows = 0
  bytes = 0
  detail = ''
  /** Goes up whenever the state or the error changes, so that a reader can tell cheaply. */
  version = 0
  readonly #nowMs: () => number
  #lagMs: Reading | null = null
  #backlogBytes: Reading | null = null
  readonly #troubles = new Map<string, Trouble>()

  constructor(id: TaskId, nowMs: () => number) {
    this.id = id
    this.#nowMs = nowMs
  }

  report(report: Report): void {
    if (report.state !== undefined) this.setState(report.state)
    if (report.detail !== undefined) this.detail = report.detail
    if (report.lagMs !== undefined) this.#lagMs = report.lagMs
    if (report.backlogBytes !== undefined) this.#backlogBytes = report.backlogBytes
  }

  progress(rows: number, bytes: number): void {
    this.rows += rows
    this.bytes += bytes
  }

  /** null = unknown. */
  get lagMs(): number | null {
    return valueOf(this.#lagMs)
  }
  get backlogBytes(): number | null {
    return valueOf(this.#backlogBytes)
  }

  /** The error on show about this part and its cure; null when the part is well again. */
  trouble(error: SluiceError | null, about = ''): void {
    if (error === null) {
      if (this.#troubles.delete(about)) this.version++
      return
    }
    const { code, message, remedy } = error
    const repeated = this.#troubles.get(about)?.message === message
    this.#troubles.set(about, { about, code, message, remedy, atMs: this.#nowMs() })
    if (!repeated) this.version++
  }

  /** In the order in which they began. */
  get troubles(): readonly Trouble[] {
    return [...this.#troubles.values()]
  }

  /** The newest. */
  get lastError(): LastError | null {
    let newest: Trouble | null = null
    for (const trouble of this.#troubles.values()) {
      if (newest === null || trouble.atMs >= newest.atMs) newest = trouble
    }
    if (newest === null) return null
    const { about: _, ...error } = newest
    return error
  }

  setState(state: TaskState): void {
    if (this.state === state) return
    this.state = state
    this.version++
  }
}

function valueOf(reading: Reading | null): number | null {
  return typeof reading === 'function' ? reading() : reading
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
      .map((task) => {
        const { id, state } = task
        return [`${id.kind} ${id.name}: ${state}`, troubleWord(task)].filter(Boolean).join(' ')
      })
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
        ...troublesJson(task),
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
