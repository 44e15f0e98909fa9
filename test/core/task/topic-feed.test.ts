/** How long the feed of a topic waits for more: what is due, what is full, what the memory allows. Invariant 8. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../../core/connector/context.ts'
import { TopicFeed } from '../../../core/task/topic-feed.ts'
import { firstOf, isSettled } from '../../../core/task/wait.ts'
import { numberRows } from '../../support/number-rows.ts'
import { sourceChain, writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'

const blockRows = 10
const numbers = Array.from({ length: blockRows }, (_, i) => i)
const blockBytes = numberRows(numbers).byteLength
const batch = { rowsMax: 1000, bytesMax: 1 << 20 }
/** The topic's share of the memory is a block; the sink would take many. */
const room = { ...batch, bytesMax: blockBytes }
const dueMs = 5000

/** Stands still until it is told to go on; `asked` resolves when somebody sleeps. */
class StoppedClock implements Clock {
  #nowMs = 0
  #wake: () => void = () => {}
  #asked: () => void = () => {}
  readonly asked = new Promise<void>((resolve) => (this.#asked = resolve))

  nowMs(): number {
    return this.#nowMs
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const woken = new Promise<void>((resolve, reject) => {
      this.#wake = resolve
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    this.#asked()
    await woken
    this.#nowMs += ms
  }

  goOn(): void {
    this.#wake()
  }
}

/** A feed of three blocks that are in the log already. */
async function feedOf(clock: Clock): Promise<TopicFeed> {
  const log = await testLog()
  const block = { kind: 'rows', topic: 's.t', batch: numberRows(numbers) } as const
  await writeTopics(log, block, block, block)
  return new TopicFeed(log, sourceChain, 's.t', { offset: 0, seq: 1 }, clock)
}

test('where the memory holds no more, a batch that is none yet waits until it is due', async () => {
  const { signal } = new AbortController()
  const clock = new StoppedClock()
  await using feed = await feedOf(clock)
  const waiting = feed.wait(dueMs, { room, batch }, signal)
  await firstOf([waiting, clock.asked])
  assert.equal(await isSettled(waiting), false, 'it is not due yet')
  assert.equal(feed.bufferedBytes, blockBytes)
  clock.goOn()
  await waiting
  assert.equal(clock.nowMs(), dueMs)
  assert.equal(feed.bufferedBytes, blockBytes)
})

test('memory that was freed meanwhile is used when it is due', async () => {
  const { signal } = new AbortController()
  const clock = new StoppedClock()
  await using feed = await feedOf(clock)
  const share = { ...room }
  const waiting = feed.wait(dueMs, { room: share, batch }, signal)
  await firstOf([waiting, clock.asked])
  share.bytesMax = 2 * blockBytes
  clock.goOn()
  await waiting
  assert.equal(feed.bufferedBytes, 2 * blockBytes)
})

test('a batch that is as large as the sink takes waits for nothing', async () => {
  const { signal } = new AbortController()
  for (const full of [
    { ...batch, rowsMax: blockRows },
    { ...batch, bytesMax: blockBytes },
  ]) {
    const clock = new StoppedClock()
    await using feed = await feedOf(clock)
    await feed.wait(dueMs, { room: full, batch: full }, signal)
    assert.equal(clock.nowMs(), 0)
    assert.equal(feed.bufferedBytes, blockBytes)
  }
})

test('whoever waits for the time can stop', async () => {
  const stop = new AbortController()
  const clock = new StoppedClock()
  await using feed = await feedOf(clock)
  const waiting = feed.wait(dueMs, { room, batch }, stop.signal)
  await firstOf([waiting, clock.asked])
  const reason = new Error('stopped')
  stop.abort(reason)
  await assert.rejects(waiting, reason)
})
