/** The push target against the real `feast serve`: values exact, nulls beside large integers, errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSchema } from '../../../../core/record/schema.ts'
import type { LogicalType } from '../../../../core/record/types.ts'
import { feast as connector } from '../../../../sinks/feast/connector.ts'
import { batchOf, type Row } from '../../../conformance/rows.ts'
import { startFeastServer } from '../../../services/feast-server.ts'
import { quietContext } from '../../../support/context.ts'
import { step } from '../../../support/schema-step.ts'
import { startOrSkip } from '../../../support/service.ts'
import { failsWith } from '../../../support/fails-with.ts'

const signal = new AbortController().signal
const features: readonly (readonly [string, string, LogicalType])[] = [
  ['big', 'Int64', { kind: 'int64' }],
  ['small', 'Int32', { kind: 'int32' }],
  ['ratio', 'Float64', { kind: 'float64' }],
  ['flag', 'Bool', { kind: 'bool' }],
  ['word', 'String', { kind: 'text' }],
  ['money', 'Decimal', { kind: 'decimal', precision: 20, scale: 2 }],
  ['seen', 'UnixTimestamp', { kind: 'timestamptz' }],
  ['tags', 'Array(String)', { kind: 'list', element: { kind: 'text' } }],
  ['counts', 'Array(Int64)', { kind: 'list', element: { kind: 'int64' } }],
]
const schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    ...features.map(([name, , type]) => ({ name, type, nullable: true })),
  ],
  [0],
  'upsert',
)
const newYearUs = 1_767_225_600_000_000

function openSink(url: string, more: Record<string, unknown> = {}) {
  const config = connector.config.parse({
    project: 'shop',
    on_delete: 'null',
    target: { type: 'push', url, ...more },
    views: { users: { types: { seen: 'unix_timestamp' } } },
  })
  return connector.open(config, [], quietContext())
}

async function send(
  url: string,
  rows: readonly Row[],
  more: Record<string, unknown> = {},
  of = schema,
) {
  await using sink = await openSink(url, more)
  await sink.evolve('t', step(null, of), signal)
  const batch = batchOf(of, rows)
  return await sink.write({ id: 'b', topic: 't', batch, offset: 0, attempt: 1 }, signal)
}

const full = {
  big: 9_007_199_254_740_993n,
  small: -7,
  ratio: 0.1,
  flag: false,
  word: 'é "😀"',
  money: '-123456789012345678.50',
  seen: newYearUs,
  tags: ['a', 'b'],
  counts: [1n, 9_007_199_254_740_995n],
}

test('rows pushed to feast serve', async (t) => {
  await using server = await startOrSkip(t, 'feast serve', () =>
    startFeastServer(Object.fromEntries(features.map(([name, type]) => [name, type]))),
  )
  if (server === null) return
  const { rejected } = await send(server.url, [
    { timeUs: newYearUs, values: { user_id: 1, ...full } },
    { timeUs: newYearUs, values: { user_id: 2 } },
    { timeUs: newYearUs, values: { user_id: 9_007_199_254_740_993n, big: 5n } },
    { timeUs: newYearUs, values: { user_id: 4, ratio: NaN } },
    { timeUs: newYearUs, values: { user_id: 5, big: 5n } },
    { timeUs: newYearUs + 1, weight: -1, values: { user_id: 5 } },
  ])
  assert.deepEqual(
    rejected.map(({ row, code }) => [row, code]),
    [[3, 'sink.feast.push_value']],
  )
  const names = features.map(([name]) => name)
  const found = await server.read(names, ['1', '2', '9007199254740993', '5'])
  const byName = Object.fromEntries(names.map((name, i) => [name, found[i]]))
  assert.deepEqual(byName['big'], ['9007199254740993', null, 5, null])
  assert.deepEqual(byName['small'], [-7, null, null, null])
  assert.deepEqual(byName['ratio'], [0.1, null, null, null])
  assert.deepEqual(byName['flag'], [false, null, null, null])
  assert.deepEqual(byName['word'], ['é "😀"', null, null, null])
  assert.equal(byName['money']?.[0], '-123456789012345678.50')
  assert.deepEqual(byName['tags']?.[0], ['a', 'b'])
  assert.deepEqual(byName['counts']?.[0], [1, '9007199254740995'])
  const nulled = [
    { timeUs: newYearUs + 2_000_000, values: { user_id: 1 } },
    { timeUs: newYearUs + 2_000_000, weight: -1, values: { user_id: 9_007_199_254_740_993n } },
  ]
  assert.deepEqual(await send(server.url, nulled), { rejected: [] })
  const left = await server.read(names, ['1', '9007199254740993'])
  assert.deepEqual(
    left,
    names.map(() => [null, null]),
    'what was there is null, though every feature of the request is',
  )
  await assert.rejects(
    send(server.url, [{ values: { user_id: 1, big: 1n } }], { source: 'nobody' }),
    failsWith('sink.feast.push_refused', 'config', /PushSourceNotFoundException/),
  )
  await assert.rejects(
    send(server.url, [{ values: { user_id: 1, ...full } }], { to: 'online_and_offline' }),
    failsWith('sink.feast.push_failed', 'transient', /takes no list, and "tags" is one/),
  )
  const { url } = server
  await server[Symbol.asyncDispose]()
  await assert.rejects(
    send(url, [{ values: { user_id: 1 } }]),
    failsWith('sink.feast.push_connection', 'transient'),
  )
})

test('whole and broken seconds in one request, and times offline (invariants 5 and 9)', async (t) => {
  const named = ['big', 'seen'] as const
  const server = await startOrSkip(t, 'feast serve', () =>
    startFeastServer({ big: 'Int64', seen: 'UnixTimestamp' }),
  )
  if (server === null) return
  await using _server = server
  const fields = schema.fields.filter(({ name }) => ['user_id', ...named].includes(name))
  const narrow = makeSchema(fields, [0], 'upsert')
  const rows = [
    { timeUs: newYearUs, values: { user_id: 1, big: 1, seen: newYearUs } },
    { timeUs: newYearUs + 500_000, values: { user_id: 2, big: 2, seen: newYearUs } },
    { timeUs: newYearUs + 1, values: { user_id: 3, big: 3 } },
  ]
  for (const to of ['online', 'online_and_offline']) {
    assert.deepEqual(await send(server.url, rows, { to }, narrow), { rejected: [] })
  }
  const seconds = newYearUs / 1e6
  assert.deepEqual(await server.read(named, ['1', '2', '3']), [
    [1, 2, 3],
    [seconds, seconds, null],
  ])
  const kept = await server.offlineRows('users')
  assert.deepEqual(Object.fromEntries(kept.map(({ user_id, seen }) => [user_id, seen])), {
    1: '2026-01-01 00:00:00+00:00',
    2: '2026-01-01 00:00:00+00:00',
    3: null,
  })
  await server[Symbol.asyncDispose]()
})

test('what a push cannot do is refused with the cure', async () => {
  const config = connector.config.parse({
    project: 'shop',
    target: { type: 'push', url: 'http://127.0.0.1:1' },
    views: { users: { types: { seen: 'int64' } } },
  })
  await using sink = await connector.open(config, [], quietContext())
  const refused = failsWith('sink.feast.push_view', /on_delete/)
  await assert.rejects(sink.evolve('t', step(null, schema), signal), refused)
})

test('a row without a value, in a view of lists alone, is a dead letter (invariant 5)', async () => {
  const lists = makeSchema([schema.fields[0]!, schema.fields.at(-1)!], [0], 'upsert')
  const config = connector.config.parse({
    project: 'shop',
    on_delete: 'null',
    target: { type: 'push', url: 'http://127.0.0.1:1' },
    views: { users: {} },
  })
  await using sink = await connector.open(config, [], quietContext())
  await sink.evolve('t', step(null, lists), signal)
  const batch = batchOf(lists, [{ values: { user_id: 1 } }])
  const { rejected } = await sink.write(
    { id: 'b', topic: 't', batch, offset: 0, attempt: 1 },
    signal,
  )
  assert.deepEqual(
    rejected.map(({ row, code }) => [row, code]),
    [[0, 'sink.feast.push_value']],
  )
})
