/** When the next commit is due: at once after a pause, in intervals under load, rarely when the store is slow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flushPolicy } from '../../../core/hub/pipeline-tasks.ts'
import { FlushTimer } from '../../../core/task/flush.ts'

const policy = { bytesMax: 1000, intervalMs: 20, intervalMsMax: 500 }

/** One commit that begins at `nowMs` and takes so long; when the next one is due after its begin. */
function commit(timer: FlushTimer, nowMs: number, latencyMs: number): number {
  timer.started(nowMs)
  timer.finished(nowMs + latencyMs)
  return timer.dueInMs(nowMs, 1)
}

test('the first rows go at once, and so do those after a pause', () => {
  const timer = new FlushTimer(policy)
  assert.equal(timer.dueInMs(0, 1), 0)
  assert.equal(commit(timer, 1000, 2), 20)
  assert.equal(timer.dueInMs(1015, 1), 5)
  assert.equal(timer.dueInMs(1020, 1), 0)
  assert.equal(timer.dueInMs(9000, 1), 0)
})

test('a full commit never waits', () => {
  const timer = new FlushTimer(policy)
  commit(timer, 1000, 400)
  assert.equal(timer.dueInMs(1000, 999), 500)
  assert.equal(timer.dueInMs(1000, 1000), 0)
})

test('a slow store is asked less often, at once when it becomes slow and by degrees when it recovers', () => {
  const timer = new FlushTimer(policy)
  assert.equal(commit(timer, 1000, 20), 20)
  assert.equal(commit(timer, 2000, 100), 200)
  assert.equal(commit(timer, 3000, 3000), 500)
  const recovering = Array.from({ length: 30 }, (_, i) => commit(timer, 10_000 + i * 1000, 5))
  assert(recovering.every((due, i) => i === 0 || due <= recovering[i - 1]!))
  assert.equal(recovering[0], 500)
  assert.equal(recovering.at(-1), 20)
})

test('rows do not wait for a clock that was set back', () => {
  const timer = new FlushTimer(policy)
  timer.started(3_600_000)
  timer.finished(1000)
  assert.equal(timer.dueInMs(1000, 1), 0)
  assert.equal(commit(timer, 1000, 2), 20)
})

test('a slow disk is waited for once, an object store is asked less often', () => {
  const dueAfter = (url: string, flushMs: number | null, latencyMs: number): number =>
    commit(new FlushTimer(flushPolicy(url, flushMs)), 1000, latencyMs)
  for (const url of ['file:///var/log', 'memory://x']) {
    assert.deepEqual(
      [1, 90, 9000].map((ms) => dueAfter(url, null, ms)),
      [20, 20, 20],
    )
    assert.equal(dueAfter(url, 700, 9000), 700)
  }
  assert.deepEqual(
    [1, 400, 9000].map((ms) => dueAfter('s3://b', null, ms)),
    [250, 800, 5000],
  )
  assert.deepEqual(
    [1, 9000].map((ms) => dueAfter('s3://b', 7000, ms)),
    [7000, 7000],
  )
})
