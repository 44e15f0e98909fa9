/**
 * One timer and one listener a signal for all requests: each is given up at its own time, once, and for
 * its own signal's sake. Attacks invariant 8.
 */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ExchangeWatch, WatchGroup, type Watched } from '../../../sinks/webhook/exchange-watch.ts'
import { waitFor } from '../../support/env.ts'

interface Kept extends Watched {
  readonly reasons: Error[]
}

/** As an exchange does, it leaves its group when it is given up. */
function watched(group: WatchGroup, startMs: number): Kept {
  const reasons: Error[] = []
  const one: Kept = {
    startMs,
    reasons,
    giveUp: (reason) => {
      reasons.push(reason)
      group.delete(one)
    },
  }
  group.add(one)
  return one
}

test('those whose time is over are given up, and when the next one is due is told', () => {
  let over = 0
  const group = new WatchGroup(new AbortController().signal, () => over++)
  const [first, second, third] = [10, 20, 30].map((ms) => watched(group, ms))
  assert.equal(group.expire(5), 10)
  assert.equal(group.expire(20), 30)
  assert.deepEqual(
    [first, second, third].map((one) => one?.reasons.length),
    [1, 1, 0],
  )
  assert.equal(over, 0)
  group.delete(third!)
  assert.equal(over, 1)
  assert.equal(group.expire(100), Infinity)
})

test('an abort ends the requests of its signal and no others, and leaves no listener', () => {
  using watch = new ExchangeWatch(60_000)
  const stop = new AbortController()
  const other = new AbortController()
  const mine = [1, 2].map((ms) => watched(watch.of(stop.signal), ms))
  const theirs = watched(watch.of(other.signal), 1)
  assert.equal(getEventListeners(stop.signal, 'abort').length, 1)
  const reason = new Error('enough')
  stop.abort(reason)
  assert.deepEqual(
    mine.map(({ reasons }) => reasons),
    [[reason], [reason]],
  )
  assert.deepEqual(theirs.reasons, [])
  watch.of(other.signal).delete(theirs)
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
  assert.equal(getEventListeners(other.signal, 'abort').length, 0)
})

test('requests that began later than the one the timer was set for end too', async () => {
  using watch = new ExchangeWatch(30)
  const { signal } = new AbortController()
  const answered = watched(watch.of(signal), performance.now())
  const group = watch.of(signal)
  const late: Kept[] = []
  for (const ms of [10, 20]) late.push(watched(group, performance.now() + ms))
  group.delete(answered)
  // Real time, and no listener or socket that keeps the process: the wait does.
  await waitFor('the late ones', async () => late.every(({ reasons }) => reasons.length === 1))
  assert.deepEqual(answered.reasons, [])
  const again = watched(watch.of(signal), performance.now())
  await waitFor('one after a pause', async () => again.reasons.length === 1)
})
