/** Bodies of push requests: rows without any value go out so that Feast does not pass over them (invariant 5). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pushRequests } from '../../../../sinks/feast/push/requests.ts'
import { featureRows, viewOf } from '../postgres/support.ts'

const at = 1_767_225_600
const rows = featureRows(viewOf(), [
  { key: 1, offset: 0, at, score: 5 },
  { key: 2, offset: 1, at, score: null },
])
// A key of Feast's, instead of the one byte that stands for it in the tests of Postgres.
const key = Buffer.from('010000000200000002000000696404000000080000000700000000000000', 'hex')
const keyed = {
  ...rows,
  keys: Buffer.concat([key, key]),
  keyOffsets: Int32Array.of(0, key.length, 2 * key.length),
}

function sent(to: 'online' | 'online_and_offline') {
  const { requests, refused } = pushRequests(keyed, { source: 's', to, created: '' })
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
    ['offline', [null]],
    ['online', [[]]],
  ])
})
