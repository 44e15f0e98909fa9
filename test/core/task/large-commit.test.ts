/**
 * A transaction of any size is one commit: whoever delivers its rows, live or once more, has about a batch of
 * them in memory, and not all (invariant 8).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../core/connector/context.ts'
import type { Log } from '../../../core/log/log.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { everyRow } from '../../../core/task/again-selection.ts'
import { ReplayRows } from '../../../core/task/replay-rows.ts'
import { deliveryEnd, TopicFeed } from '../../../core/task/topic-feed.ts'
import { numberRows, numbersOf } from '../../support/number-rows.ts'
import { testLog } from '../../support/task-context.ts'

const { signal } = new AbortController()
const chain = 'p.source.s'
const topic = 's.t'
const segments = 40
const rowsEach = 100

/** One commit of many segments, and one row behind it; `read` counts the segments that were looked at. */
async function largeCommit(): Promise<{ readonly log: Log; readonly read: () => number }> {
  const url = `memory://large-commit-${Math.random()}`
  const written = await testLog(url)
  await using writer = await ChainWriter.open(written, chain, { writer: 'test', signal })
  const entries = []
  for (let i = 0; i < segments; i++) {
    const batch = numberRows(Array.from({ length: rowsEach }, (_, row) => i * rowsEach + row))
    const segment = await writer.stage([{ kind: 'rows', topic, batch }], signal)
    entries.push({ kind: 'staged', segment } as const)
  }
  await writer.commit({ entries }, signal)
  await writer.commit({ entries: [{ kind: 'rows', topic, batch: numberRows([-1]) }] }, signal)
  const log = await testLog(url)
  const get = log.store.get.bind(log.store)
  const keys = new Set<string>()
  log.store.get = async (key, ...rest) => {
    if (key.startsWith('seg/')) keys.add(key)
    return get(key, ...rest)
  }
  return { log, read: () => keys.size }
}

test('live rows of a large commit are read as they are delivered, and its place is kept', async () => {
  const { log, read } = await largeCommit()
  const limits = { rowsMax: 150, bytesMax: 1 << 20 }
  const begin = { offset: 0, seq: 1 }
  await using feed = new TopicFeed(log, chain, topic, begin, systemClock)
  const numbers: number[] = []
  let place = begin
  for (let taken = 1; ; taken++) {
    await feed.poll(limits, signal)
    assert.ok(read() <= taken * 2, `${read()} segments for ${taken} deliveries`)
    if (read() < segments) assert.notEqual(feed.waitsSinceMs, null)
    const delivery = feed.take(limits)
    if (delivery === null) break
    assert.ok(delivery.kind === 'rows' && delivery.batch.rows <= 150)
    numbers.push(...numbersOf(delivery.batch))
    // A restart goes on from here.
    await using again = new TopicFeed(log, chain, topic, place, systemClock)
    const same = await again.takeUntil(deliveryEnd(delivery), signal)
    assert.ok(same?.kind === 'rows')
    assert.deepEqual(numbersOf(same.batch), numbersOf(delivery.batch))
    place = feed.place
  }
  const all = Array.from({ length: segments * rowsEach }, (_, row) => row)
  assert.deepEqual(numbers, [...all, -1])
  assert.equal(feed.waitsSinceMs, null)
})

test('rows of a large commit that are replayed are read as they are sent', async () => {
  const { log, read } = await largeCommit()
  const range = { from: 0, end: segments * rowsEach }
  const limits = { rowsMax: 150, bytesMax: 1 << 20 }
  await using rows = new ReplayRows(log, { name: topic, chain }, range, everyRow, limits)
  const numbers: number[] = []
  let place = 0
  for (let steps = 1; ; steps++) {
    const step = await rows.read(place, null, signal)
    if (step === null) break
    assert.ok(read() <= steps * 2 + 1, `${read()} segments for ${steps} steps`)
    for (const { batch } of step.runs) numbers.push(...numbersOf(batch))
    place = step.to
  }
  assert.deepEqual(
    numbers,
    Array.from({ length: range.end }, (_, row) => row),
  )
})
