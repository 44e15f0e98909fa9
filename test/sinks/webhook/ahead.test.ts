/**
 * Several batches of a topic under way: a key that is held up holds up its own later events, in this
 * batch and the next ones, and no other key's; a batch that is tried again keeps its place.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Clock } from '../../../core/connector/context.ts'
import { LaneOrder } from '../../../sinks/webhook/lane-order.ts'
import { startReceiver } from '../../services/webhook-receiver.ts'
import { waitFor } from '../../support/env.ts'
import {
  batchOf,
  forever,
  openSink,
  secret,
  sinkBatch,
  testContext,
  type Change,
} from './support.ts'

function update(id: number, name: string): Change {
  return ['+', 'update', id, name]
}

test('other keys go on across batches while one is held up, and its order holds', async () => {
  let down = true
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ event }) => (down && event.key?.['id'] === 1 ? { status: 500 } : undefined),
  })
  await using sink = await openSink(receiver.url, {
    retry: { attempts: 100, base: '5ms', max: '5ms' },
  })
  const names = (): string[] => receiver.taken.map(({ event }) => String(event.data?.['name']))
  const first = sink.write(
    sinkBatch(batchOf([update(1, 'a1'), update(2, 'b1')]), { id: 'one', offset: 0 }),
    forever,
  )
  const second = sink.write(
    sinkBatch(batchOf([update(1, 'a2'), update(2, 'b2'), update(3, 'c2')]), {
      id: 'two',
      offset: 2,
    }),
    forever,
  )
  const third = sink.write(
    sinkBatch(batchOf([update(2, 'b3')]), { id: 'three', offset: 5 }),
    forever,
  )
  await third
  assert.deepEqual(names().toSorted(), ['b1', 'b2', 'b3', 'c2'])
  down = false
  assert.deepEqual(await first, { rejected: [] })
  assert.deepEqual(await second, { rejected: [] })
  const ofA = names().filter((name) => name.startsWith('a'))
  assert.deepEqual(ofA, ['a1', 'a2'])
  assert.deepEqual(
    names().filter((name) => name.startsWith('b')),
    ['b1', 'b2', 'b3'],
  )
})

test('keys that are held up leave their places to others, however many they are (invariant 8)', async () => {
  const held = [1, 2, 3, 4]
  let down = true
  await using receiver = await startReceiver({
    secret,
    behaviour: ({ event }) =>
      down && held.includes(Number(event.key?.['id'])) ? { status: 500 } : undefined,
  })
  let mend = (): void => {}
  const mended = new Promise<void>((resolve) => (mend = resolve))
  const clock: Clock = { nowMs: () => Date.now(), sleep: () => mended }
  await using sink = await openSink(receiver.url, { max_in_flight: 2 }, testContext(clock))
  const taken = (): number[] => receiver.taken.map(({ event }) => Number(event.data?.['id']))
  const write = (id: string, offset: number, other: number): Promise<unknown> => {
    const changes = [...held, other].map((key) => update(key, id))
    return sink.write(sinkBatch(batchOf(changes), { id, offset }), forever)
  }
  // Those of the first batch wait for their next attempt, those of the second for the first batch.
  const writing = [write('one', 0, 5), write('two', 5, 6)]
  await waitFor('the others', async () => taken().includes(5) && taken().includes(6))
  assert.equal(taken().length, 2)
  down = false
  mend()
  await Promise.all(writing)
  assert.deepEqual(
    taken().toSorted((a, b) => a - b),
    [1, 1, 2, 2, 3, 3, 4, 4, 5, 6],
  )
  assert.ok(receiver.concurrencyMax <= 2)
})

test('a batch that failed keeps the places of its keys until it is sent again', async () => {
  let down = true
  await using receiver = await startReceiver({
    secret,
    behaviour: () => (down ? { status: 429, headers: { 'retry-after': '0' } } : undefined),
  })
  await using sink = await openSink(receiver.url, {
    retry: { attempts: 2, base: '1ms', max: '1ms' },
  })
  const one = sinkBatch(batchOf([update(1, 'a1')]), { id: 'one', offset: 0 })
  const stop = new AbortController()
  await assert.rejects(sink.write(one, forever))
  down = false
  const second = sink.write(
    sinkBatch(batchOf([update(1, 'a2')]), { id: 'two', offset: 1 }),
    stop.signal,
  )
  second.catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(receiver.taken.length, 0, 'the second batch waits for the first')
  await sink.write(one, forever)
  await second
  const names = receiver.taken.map(({ event }) => event.data?.['name'])
  assert.deepEqual(names, ['a1', 'a2'])
})

test('turns come in the order of entering, for any interleaving of keys and ends', async () => {
  const entry = fc.record({ key: fc.constantFrom('a', 'b'), batch: fc.nat({ max: 5 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 30 }), async (entries) => {
      const order = new LaneOrder()
      const seen = new Map<string, string[]>()
      const expected = new Map<string, string[]>()
      for (const { key, batch } of entries) {
        order.enter('t', key, String(batch))
        const list = expected.get(key) ?? []
        if (!list.includes(String(batch))) list.push(String(batch))
        expected.set(key, list)
      }
      const runs = [...expected].flatMap(([key, batches]) =>
        batches.toReversed().map(async (batch) => {
          await order.turn('t', key, batch, forever)
          seen.set(key, [...(seen.get(key) ?? []), batch])
          await Promise.resolve()
          order.leave('t', key, batch)
        }),
      )
      await Promise.all(runs)
      assert.deepEqual(seen, expected)
    }),
  )
})
