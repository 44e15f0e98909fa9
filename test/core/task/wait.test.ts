/** Waiting again and again beside promises that live as long as their task (invariant 8: bounded). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { systemClock } from '../../../core/connector/context.ts'
import { pollPauses } from '../../../core/task/poll.ts'
import { aborted, firstOf, isSettled, timeoutOr } from '../../../core/task/wait.ts'

const never = new Promise<void>(() => {})

test('a wait that is over leaves nothing behind in the promises that did not win', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const stop = new AbortController()
  const heapBytes = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const wait = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await timeoutOr(systemClock, 60_000, [aborted(stop.signal), never, Promise.resolve()])
    }
  }
  await wait(1000)
  const before = heapBytes()
  await wait(20_000)
  // Promise.race kept 1.3 kB a wait: 26 MB.
  assert.ok(heapBytes() - before < 3_000_000)
})

test('the first to settle decides, also one that was settled before', async () => {
  await firstOf([never, Promise.resolve()])
  const failed = Promise.reject(new Error('lost'))
  await assert.rejects(firstOf([never, failed]), /lost/)
  await assert.rejects(firstOf([failed, never]), /lost/)
  await assert.rejects(timeoutOr(systemClock, 60_000, [never, failed]), /lost/)
})

test('time passes, or something happens', async () => {
  assert.equal(await timeoutOr(systemClock, 1, [never]), true)
  assert.equal(await timeoutOr(systemClock, 60_000, [Promise.resolve()]), false)
  assert.equal(await timeoutOr(systemClock, null, [Promise.resolve()]), false)
})

test('one look at a promise', async () => {
  assert.equal(await isSettled(never), false)
  assert.equal(await isSettled(Promise.resolve(1)), true)
  await assert.rejects(isSettled(Promise.reject(new Error('lost'))), /lost/)
})

test('a signal that is aborted already, or later', async () => {
  await aborted(AbortSignal.abort())
  const stop = new AbortController()
  setImmediate(() => stop.abort())
  await aborted(stop.signal)
})

test('looks at a chain begin close together and end far apart where each of them is paid for', () => {
  const pausesAt = (url: string): number[] => {
    const pauses = pollPauses(url)
    return Array.from({ length: 9 }, () => pauses.next().value)
  }
  assert.deepEqual(pausesAt('file:///x').slice(0, 3), [50, 100, 100])
  assert.deepEqual(pausesAt('s3://b'), [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
})
