/**
 * Readers beside their writer: right behind it the store is not asked, and yet a chain that another
 * process took over is followed. Attacks invariant 5.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLog, type Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { WakeUps } from '../../../core/log/wake.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { openStore } from '../../../core/store/open.ts'

const { signal } = new AbortController()

/** A process's log on a store of that name; its sleeps end at once and are counted. */
async function processOn(
  name: string,
): Promise<{ readonly log: Log; readonly slept: () => number }> {
  let sleeps = 0
  const sleep = async (_: number, abort: AbortSignal): Promise<void> => {
    sleeps++
    await new Promise((resolve) => setImmediate(resolve))
    abort.throwIfAborted()
  }
  const store = openStore(`memory://wake-${name}-${process.pid}`)
  return { log: await openLog(store, { signal, sleep }), slept: () => sleeps }
}

test('right behind its writer a reader waits without a look at the store', async () => {
  const { log } = await processOn('near')
  await using writer = await ChainWriter.open(log, 'a', { writer: 'one', signal })
  await using reader = ChainReader.open(log, 'a', 1)
  await reader.next(signal)
  const gets: string[] = []
  const get = log.store.get.bind(log.store)
  log.store.get = async (key, ...rest) => {
    gets.push(key)
    return get(key, ...rest)
  }
  // What the sleep would end in is a look; the writer is earlier.
  const next = reader.next(signal)
  await writer.commit({ entries: [] }, signal)
  assert.equal((await next).seq, 2)
  assert.deepEqual(
    gets.filter((key) => key.endsWith('2')),
    [],
  )
})

test('a chain that another process took over is followed, commit after commit (invariant 5)', async () => {
  const here = await processOn('taken')
  const there = await processOn('taken')
  await using old = await ChainWriter.open(here.log, 'a', { writer: 'one', signal })
  await old.commit({ entries: [] }, signal)
  await using reader = ChainReader.open(here.log, 'a', 1)
  await reader.next(signal)
  await reader.next(signal)
  await using successor = await ChainWriter.open(there.log, 'a', { writer: 'two', signal })
  for (let i = 0; i < 10; i++) await successor.commit({ entries: [] }, signal)
  for (let seq = 3; seq <= 13; seq++) assert.equal((await reader.next(signal)).seq, seq)
  // One sleep before the first commit of the other process is noticed; those after it are there.
  assert.equal(here.slept(), 1)
})

test('a look that a clock put into the future before it was set back holds nobody from looking (invariant 5)', () => {
  const wake = new WakeUps()
  const [gone, other] = [{}, {}]
  wake.missed('a', 2, 3_600_000, gone)
  const at = (nowMs: number) => ({ sinceMs: nowMs - 5000, nowMs })
  assert.equal(wake.isLookedFor('a', 2, at(3_601_000), other), true)
  assert.equal(wake.isLookedFor('a', 2, at(3_601_000), gone), false)
  assert.equal(wake.isLookedFor('a', 2, at(3_606_000), other), false, 'it was long ago')
  assert.equal(wake.isLookedFor('a', 2, at(1000), other), false)
})

/** Time goes on when all sleep, to where the first of them wakes. */
class SleepingTime {
  nowMs = 1_700_000_000_000
  readonly #sleeps = new Set<{ readonly atMs: number; readonly wake: () => void }>()

  readonly sleep = (ms: number, abort: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const sleep = { atMs: this.nowMs + ms, wake: resolve }
      this.#sleeps.add(sleep)
      abort.addEventListener('abort', () => {
        this.#sleeps.delete(sleep)
        reject(abort.reason as Error)
      })
    })

  async until(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      const [next] = [...this.#sleeps].sort((a, b) => a.atMs - b.atMs)
      if (next === undefined || isOver()) continue
      this.#sleeps.delete(next)
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.wake()
    }
  }
}

test('of many readers of a quiet chain one looks for all, and all follow when another process goes on (invariants 5, 8)', async () => {
  const time = new SleepingTime()
  const url = `memory://wake-many-${process.pid}`
  const store = openStore(url)
  const looks: string[] = []
  const get = store.get.bind(store)
  store.get = async (key, ...rest) => {
    looks.push(key)
    return get(key, ...rest)
  }
  const log = await openLog(store, { signal, nowMs: () => time.nowMs, sleep: time.sleep })
  await using writer = await ChainWriter.open(log, 'a', { writer: 'one', signal })
  const stop = new AbortController()
  const read: number[] = []
  const readers = Array.from({ length: 30 }, async () => {
    await using reader = ChainReader.open(log, 'a', 1)
    for (;;) read.push((await reader.next(stop.signal)).seq)
  })
  const minutesMs = 10 * 60_000
  looks.length = 0
  const endMs = time.nowMs + minutesMs
  await time.until(() => time.nowMs >= endMs)
  assert.deepEqual(
    read,
    Array.from({ length: 30 }, () => writer.head.seq),
  )
  // One each five seconds or so, and the hint once a minute or so, for whoever looks.
  assert.ok(looks.length < 300, `${looks.length} requests in ten minutes`)
  assert.ok(looks.length > 60, `${looks.length} requests in ten minutes`)
  const there = await openLog(openStore(url), { signal })
  await using other = await ChainWriter.open(there, 'a', { writer: 'two', signal })
  await other.commit({ entries: [] }, signal)
  const beforeMs = time.nowMs
  await time.until(() => read.length === 90)
  assert.ok(time.nowMs - beforeMs < 15_000, `${time.nowMs - beforeMs} ms until all have them`)
  stop.abort()
  await Promise.allSettled(readers)
})
