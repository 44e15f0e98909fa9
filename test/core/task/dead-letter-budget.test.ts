/** When a topic has set aside too many of its rows: decided by rows alone (invariants 6 and 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noRows, overBudget, slide } from '../../../core/task/dead-letter-budget.ts'

const reason = (...args: Parameters<typeof overBudget>): string | undefined =>
  overBudget(...args)?.message

test('open letters count, up to the most allowed', () => {
  const budget = { max: 3, rate: 1 }
  assert.equal(reason('s.t', 2, noRows, budget), undefined)
  assert.match(reason('s.t', 3, noRows, budget)!, /s\.t: 3 open dead letters, and 3 are allowed/)
})

test('a rate is looked at from 100 letters on, and letters that are over do not count', () => {
  const budget = { max: 1_000_000, rate: 0.05 }
  assert.equal(reason('s.t', 99, { rows: 99, letters: 99 }, budget), undefined)
  assert.match(
    reason('s.t', 100, { rows: 1000, letters: 100 }, budget)!,
    /100 of its last 1000 rows were refused, more than 5%/,
  )
  assert.equal(reason('s.t', 100, { rows: 2000, letters: 100 }, budget), undefined)
  assert.equal(
    reason('s.t', 40, { rows: 1000, letters: 1000 }, budget),
    undefined,
    'most were dropped',
  )
})

test('the window forgets old rows, whatever the batches were', () => {
  let window = noRows
  for (let i = 0; i < 200; i++) window = slide(window, 1000, i < 20 ? 1000 : 0)
  assert.ok(window.rows <= 100_000)
  assert.ok(window.letters / window.rows < 0.2, 'the first 20,000 rows weigh less and less')
  assert.deepEqual(slide(noRows, 400_000, 100), { rows: 100_000, letters: 25 })
})
