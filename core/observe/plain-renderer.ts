/**
 * The live status as plain lines, for files, pipes and CI: one line a task every few seconds, and at
 * once when its state or its error changes. No cursor movement, no colour.
 *
 *   2026-11-22T04:00:05.000Z  ingest shop  running  rows=120,400  rate=24.1k/s  lag=12 ms  backlog=0 B
 */
import { oneLine, shortBytes, shortCount, shortDuration } from './format.ts'
import { Rates, type StatusBoard, type TaskStatus } from './status.ts'
import {
  firstTroubles,
  groupTroubles,
  troubleText,
  troubleWord,
  type TroubleGroup,
} from './troubles.ts'

const lineEveryMs = 5000

interface Shown {
  readonly version: number
  readonly atMs: number
  /** The errors that were there, as printed. */
  readonly errors: ReadonlySet<string>
}

export class PlainRenderer {
  readonly #board: StatusBoard
  readonly #write: (line: string) => void
  readonly #rates = new Rates()
  readonly #shown = new Map<TaskStatus, Shown>()

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
      this.#write(statusLine(task, rate, nowMs))
      // A task that is tried again and again changes its state, not its reasons.
      const groups = groupTroubles(task.troubles)
      const news = groups.filter((group) => last?.errors.has(reasonOf(group)) !== true)
      this.#shown.set(task, {
        version: task.version,
        atMs: nowMs,
        errors: new Set(groups.map(reasonOf)),
      })
      const { shown, more } = firstTroubles(news)
      for (const group of shown) {
        this.#write(`  ${oneLine(troubleText(group))}`)
        this.#write(`  remedy: ${oneLine(group.remedy)}`)
      }
      if (more > 0) this.#write(`  and ${more} more`)
    }
  }
}

/** Whom it is about may change with every attempt. */
function reasonOf({ code, message, remedy }: TroubleGroup): string {
  return `${code} ${message} ${remedy}`
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
  // The whole error is printed when it is new; until it is over, every line says that it is there.
  const trouble = troubleWord(task)
  if (trouble !== '') words.push(trouble)
  if (task.detail !== '') words.push(oneLine(task.detail))
  return words.join('  ')
}
