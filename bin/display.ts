/**
 * The live status of `run` on this process's terminal, or as plain lines where there is none. Log
 * lines go through here, so that they do not tear the table.
 */
import { PlainRenderer } from '../core/observe/plain-renderer.ts'
import type { StatusBoard } from '../core/observe/status.ts'
import { TerminalRenderer } from '../core/observe/terminal-renderer.ts'
import { print, printError, wantsColor } from './output.ts'

export interface Display extends Disposable {
  readonly log: (line: string) => void
  /** Draws now, not at the next tick. */
  readonly draw: () => void
}

const tickMs = 200

export function showStatus(
  board: StatusBoard,
  title: string,
  options: { readonly plain: boolean },
): Display {
  const { stdout } = process
  const live = stdout.isTTY && process.env['TERM'] !== 'dumb' && !options.plain
  if (!live) {
    const renderer = new PlainRenderer(board, print)
    return ticking(
      (nowMs) => renderer.tick(nowMs),
      printError,
      () => {},
    )
  }
  const terminal = {
    // A terminal without a known size says 0.
    get columns(): number {
      return stdout.columns || 80
    },
    get rows(): number {
      return stdout.rows || 24
    },
    color: wantsColor(stdout),
    write: (text: string): void => void stdout.write(text),
  }
  const renderer = new TerminalRenderer(board, terminal, title)
  const showCursor = (): void => renderer[Symbol.dispose]()
  // Also when a second signal ends the process at once.
  process.once('exit', showCursor)
  return ticking(
    (nowMs) => renderer.tick(nowMs),
    (line) => renderer.printAbove(line),
    () => {
      process.off('exit', showCursor)
      showCursor()
    },
  )
}

function ticking(
  tick: (nowMs: number) => void,
  log: (line: string) => void,
  end: () => void,
): Display {
  const timer = setInterval(() => tick(Date.now()), tickMs)
  let ended = false
  return {
    log,
    draw: () => tick(Date.now()),
    [Symbol.dispose]: () => {
      if (ended) return
      ended = true
      clearInterval(timer)
      end()
    },
  }
}
