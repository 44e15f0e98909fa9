/**
 * Freshness without a false alarm: a view that is idle is fresh, one whose rows wait is not, whatever the
 * wall clock says (invariant 8: what is bounded is measured).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SluiceError } from '../../../core/errors/error.ts'
import type { SinkContext } from '../../../core/connector/context.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { acceptRows } from '../../../sinks/feast/accept.ts'
import { feastConfig } from '../../../sinks/feast/config.ts'
import { Freshness } from '../../../sinks/feast/freshness.ts'
import { planView } from '../../../sinks/feast/view.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { quietContext } from '../../support/context.ts'

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'n', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)
const config = feastConfig.parse({
  project: 'shop',
  target: { type: 'redis', url: 'redis://h' },
  views: { users: {} },
  freshness_slo: '5s',
})
const view = planView(config, 'users', 't', schema)

function watch() {
  const state = { nowMs: 1_000_000, waitsSinceMs: null as number | null }
  const gauges = new Map<string, number>()
  const delays: number[] = []
  const troubles = new Map<string, SluiceError>()
  const ctx: SinkContext = {
    ...quietContext(),
    // No look but those that the test asks for.
    clock: { nowMs: () => state.nowMs, sleep: (_, signal) => aborted(signal) },
    metrics: {
      count: () => {},
      gauge: (name, value) => void gauges.set(name, value),
      observe: (_, value) => void delays.push(value),
    },
    waitsSinceMs: (topic) => (topic === 't' ? state.waitsSinceMs : undefined),
    trouble: (error, about = '') => {
      if (error === null) troubles.delete(about)
      else troubles.set(about, error)
    },
  }
  const freshness = new Freshness(config.freshness_slo ?? null, ctx)
  freshness.watch(view)
  const write = (rows: readonly Row[], origin: 'live' | 'replay' = 'live'): void => {
    const sent = {
      id: 'b',
      topic: 't',
      batch: batchOf(schema, rows),
      offset: 0,
      attempt: 1,
      origin,
    }
    freshness.written(acceptRows(view, sent))
  }
  const look = (): {
    met: number | undefined
    age: number | undefined
    stale: string | undefined
  } => {
    freshness.look()
    return {
      met: gauges.get('feature_freshness_slo_met'),
      age: gauges.get('feature_freshness_seconds'),
      stale: troubles.get('view users')?.message,
    }
  }
  return { state, delays, freshness, write, look }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function row(timeMs: number, op: 'insert' | 'snapshot' = 'insert'): Row {
  return { op, timeUs: timeMs * 1000, values: { id: 1n, n: 1 } }
}

test('an idle view grows old and is not beyond its objective', async () => {
  const { state, write, look, freshness } = watch()
  assert.deepEqual(look(), { met: 1, age: undefined, stale: undefined }, 'nothing came yet')
  write([row(state.nowMs - 100)])
  state.nowMs += 3_600_000
  assert.deepEqual(look(), { met: 1, age: 3600.1, stale: undefined })
  await freshness[Symbol.asyncDispose]()
})

test('rows that wait beyond the objective are said with the time at which it began, once', async () => {
  const { state, look, freshness } = watch()
  state.waitsSinceMs = state.nowMs - 5000
  assert.equal(look().met, 1, 'just within it')
  state.nowMs += 1
  const since = 'View users is beyond its freshness_slo of 5s since 1970-01-01T00:16:40.001Z.'
  assert.deepEqual(look(), { met: 0, age: undefined, stale: since })
  state.nowMs += 60_000
  assert.equal(look().stale, since, 'the message stays as it is')
  state.waitsSinceMs = null
  assert.deepEqual(look(), { met: 1, age: undefined, stale: undefined })
  await freshness[Symbol.asyncDispose]()
})

test('rows that come late are beyond it, and only for a while', async () => {
  const { state, write, look, delays, freshness } = watch()
  write([row(state.nowMs - 7000), row(state.nowMs - 10)])
  assert.deepEqual(delays, [0.01, 7])
  assert.equal(look().met, 0)
  state.nowMs += 5001
  assert.equal(look().met, 1, 'nothing waits any more')
  write([row(state.nowMs - 7000)])
  assert.equal(look().met, 0)
  write([row(state.nowMs - 10)])
  assert.equal(look().met, 1)
  await freshness[Symbol.asyncDispose]()
})

test('a first copy and a replay are old without being late', async () => {
  const { state, write, look, delays, freshness } = watch()
  write([row(0, 'snapshot')])
  write([row(0)], 'replay')
  assert.deepEqual([look().met, delays], [1, []])
  assert.equal(look().age, state.nowMs / 1000)
  await freshness[Symbol.asyncDispose]()
})
