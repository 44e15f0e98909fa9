/**
 * The live status drawn in place on a terminal: a table that stays at the bottom while log lines
 * scroll above it. One write a frame, and only when something visible changed, so that nothing
 * flickers; narrow terminals lose columns, not sense.
 *
 * Sequences (ECMA-48): CSI n F cursor up n lines, CSI 0 J erase below, CSI ?25l / ?25h hide and show
 * the cursor.
 */
import { createColors } from 'picocolors'
import { oneLine, shortBytes, shortCount, shortDuration } from './format.ts'
import { Rates, type StatusBoard, type TaskState, type TaskStatus } from './status.ts'
import { firstTroubles, groupTroubles, troubleText } from './troubles.ts'

export interface Terminal {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  write(text: string): void
}

interface Column {
  readonly title: string
  readonly width: number
  readonly right: boolean
  readonly text: (task: TaskStatus, rate: number) => string
}

/** In the order in which they are given up when the terminal is narrow: the last one first. */
const columns: readonly Column[] = [
  { title: 'STATE', width: 12, right: false, text: (task) => task.state },
  { title: 'ROWS', width: 8, right: true, text: (task) => shortCount(task.rows) },
  { title: 'ROWS/S', width: 8, right: true, text: (_, rate) => shortCount(rate) },
  { title: 'LAG', width: 8, right: true, text: (task) => shortDuration(task.lagMs) },
  { title: 'BACKLOG', width: 9, right: true, text: (task) => shortBytes(task.backlogBytes) },
]
const gap = 2
const nameWidthMin = 8

export class TerminalRenderer implements Disposable {
  readonly #board: StatusBoard
  readonly #terminal: Terminal
  readonly #title: string
  readonly #rates = new Rates()
  #drawn: readonly string[] = []

  constructor(board: StatusBoard, terminal: Terminal, title: string) {
    this.#board = board
    this.#terminal = terminal
    this.#title = title
    terminal.write('\u001b[?25l')
  }

  /** Draws when something changed; call it several times a second. */
  tick(nowMs: number): void {
    const lines = this.#lines(nowMs)
    if (lines.join('\n') !== this.#drawn.join('\n')) this.#replace('', lines)
  }

  /** A log line: goes above the table, which moves down. */
  printAbove(line: string): void {
    this.#replace(`${line}\n`, this.#drawn)
  }

  /** Leaves the last table where it is and gives the cursor back. */
  [Symbol.dispose](): void {
    this.#terminal.write('\u001b[?25h')
  }

  #replace(above: string, lines: readonly string[]): void {
    const height = this.#drawn.reduce((sum, line) => sum + this.#heightOf(line), 0)
    const up = height === 0 ? '\r' : `\u001b[${height}F`
    const table = lines.map((line) => `${line}\n`).join('')
    this.#terminal.write(`${up}\u001b[0J${above}${table}`)
    this.#drawn = lines
  }

  /** A terminal that was made narrower since has wrapped the lines that stand there. */
  #heightOf(line: string): number {
    const visible = line.replace(/\p{Cc}\[[0-9;]*m/gu, '').length
    return Math.max(1, Math.ceil(visible / Math.max(1, this.#terminal.columns)))
  }

  #lines(nowMs: number): readonly string[] {
    const { columns: width, rows: height, color } = this.#terminal
    const paint = createColors(color)
    // The last column stays free: many terminals wrap when it is written to.
    const room = Math.max(20, width - 1)
    const tasks = this.#board.tasks
    const longest = Math.max(nameWidthMin, ...tasks.map((task) => nameOf(task).length))
    const shown = fitting(room, longest)
    const used = shown.reduce((sum, column) => sum + gap + column.width, 0)
    const nameWidth = Math.max(nameWidthMin, Math.min(longest, room - used))
    const heads = shown.map((column) => pad(column.title, column.width, column.right))
    const lines = [
      paint.bold(cut(this.#title, room)),
      paint.dim(cut([pad('TASK', nameWidth, false), ...heads].join('  '), room)),
    ]
    for (const task of tasks) {
      const rate = this.#rates.sample(task, nowMs)
      const cells = shown.map((column) => {
        const text = pad(column.text(task, rate), column.width, column.right)
        return column.title === 'STATE' ? paint[stateColor[task.state]](text) : text
      })
      lines.push([pad(nameOf(task), nameWidth, false), ...cells].join('  '))
      if (task.detail !== '') lines.push(paint.dim(cut(`  ${oneLine(task.detail)}`, room)))
      const { shown: troubles, more } = firstTroubles(groupTroubles(task.troubles))
      for (const trouble of troubles) {
        lines.push(paint.red(cut(`  ${oneLine(troubleText(trouble))}`, room)))
        lines.push(paint.cyan(cut(`  → ${oneLine(trouble.remedy)}`, room)))
      }
      if (more > 0) lines.push(paint.red(cut(`  and ${more} more`, room)))
    }
    // A table taller than the screen could not be erased: its top has scrolled away.
    const most = Math.max(2, height - 1)
    if (lines.length <= most) return lines
    return [...lines.slice(0, most - 1), paint.dim(`… ${lines.length - most + 1} more lines`)]
  }
}

const stateColor = {
  starting: 'cyan',
  snapshotting: 'cyan',
  running: 'green',
  retrying: 'yellow',
  parked: 'yellow',
  stopped: 'dim',
  failed: 'red',
} as const satisfies Record<TaskState, string>

function nameOf(task: TaskStatus): string {
  return `${task.id.kind} ${task.id.name}`
}

function fitting(room: number, longest: number): readonly Column[] {
  let used = Math.min(longest, Math.floor(room / 2))
  const shown: Column[] = []
  for (const column of columns) {
    used += gap + column.width
    if (used > room) break
    shown.push(column)
  }
  return shown
}

function pad(text: string, width: number, right: boolean): string {
  const fitted = cut(text, width)
  return right ? fitted.padStart(width) : fitted.padEnd(width)
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`
}
