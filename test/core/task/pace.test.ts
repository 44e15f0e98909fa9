/** When the next batch of a topic may be sent: at once when idle, farther apart as volume grows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from '../../../core/task/pace.ts'

const batching = { rowsMax: 50_000, bytesMax: 1 << 24, pauseMsMin: 50, pauseMsMax: 1000 }

/** The pause after each of these batches, one a second. */
function pauses(pace: Pace, ...sizes: readonly number[]): number[] {
  return sizes.map((rows, i) => {
    const nowMs = 1_000_000 + i * 1000
    pace.sent(nowMs, rows)
    return pace.dueMs(nowMs) - nowMs
  })
}

test('the first batch goes at once', () => {
  assert.equal(new Pace(batching).dueMs(1_000_000), -Infinity)
})

test('the pause grows to the longest while batches are worth it, and shrinks with them', () => {
  const pace = new Pace(batching)
  assert.deepEqual(pauses(pace, 10, 999, 500), [50, 50, 50])
  assert.deepEqual(
    pauses(pace, 1000, 1000, 1000, 1000, 1000, 1000),
    [100, 200, 400, 800, 1000, 1000],
  )
  // Neither small nor large: the pause fits.
  assert.deepEqual(pauses(pace, 700, 700), [1000, 1000])
  assert.deepEqual(pauses(pace, 499, 1, 1, 1, 1, 1), [500, 250, 125, 62.5, 50, 50])
})

test('a sink that asks for time gets more of it each time, up to half a minute, and less when it is well', () => {
  const pace = new Pace(batching)
  pauses(pace, 1)
  const asked = Array.from({ length: 9 }, () => {
    pace.pressed()
    return pace.dueMs(1_000_000) - 1_000_000
  })
  assert.deepEqual(asked, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  assert.deepEqual(pauses(pace, 1, 1, 1, 1), [15_000, 7500, 3750, 1875])
  const small = Array.from({ length: 20 }, () => 1)
  assert.equal(pauses(pace, ...small).at(-1), 50)
})

test('a fixed interval stays what it is', () => {
  const pace = new Pace({ ...batching, pauseMsMin: 300, pauseMsMax: 300 })
  assert.deepEqual(pauses(pace, 1, 50_000, 50_000, 1), [300, 300, 300, 300])
})

test('rows do not wait for a clock that was set back', () => {
  const pace = new Pace(batching)
  pace.sent(3_600_000, 1)
  assert.equal(pace.dueMs(1000), 1050)
  // Nor for one that goes on from there.
  assert.equal(pace.dueMs(1020), 1050)
  assert.equal(pace.dueMs(1060), 1050)
})
