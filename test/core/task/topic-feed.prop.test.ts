/**
 * The feed of one topic: whatever blocks, schemas and truncates its chain holds, and whatever limits
 * and moments it is asked at, its deliveries add up to the topic; and each of them is found again
 * after a restart, with the same rows and the same hash. Attacks invariants 5 and 6.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../../core/connector/context.ts'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import { jsonRows } from '../../../core/record/json.ts'
import { deliveryHash } from '../../../core/task/delivery-hash.ts'
import {
  deliveryEnd,
  TopicFeed,
  type Delivery,
  type FeedLimits,
  type FeedPlace,
} from '../../../core/task/topic-feed.ts'
import { anyBatch, anySchema } from '../../support/batches.ts'
import { numberRows, numbersOf } from '../../support/number-rows.ts'
import { testLog } from '../../support/task-context.ts'

const chain = 'p.source.s'
const topic = 's.t'

interface Round {
  /** Commits that are written before the feed looks again. */
  readonly commits: readonly (readonly LogEntry[])[]
  readonly limits: FeedLimits
  /** How often something is taken then. */
  readonly takes: number
}

const entries: fc.Arbitrary<LogEntry> = anySchema(3).chain((schema) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: anyBatch({ schema, rowsMax: 12 }).map((batch): LogEntry => ({
        kind: 'rows',
        topic,
        batch,
      })),
    },
    { weight: 1, arbitrary: fc.constant<LogEntry>({ kind: 'truncate', topic }) },
    {
      weight: 1,
      arbitrary: fc.constant<LogEntry>({ kind: 'rows', topic: 's.other', batch: numberRows([1]) }),
    },
  ),
)
/** Mostly a few rows under the same schema one after the other, so that batches join and part. */
const runs: fc.Arbitrary<LogEntry[]> = anySchema(3).chain((schema) =>
  fc.array(
    fc.oneof(
      {
        weight: 5,
        arbitrary: anyBatch({ schema, rowsMax: 12 }).map((batch): LogEntry => ({
          kind: 'rows',
          topic,
          batch,
        })),
      },
      { weight: 1, arbitrary: entries },
    ),
    { maxLength: 4, size: 'max' },
  ),
)
const round: fc.Arbitrary<Round> = fc.record({
  commits: fc.array(runs, { minLength: 1, maxLength: 3, size: 'max' }),
  limits: fc.record({
    rowsMax: fc.integer({ min: 1, max: 30 }),
    bytesMax: fc.integer({ min: 1, max: 3000 }),
  }),
  takes: fc.integer({ min: 0, max: 4 }),
})

/** One line a row, or a truncate, as the topic has them. */
function linesOf(batch: Batch | null): string[] {
  if (batch === null) return ['truncate']
  const json = jsonRows(batch)
  const row = (_: unknown, i: number): string =>
    `${batch.schema.id} ${batch.weights[i]} ${batch.ops[i]} ${batch.timesUs[i]} ${json(i)}`
  return Array.from({ length: batch.rows }, row)
}

const batchOf = (delivery: Delivery): Batch | null =>
  delivery.kind === 'rows' ? delivery.batch : null

interface Taken {
  readonly delivery: Delivery
  /** As it is written in the commit that plans the delivery. */
  readonly place: FeedPlace
  readonly limits: FeedLimits
}

async function takeAll(log: Log, rounds: readonly Round[]): Promise<[Taken[], string[]]> {
  const { signal } = new AbortController()
  const written: string[] = []
  const taken: Taken[] = []
  await using writer = await ChainWriter.open(log, chain, { writer: 'test', signal })
  await using feed = new TopicFeed(log, chain, topic, { offset: 0, seq: 1 }, systemClock)
  const take = async (limits: FeedLimits): Promise<boolean> => {
    await feed.poll(limits, signal)
    const place = feed.place
    const delivery = feed.take(limits)
    if (delivery !== null) taken.push({ delivery, place, limits })
    return delivery !== null
  }
  for (const { commits, limits, takes } of rounds) {
    for (const commit of commits) {
      await writer.commit({ entries: commit }, signal)
      for (const entry of commit) {
        if (entry.kind === 'staged' || entry.topic !== topic) continue
        written.push(...linesOf(entry.kind === 'rows' ? entry.batch : null))
      }
    }
    for (let i = 0; i < takes; i++) await take(limits)
  }
  while (await take({ rowsMax: 10, bytesMax: 2000 }));
  assert.equal(feed.bufferedBytes, 0)
  return [taken, written]
}

test('deliveries add up to the topic, and a restart finds each again (invariants 5, 6)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(round, { minLength: 1, maxLength: 5, size: 'max' }),
      async (rounds) => {
        const log = await testLog()
        const [taken, written] = await takeAll(log, rounds)
        assert.deepEqual(
          taken.flatMap(({ delivery }) => linesOf(batchOf(delivery))),
          written,
        )
        let end = 0
        for (const { delivery, place, limits } of taken) {
          assert.equal(delivery.from, end)
          end = deliveryEnd(delivery)
          if (delivery.kind === 'rows') assert(delivery.batch.rows <= limits.rowsMax)
          await using feed = new TopicFeed(log, chain, topic, place, systemClock)
          const again = await feed.takeUntil(end, AbortSignal.timeout(60_000))
          assert(again !== null && again.kind === delivery.kind && again.from === delivery.from)
          assert.deepEqual(linesOf(batchOf(again)), linesOf(batchOf(delivery)))
          assert.equal(deliveryHash(again), deliveryHash(delivery))
        }
      },
    ),
    { numRuns: 60 },
  )
})

/** A topic of these entries, each in a commit of its own. */
async function written(...entries: readonly LogEntry[]): Promise<Log> {
  const { signal } = new AbortController()
  const log = await testLog()
  await using writer = await ChainWriter.open(log, chain, { writer: 'test', signal })
  for (const entry of entries) await writer.commit({ entries: [entry] }, signal)
  return log
}

const rows = (batch: Batch): LogEntry => ({ kind: 'rows', topic, batch })

test('a plan that the log does not hold as one delivery is not made up (invariant 6)', async () => {
  const log = await written(
    rows(numberRows([1, 2])),
    { kind: 'truncate', topic },
    rows(numberRows([3])),
  )
  await using feed = new TopicFeed(log, chain, topic, { offset: 0, seq: 1 }, systemClock)
  assert.equal(await feed.takeUntil(4, AbortSignal.timeout(60_000)), null)
})

test('a delivery that was cut before an old row is found again beside another old row (invariant 6)', async () => {
  const batch = numberRows([1, 2, 3, 4])
  const weights = Int32Array.of(1, -1, -1, 1)
  const ops = Uint8Array.of(Op.insert, Op.update, Op.update, Op.update)
  const log = await written(
    rows(makeBatch(batch.schema, batch.columns, weights, ops, batch.timesUs)),
  )
  const signal = AbortSignal.timeout(60_000)
  const limits = { rowsMax: 3, bytesMax: 1 << 20 }
  await using feed = new TopicFeed(log, chain, topic, { offset: 0, seq: 1 }, systemClock)
  await feed.poll(limits, signal)
  assert.equal(deliveryEnd(feed.take(limits)!), 2)
  await using again = new TopicFeed(log, chain, topic, { offset: 0, seq: 1 }, systemClock)
  assert.deepEqual(numbersOf(batchOf((await again.takeUntil(2, signal))!)!), [1, 2])
})

test('the old row of an update and its new one stay together, unless one row is all there may be', async () => {
  const batch = numberRows([1, 2, 3, 4])
  const weights = Int32Array.of(1, -1, 1, 1)
  const ops = Uint8Array.of(Op.insert, Op.update, Op.update, Op.insert)
  const update = makeBatch(batch.schema, batch.columns, weights, ops, batch.timesUs)
  const log = await written(rows(numberRows([0])), rows(update))
  const sizes = async (rowsMax: number): Promise<number[][]> => {
    await using feed = new TopicFeed(log, chain, topic, { offset: 0, seq: 1 }, systemClock)
    const taken: number[][] = []
    for (;;) {
      const limits = { rowsMax, bytesMax: 1 << 20 }
      await feed.poll(limits, AbortSignal.timeout(60_000))
      const delivery = feed.take(limits)
      if (delivery === null) return taken
      taken.push(numbersOf(batchOf(delivery)!))
    }
  }
  assert.deepEqual(await sizes(3), [
    [0, 1],
    [2, 3, 4],
  ])
  assert.deepEqual(await sizes(2), [[0, 1], [2, 3], [4]])
  assert.deepEqual(await sizes(1), [[0], [1], [2], [3], [4]])
})

test('waiting ends when a delivery is full, and otherwise when it is due', async () => {
  const log = await written(rows(numberRows([1])), rows(numberRows([2])))
  await using feed = new TopicFeed(log, chain, topic, { offset: 0, seq: 1 }, systemClock)
  const limits = { rowsMax: 2, bytesMax: 1 << 20 }
  const signal = AbortSignal.timeout(60_000)
  await feed.wait(Date.now() + 60_000, { room: limits, batch: limits }, signal)
  assert.equal(deliveryEnd(feed.take(limits)!), 2)
  const more = written(rows(numberRows([1])))
  await using late = new TopicFeed(await more, chain, topic, { offset: 0, seq: 1 }, systemClock)
  await late.wait(Date.now() - 1, { room: limits, batch: limits }, signal)
  assert.equal(deliveryEnd(late.take(limits)!), 1)
})
