/** The live status: cheap to write, truthful to read, on a terminal and as plain lines. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { shortBytes, shortCount, shortDuration } from '../../../core/observe/format.ts'
import { PlainRenderer } from '../../../core/observe/plain-renderer.ts'
import { Rates, StatusBoard } from '../../../core/observe/status.ts'
import { TerminalRenderer } from '../../../core/observe/terminal-renderer.ts'

const error = new SluiceError('config.not_found', {
  message: 'server\u001b[2J says\nno',
  remedy: 'ask',
})

function boardOfTwo(): StatusBoard {
  const board = new StatusBoard(() => 1000)
  const ingest = board.task({ kind: 'ingest', name: 'shop' })
  ingest.report({ state: 'running', lagMs: 12, backlogBytes: 2048, detail: 'orders: 120 rows' })
  ingest.progress(120_400, 9000)
  board.task({ kind: 'deliver', name: 'warehouse' })
  return board
}

/** A screen that understands what the renderer writes: enough to see what a person would. */
class Screen {
  columns: number
  rows = 24
  color = false
  lines: string[] = ['']
  #at = 0
  writes = 0
  constructor(columns: number) {
    this.columns = columns
  }
  write(text: string): void {
    this.writes++
    for (const part of text.split(/(\p{Cc}\[[?0-9]*[a-zA-Z]|\n|\r)/u)) {
      if (part === '\n') {
        this.#at++
        this.lines[this.#at] ??= ''
      } else if (/^\p{Cc}\[\d+F$/u.test(part)) this.#at -= Number(part.slice(2, -1))
      else if (part === '\u001b[0J') this.lines = [...this.lines.slice(0, this.#at), '']
      else if (!/^(\p{Cc}|$)/u.test(part)) this.lines[this.#at] += part
      assert.ok(this.#at >= 0, 'the cursor never leaves the screen')
    }
  }
}

test('tasks are the same object for the same name, and say why they are not ready', () => {
  const board = boardOfTwo()
  assert.equal(board.task({ kind: 'ingest', name: 'shop' }), board.tasks[0])
  assert.deepEqual(board.notReady(), ['deliver warehouse: starting'])
  const deliver = board.task({ kind: 'deliver', name: 'warehouse' })
  deliver.report({ state: 'retrying' })
  deliver.trouble(error)
  assert.deepEqual(board.notReady(), ['deliver warehouse: retrying config.not_found'])
  deliver.report({ state: 'running' })
  deliver.trouble(null)
  assert.deepEqual(board.notReady(), [])
  assert.deepEqual(new StatusBoard().notReady(), ['no task was started yet'])
})

test('plain lines: one at the start, one when something changes, one every five seconds', () => {
  const board = boardOfTwo()
  const lines: string[] = []
  const renderer = new PlainRenderer(board, (line) => lines.push(line))
  renderer.tick(0)
  assert.deepEqual(lines, [
    '1970-01-01T00:00:00.000Z  ingest shop  running  rows=120,400  rate=0/s  lag=12 ms  backlog=2.00 KiB  orders: 120 rows',
    '1970-01-01T00:00:00.000Z  deliver warehouse  starting  rows=0  rate=0/s  lag=-  backlog=-',
  ])
  lines.length = 0
  renderer.tick(1000)
  assert.deepEqual(lines, [])
  board.tasks[1]!.trouble(error)
  renderer.tick(1200)
  renderer.tick(1400)
  board.tasks[1]!.trouble(
    new SluiceError('config.not_found', { message: error.message, remedy: 'ask' }),
  )
  renderer.tick(1600)
  assert.equal(lines.length, 3, 'the same error again is no news')
  assert.deepEqual(lines.slice(1), ['  config.not_found: server [2J says no', '  remedy: ask'])
  lines.length = 0
  board.tasks[1]!.report({ state: 'retrying', detail: 'attempt 2 failed' })
  renderer.tick(1800)
  assert.equal(lines.length, 1, 'what is wrong was said')
  assert.match(lines[0]!, /backlog=- {2}config\.not_found {2}attempt 2 failed$/)
  lines.length = 0
  board.tasks[0]!.progress(50_000, 0)
  renderer.tick(5000)
  assert.equal(lines.length, 1)
  assert.match(lines[0]!, /ingest shop {2}running {2}rows=170,400 {2}rate=10\.0k\/s/)
})

test('the table stays in place, log lines go above it, and nothing is drawn without need', () => {
  const board = boardOfTwo()
  const screen = new Screen(100)
  const renderer = new TerminalRenderer(board, screen, 'sluice shop')
  renderer.tick(0)
  const first = [...screen.lines]
  assert.equal(first[0], 'sluice shop')
  assert.match(first[1]!, /^TASK +STATE +ROWS +ROWS\/S +LAG +BACKLOG$/)
  assert.match(first[2]!, /^ingest shop +running +120k +0 +12 ms +2\.00 KiB$/)
  const writes = screen.writes
  renderer.tick(0)
  assert.equal(screen.writes, writes)
  renderer.printAbove('a log line')
  assert.deepEqual(screen.lines, ['a log line', ...first])
  board.tasks[1]!.trouble(error)
  renderer.tick(100)
  assert.equal(screen.lines.filter((line) => line.startsWith('TASK')).length, 1)
  assert.ok(screen.lines.includes('  config.not_found: server [2J says no'))
  assert.ok(screen.lines.includes('  → ask'))
  renderer[Symbol.dispose]()
})

test('no line is wider than the terminal, however narrow, and the table never taller', () => {
  for (const columns of [20, 25, 40, 60, 80, 200]) {
    const board = boardOfTwo()
    for (let i = 0; i < 30; i++) board.task({ kind: 'transform', name: `t${'x'.repeat(i * 2)}` })
    board.tasks[1]!.trouble(new SluiceError('internal.bug', { message: 'm'.repeat(300) }))
    const screen = new Screen(columns)
    new TerminalRenderer(board, screen, 'sluice a_pipeline_with_a_long_name').tick(0)
    for (const line of screen.lines)
      assert.ok(line.length < Math.max(21, columns), `${columns}: ${line}`)
    assert.ok(screen.lines.length <= screen.rows)
  }
})

test('rates are over the last seconds', () => {
  const board = boardOfTwo()
  const [task] = board.tasks
  const rates = new Rates()
  rates.sample(task!, 0)
  task!.progress(1000, 0)
  assert.equal(rates.sample(task!, 1000), 1000)
  for (let ms = 2000; ms <= 20_000; ms += 1000) rates.sample(task!, ms)
  assert.equal(rates.sample(task!, 21_000), 0)
})

test('numbers are short', () => {
  assert.deepEqual([0, 9.5, 950, 12_345, 999_950, 4.56e6].map(shortCount), [
    '0',
    '9.5',
    '950',
    '12.3k',
    '1.00M',
    '4.56M',
  ])
  assert.deepEqual([null, -5, 12, 1500, 59_999, 3_600_000, 172_800_000].map(shortDuration), [
    '-',
    '0 ms',
    '12 ms',
    '1.5 s',
    '0 m',
    '1 h',
    '2 d',
  ])
  assert.deepEqual([null, 0, 1023, 1536, 1_048_575].map(shortBytes), [
    '-',
    '0 B',
    '1023 B',
    '1.50 KiB',
    '1.00 MiB',
  ])
})
