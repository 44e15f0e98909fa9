/**
 * Rows that wait: a sink that cannot deliver a row now, and would have to wait long, returns it with the
 * time of its next attempt. The row becomes a dead letter in the state `waiting`, in the commit that
 * moves the cursor over it, so that it holds up neither the cursor nor memory; when it is due the
 * caller sends it again, alone. The log says what waits and until when; timers only wake somebody.
 */
import type { RowProblem } from './sink.ts'

/** A row of a batch that is to be sent again later. */
export interface RowWait extends RowProblem {
  /** Time of the next attempt, in ms since 1970. */
  readonly dueMs: number
  /** What its order is kept by, of which `WaitingPlaces.take` was true. */
  readonly lane: string
  /** What it waits for, an endpoint for instance: `Sink.readyMs` is asked for it. */
  readonly group: string
}

/** The rows of a topic that wait, as the sink may look at them while it writes. */
export interface WaitingPlaces {
  /** Whether rows of the lane wait: later ones have to wait behind them where their order is kept. */
  has(lane: string): boolean
  /**
   * Takes places for rows that will be returned in `SinkResult.waiting` of this batch. False when there
   * is no room: then the sink has to hold the batch, and with it the cursor.
   */
  take(lane: string, rows: number): boolean
}

/** Of a row that waited before. */
export interface WaitedBefore {
  /** Attempts that counted against it. */
  readonly attempts: number
  /** When it was first set aside, in ms since 1970. */
  readonly firstMs: number
}

export interface Timer {
  readonly topic: string
  readonly offset: number
  readonly attempt: number
  readonly group: string
  readonly dueMs: number
}

/**
 * Timers outside of this process. They may lose what they were told, and tell things twice or late: the
 * caller goes by the log, and looks after what was not told `lateMs` after it was due.
 */
export interface Timers extends AsyncDisposable {
  readonly lateMs: number
  /** From now on `due` is called for each timer of the topic that has gone off, whoever set it. */
  start(topic: string, due: (offset: number) => void): void
  /** Sets timers, each once however often it is told. Returns at once; failures are not the caller's. */
  set(timers: readonly Timer[]): void
}
