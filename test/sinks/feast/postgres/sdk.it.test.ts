/**
 * What Sluice wrote into Postgres, read by the unmodified Feast SDK, and compared with what Feast itself
 * writes for the same values: the same bytes in the same columns.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Sink } from '../../../../core/connector/sink.ts'
import { makeSchema, type Field } from '../../../../core/record/schema.ts'
import type { LogicalType } from '../../../../core/record/types.ts'
import { feast as connector } from '../../../../sinks/feast/connector.ts'
import { batchOf, type Row, type Value } from '../../../conformance/rows.ts'
import { installFeast, type Feast, type FeastValue } from '../../../services/feast.ts'
import { startPostgres, type PostgresServer } from '../../../services/postgres.ts'
import { quietContext } from '../../../support/context.ts'
import { step } from '../../../support/schema-step.ts'
import { startOrSkip } from '../../../support/service.ts'
import { onlineStore, signal } from './support.ts'

interface Case {
  readonly name: string
  readonly logical: LogicalType
  readonly feast: string
  readonly value: Value
  /** As Feast's driver takes and gives it. */
  readonly python: FeastValue
  readonly as?: string
}

const list = (kind: 'text' | 'int64' | 'float64' | 'bool'): LogicalType => ({
  kind: 'list',
  element: { kind },
})
const cases: readonly Case[] = [
  { name: 'flag', logical: { kind: 'bool' }, feast: 'Bool', value: true, python: true },
  { name: 'small', logical: { kind: 'int16' }, feast: 'Int32', value: -7, python: { int: '-7' } },
  {
    name: 'big',
    logical: { kind: 'int64' },
    feast: 'Int64',
    value: 9_223_372_036_854_775_807n,
    python: { int: '9223372036854775807' },
  },
  {
    name: 'single',
    logical: { kind: 'float32' },
    feast: 'Float32',
    value: 0.25,
    python: { float: '0x1.0000000000000p-2' },
  },
  {
    name: 'double',
    logical: { kind: 'float64' },
    feast: 'Float64',
    value: 1e-5,
    python: { float: '0x1.4f8b588e368f1p-17' },
  },
  {
    name: 'whole',
    logical: { kind: 'float64' },
    feast: 'Float64',
    value: 1e22,
    python: { float: '0x1.0f0cf064dd592p+73' },
  },
  { name: 'word', logical: { kind: 'text' }, feast: 'String', value: 'é 😀', python: 'é 😀' },
  { name: 'empty', logical: { kind: 'text' }, feast: 'String', value: '', python: '' },
  {
    name: 'raw',
    logical: { kind: 'bytes' },
    feast: 'Bytes',
    value: Buffer.from([0, 255]),
    python: { hex: '00ff' },
  },
  {
    name: 'money',
    logical: { kind: 'decimal', precision: 30, scale: 2 },
    feast: 'Decimal',
    value: '-1234567890123456789.50',
    python: { decimal: '-1234567890123456789.50' },
  },
  {
    name: 'who',
    logical: { kind: 'uuid' },
    feast: 'Uuid',
    value: '00112233-4455-6677-8899-aabbccddeeff',
    python: { uuid: '00112233-4455-6677-8899-aabbccddeeff' },
  },
  {
    name: 'seen',
    logical: { kind: 'timestamptz' },
    feast: 'UnixTimestamp',
    as: 'unix_timestamp',
    value: 1_767_225_600_000_000,
    python: { time: '2026-01-01T00:00:00+00:00' },
  },
  {
    name: 'tags',
    logical: list('text'),
    feast: 'Array(String)',
    value: ['a', 'b'],
    python: ['a', 'b'],
  },
  {
    name: 'counts',
    logical: list('int64'),
    feast: 'Array(Int64)',
    value: [1, -2],
    python: [{ int: '1' }, { int: '-2' }],
  },
  {
    name: 'weights',
    logical: list('float64'),
    feast: 'Array(Float64)',
    value: [0.5],
    python: [{ float: '0x1.0000000000000p-1' }],
  },
]

function start(t: TestContext) {
  return startOrSkip(t, 'PostgreSQL and Feast', async () => {
    const feast = await installFeast()
    return { server: await startPostgres(), feast }
  })
}

function openSink(server: PostgresServer, views: Record<string, unknown>): Promise<Sink> {
  const target = { type: 'postgres', url: server.url }
  const config = connector.config.parse({ project: 'shop', target, views })
  return connector.open(config, [], quietContext())
}

const time = '2026-01-01T00:00:00.123456+00:00'
const timeUs = 1_767_225_600_123_456

test('every type, for Feast’s own reader and beside what Feast writes; deletions; tables that Feast made', async (t) => {
  const started = await start(t)
  if (started === null) return
  await using server = started.server
  const field = ({ name, logical }: Pick<Case, 'name' | 'logical'>): Field => ({
    name,
    type: logical,
    nullable: name !== 'id' && name !== 'region',
  })
  const entities = [
    field({ name: 'id', logical: { kind: 'int64' } }),
    field({ name: 'region', logical: { kind: 'text' } }),
  ]
  const schema = makeSchema([...entities, ...cases.map(field)], [0, 1], 'upsert')
  const values = Object.fromEntries(cases.map(({ name, value }) => [name, value]))
  const rows: Row[] = [
    { timeUs, values: { id: 1, region: 'eu', ...values } },
    // Nulls.
    { timeUs, values: { id: 2, region: 'eu' } },
  ]
  const types = Object.fromEntries(
    cases.flatMap(({ name, as }) => (as === undefined ? [] : [[name, as]])),
  )
  await using sink = await openSink(server, { ours: { types } })
  await sink.evolve('t', step(null, schema), signal)
  const batch = batchOf(schema, rows)
  assert.deepEqual(
    await sink.write({ id: 'b', topic: 't', batch, offset: 0, attempt: 1 }, signal),
    {
      rejected: [],
    },
  )
  const answer = await asked(started.feast, server)
  const names = cases.map(({ name }) => name)
  const wanted = Object.fromEntries(cases.map(({ name, python }) => [`ours:${name}`, python]))
  const nothing = Object.fromEntries(names.map((name) => [`ours:${name}`, null]))
  assert.deepEqual(answer[0], [wanted, nothing, nothing])
  const same = await server.query(
    `SELECT feature_name FROM (
       SELECT entity_key, feature_name, value, value_text, event_ts FROM shop_ours WHERE feature_name <> '_sluice_state'
       EXCEPT SELECT entity_key, feature_name, value, value_text, event_ts FROM shop_theirs) AS x
     WHERE entity_key = (SELECT min(entity_key) FROM shop_theirs)`,
  )
  assert.deepEqual(same, [], 'what Feast writes for the same values')
  // Feast has made the table of this view by now, as `feast apply` does.
  await fillUsers(server)
  const [found] = await started.feast.run({
    repository: { project: 'shop', onlineStore: onlineStore(server), views: [users] },
    read: [{ features: ['users:name'], entities: [{ id: { int: '1' } }, { id: { int: '2' } }] }],
  })
  assert.deepEqual(found, [{ 'users:name': null }, { 'users:name': 'b' }])
})

const users = {
  name: 'users',
  entities: [{ name: 'id', type: 'INT64' }],
  features: [{ name: 'name', type: 'String' }],
}

async function fillUsers(server: PostgresServer): Promise<void> {
  const schema = makeSchema(
    [
      { name: 'id', type: { kind: 'int64' }, nullable: false },
      { name: 'name', type: { kind: 'text' }, nullable: true },
    ],
    [0],
    'upsert',
  )
  await using sink = await openSink(server, { users: {} })
  await sink.evolve('t', step(null, schema), signal)
  const batch = batchOf(schema, [
    { values: { id: 1, name: 'a' } },
    { values: { id: 2, name: 'b' } },
    { weight: -1, values: { id: 1 } },
  ])
  await sink.write({ id: 'b', topic: 't', batch, offset: 0, attempt: 1 }, signal)
}

function asked(feast: Feast, server: PostgresServer) {
  const view = (name: string) => ({
    name,
    entities: [
      { name: 'id', type: 'INT64' },
      { name: 'region', type: 'STRING' },
    ],
    features: cases.map((one) => ({ name: one.name, type: one.feast })),
  })
  const entity = (id: number, region: string) => ({ id: { int: String(id) }, region })
  return feast.run({
    repository: {
      project: 'shop',
      onlineStore: onlineStore(server),
      views: [view('ours'), view('theirs'), users],
    },
    write: [
      {
        view: 'theirs',
        time,
        entities: entity(1, 'eu'),
        values: Object.fromEntries(cases.map(({ name, python }) => [name, python])),
      },
    ],
    read: [
      {
        features: cases.map(({ name }) => `ours:${name}`),
        entities: [entity(1, 'eu'), entity(2, 'eu'), entity(1, 'us')],
      },
    ],
  })
}
