/** Bodies of push requests: rows without any value go out so that Feast does not pass over them (invariant 5). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pushRequests } from '../../../../sinks/feast/push/requests.ts'
import { featureRows, viewOf, type Change } from '../postgres/support.ts'
import type { FeatureView } from '../../../../sinks/feast/view.ts'

const at = 1_767_225_600
// A key of Feast's, instead of the one byte that stands for it in the tests of Postgres.
const key = Buffer.from('010000000200000002000000696404000000080000000700000000000000', 'hex')
const mixed: readonly Change[] = [
  { key: 1, offset: 0, at, score: 5 },
  { key: 2, offset: 1, at, score: null },
]

function rowsOf(view: FeatureView, changes: readonly Change[]) {
  const keyOffsets = Int32Array.from({ length: changes.length + 1 }, (_, i) => i * key.length)
  return { ...featureRows(view, changes), keys: Buffer.concat(changes.map(() => key)), keyOffsets }
}

function sent(to: 'online' | 'online_and_offline', rows = rowsOf(viewOf(), mixed)) {
  const { requests, refused } = pushRequests(rows, { source: 's', to, created: '' })
  assert.deepEqual(refused, [])
  return requests.map(({ body }) => {
    const { to: where, df } = JSON.parse(body) as { to: string; df: { score: unknown } }
    return [where, df.score]
  })
}

test('online, an empty list stands for null', () => {
  assert.deepEqual(sent('online'), [
    ['online', [5]],
    ['online', [[]]],
  ])
})

test('offline, null is null', () => {
  assert.deepEqual(sent('online_and_offline'), [
    ['online_and_offline', [5]],
    ['online', [[]]],
    ['offline', [null]],
  ])
})

test('offline, a UNIX_TIMESTAMP is a text: as a number it would be microseconds (invariant 9)', () => {
  const logical = { kind: 'timestamptz' } as const
  const type = { kind: 'scalar', name: 'unix_timestamp' } as const
  const view = viewOf({ features: [{ name: 'score', index: 1, logical, type }] })
  // Tag 8 << 3, as UNIX_TIMESTAMP has it, instead of that of INT64.
  const rows = rowsOf(view, [{ key: 1, offset: 0, at, score: at }])
  rows.values[0]!.data[0] = 0x40
  assert.deepEqual(sent('online', rows), [['online', [at]]])
  assert.deepEqual(sent('online_and_offline', rows), [
    ['online', [at]],
    ['offline', ['2026-01-01T00:00:00.000000Z']],
  ])
})

test('event times have one form, whatever their fractions', () => {
  const rows = rowsOf(viewOf(), [
    { key: 1, offset: 0, at, score: 5 },
    { key: 2, offset: 1, at, score: 6 },
  ])
  rows.nanos[1] = 500_000_000
  const { requests } = pushRequests(rows, { source: 's', to: 'online', created: '' })
  const { df } = JSON.parse(requests[0]!.body) as { df: Record<string, unknown> }
  assert.deepEqual(df['event_timestamp'], [
    '2026-01-01T00:00:00.000000Z',
    '2026-01-01T00:00:00.500000Z',
  ])
})
