/**
 * How many rows of a topic a sink may set aside before the topic stops: a target that refuses
 * everything is not a bad row, and must not turn a table into dead letters.
 *
 * Letters that are retried or dropped do not count. The rate is taken over the newest rows of the
 * topic, not over time: rows and letters are counted from commit to commit and halved together, so
 * that the same deliveries come to the same decision (invariant 6).
 */
import type { LetterBudget } from '../connector/letter-budget.ts'
import { SluiceError } from '../errors/error.ts'

/** The newest rows of a topic and how many of them were refused. */
export interface RateWindow {
  readonly rows: number
  readonly letters: number
}

export const noRows: RateWindow = { rows: 0, letters: 0 }

/** Rows that a window holds before it forgets half of them. */
const windowRows = 100_000
/** A few bad rows say nothing of a rate, however few rows there were. */
const lettersMin = 100

export function slide({ rows, letters }: RateWindow, moreRows: number, more: number): RateWindow {
  let window = { rows: rows + moreRows, letters: letters + more }
  while (window.rows > windowRows) {
    window = { rows: Math.floor(window.rows / 2), letters: Math.floor(window.letters / 2) }
  }
  return window
}

/** Why the topic has to stop; null while it is within its budget. `open`: its open letters. */
export function overBudget(
  topic: string,
  open: number,
  window: RateWindow,
  budget: LetterBudget,
): SluiceError | null {
  // Letters of the window that are over by now do not count any more.
  const letters = Math.min(window.letters, open)
  const tooMany = open >= budget.max
  const tooDense = letters >= lettersMin && letters > window.rows * budget.rate
  if (!tooMany && !tooDense) return null
  const found = tooMany
    ? `${open} open dead letters, and ${budget.max} are allowed (dead_letters.max)`
    : `${letters} of its last ${window.rows} rows were refused, more than ${percent(budget.rate)} (dead_letters.rate)`
  return new SluiceError('task.dead_letter_budget', { message: `${topic}: ${found}` })
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}
