/**
 * Order and completeness under concurrency and failures: random batches, a receiver that fails at
 * random, delays at random and loses answers. Attacks invariant 5 (nothing vanishes), 6 (the same ids
 * again) and the promise that events of one key are never taken out of order.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isAbort, SluiceError } from '../../../core/errors/error.ts'
import {
  seeded,
  startReceiver,
  type Answer,
  type Received,
} from '../../services/webhook-receiver.ts'
import {
  batchOf,
  forever,
  jumpClock,
  openSink,
  secret,
  sinkBatch,
  testContext,
  type Change,
} from './support.ts'

const failures: readonly Answer[] = [
  { status: 500 },
  { status: 429 },
  { status: 503, headers: { 'retry-after': '1' } },
  { status: 404 },
  { drop: 'unseen' },
  { drop: 'answerless' },
]

interface Plan {
  readonly keys: readonly number[]
  readonly order: 'per-key' | 'strict' | 'none'
  readonly inFlight: number
  readonly seed: number
  readonly rate: number
}

const plans: fc.Arbitrary<Plan> = fc.record({
  keys: fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 40 }),
  order: fc.constantFrom('per-key' as const, 'strict' as const, 'none' as const),
  inFlight: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(),
  rate: fc.constantFrom(0, 0.2, 0.5),
})

function changesOf(keys: readonly number[]): readonly Change[] {
  return keys.map((id, i) => ['+', 'update', id, `v${i}`] as const)
}

/** First time each event was taken, in the order of taking. */
function firsts(taken: readonly Received[]): readonly Received[] {
  const seen = new Set<string>()
  return taken.filter(({ id }) => !seen.has(id) && seen.add(id))
}

function assertOrder(taken: readonly Received[], order: Plan['order']): void {
  if (order === 'none') return
  const newest = new Map<unknown, number>()
  for (const { event } of taken) {
    const key = order === 'strict' ? 'all' : event.data?.['id']
    const last = newest.get(key) ?? -1
    // A lost answer brings the same event again, right away: never an older one.
    assert.ok(event.offset >= last, `offset ${event.offset} after ${last} of key ${String(key)}`)
    newest.set(key, event.offset)
  }
}

/** Writes the batch until it is through, as the deliver loop does; returns the rows set aside. */
async function writeThrough(
  plan: Plan,
  url: string,
): Promise<{ readonly rejected: readonly number[] }> {
  const clock = jumpClock()
  const ctx = testContext(clock, seeded(plan.seed + 1))
  await using sink = await openSink(url, { order: plan.order, max_in_flight: plan.inFlight }, ctx)
  const batch = sinkBatch(batchOf(changesOf(plan.keys)))
  for (let attempt = 1; attempt < 500; attempt++) {
    try {
      const { rejected } = await sink.write({ ...batch, attempt }, forever)
      return { rejected: rejected.map(({ row }) => row) }
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || thrown.fault !== 'transient') throw thrown
      clock.pass(thrown.retryAfterMs ?? 1000)
    }
  }
  throw new Error('the batch never came through')
}

test('every event is taken or set aside, in order, at most max_in_flight at a time', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const random = seeded(plan.seed)
      await using receiver = await startReceiver({
        secret,
        behaviour: () => {
          const delayMs = random() < 0.1 ? 2 : 0
          if (random() >= plan.rate) return { delayMs }
          return { delayMs, ...failures[Math.floor(random() * failures.length)] }
        },
      })
      const { rejected } = await writeThrough(plan, receiver.url)
      const offsets = new Set(firsts(receiver.taken).map(({ event }) => event.offset - 100))
      plan.keys.forEach((_, row) => {
        assert.ok(offsets.has(row) || rejected.includes(row), `row ${row} vanished`)
      })
      assertOrder(receiver.taken, plan.order)
      assert.equal(receiver.unverified, 0)
      assert.ok(receiver.concurrencyMax <= plan.inFlight)
      if (plan.order === 'strict') assert.equal(receiver.concurrencyMax, 1)
    }),
    { numRuns: 40 },
  )
})

test('aborted anywhere and begun again by a new process: nothing lost, the same ids, in order', async () => {
  await fc.assert(
    fc.asyncProperty(plans, fc.nat({ max: 30 }), async (plan, abortAfter) => {
      const random = seeded(plan.seed)
      const stop = new AbortController()
      let requests = 0
      await using receiver = await startReceiver({
        secret,
        behaviour: () => {
          if (++requests === abortAfter) stop.abort()
          return random() < plan.rate ? { drop: 'answerless' } : { delayMs: random() < 0.2 ? 1 : 0 }
        },
      })
      const batch = sinkBatch(batchOf(changesOf(plan.keys)))
      {
        const config = {
          order: plan.order,
          max_in_flight: plan.inFlight,
          headers: { 'x-run': '1' },
        }
        await using first = await openSink(receiver.url, config)
        await first.write(batch, stop.signal).catch((thrown: unknown) => {
          if (isAbort(thrown)) return
          if (!(thrown instanceof SluiceError) || thrown.fault !== 'transient') throw thrown
        })
      }
      const { rejected } = await writeThrough(plan, receiver.url)
      // What was on its way when the first one stopped may still arrive among what the second sends.
      const after = receiver.taken.filter(({ headers }) => headers['x-run'] === undefined)
      const offsets = new Set(after.map(({ event }) => event.offset - 100))
      plan.keys.forEach((_, row) => {
        assert.ok(offsets.has(row) || rejected.includes(row), `row ${row} vanished`)
      })
      assert.ok(new Set(receiver.taken.map(({ id }) => id)).size <= plan.keys.length)
      assertOrder(after, plan.order)
    }),
    { numRuns: 25 },
  )
})
