/**
 * The live status as plain lines, for files, pipes and CI: one line a task every few seconds, and at
 * once when its state or its error changes. No cursor movement, no colour.
 *
 *   2026-11-22T04:00:05.000Z  ingest shop  running  rows=120,400  rate=24.1k/s  lag=12 ms  backlog=0 B
 */
import { oneLine, shortBytes, shortCount, shortDuration } from './format.ts'
import { Rates, type StatusBoard, type TaskStatus } from './status.ts'

const lineEveryMs = 5000

export class PlainRenderer {
  readonly #board: StatusBoard
  readonly #write: (line: string) => void
  readonly #rates = new Rates()
  readonly #shown = new Map<TaskStatus, { version: number; atMs: number }>()

  constructor(board: StatusBoard, write: (line: string) => void) {
    this.#board = board
    this.#write = write
  }

  /** Looks once; call it several times a second. */
  tick(nowMs: number): void {
    for (const task of this.#board.tasks) {
      const rate = this.#rates.sample(task, nowMs)
      const last = this.#shown.get(task)
      const due = last === undefined || nowMs - last.atMs >= lineEveryMs
      if (!due && last.version === task.version) continue
      const changed = last === undefined || last.version !== task.version
      this.#shown.set(task, { version: task.version, atMs: nowMs })
      this.#write(statusLine(task, rate, nowMs))
      if (changed && task.lastError !== null) {
        const { code, message, remedy } = task.lastError
        this.#write(`  ${code}: ${oneLine(message)}`)
        this.#write(`  remedy: ${oneLine(remedy)}`)
      }
    }
  }
}

function statusLine(task: TaskStatus, rate: number, nowMs: number): string {
  const words = [
    new Date(nowMs).toISOString(),
    `${task.id.kind} ${task.id.name}`,
    task.state,
    `rows=${task.rows.toLocaleString('en-US')}`,
    `rate=${shortCount(rate)}/s`,
    `lag=${shortDuration(task.lagMs)}`,
    `backlog=${shortBytes(task.backlogBytes)}`,
  ]
  if (task.detail !== '') words.push(oneLine(task.detail))
  return words.join('  ')
}
