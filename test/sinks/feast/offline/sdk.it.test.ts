/**
 * The offline log as others read it: Feast's point-in-time join, in which a value from the future would
 * show, and every type as pyarrow and pandas have it, from a folder and from S3.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FileStore } from '../../../../core/connector/file-store.ts'
import { makeSchema } from '../../../../core/record/schema.ts'
import type { LogicalType } from '../../../../core/record/types.ts'
import { openStore } from '../../../../core/store/open.ts'
import { mergeGroups } from '../../../../sinks/feast/offline/compactor.ts'
import { listFiles } from '../../../../sinks/feast/offline/day-files.ts'
import { OfflineLog } from '../../../../sinks/feast/offline/log.ts'
import { mergeFiles } from '../../../../sinks/feast/offline/merge.ts'
import { offlineLayout } from '../../../../sinks/feast/offline/layout.ts'
import type { OfflineView } from '../../../../sinks/feast/offline/layout.ts'
import { latestAsOf } from '../../../../sinks/feast/offline/read.ts'
import { feastTypeOf, type ScalarName } from '../../../../sinks/feast/types.ts'
import { batchOf, type Value } from '../../../conformance/rows.ts'
import { installFeast } from '../../../services/feast.ts'
import { readOffline, type OfflineAnswer } from '../../../services/feast-offline.ts'
import { startS3 } from '../../../services/s3.ts'
import { quietContext } from '../../../support/context.ts'
import { tempDir } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { newYearUs, signal, userRows, userView } from './support.ts'

const hourUs = 3_600_000_000
const at = (hours: number): number => newYearUs + hours * hourUs
const iso = (hours: number): string => new Date(at(hours) / 1000).toISOString()

interface Typed {
  readonly name: string
  readonly logical: LogicalType
  readonly scalar: ScalarName
  readonly value: Value
  readonly arrow: string
  readonly shown: unknown
}

const typed: readonly Typed[] = [
  {
    name: 'flag',
    logical: { kind: 'bool' },
    scalar: 'bool',
    value: true,
    arrow: 'bool',
    shown: true,
  },
  {
    name: 'small',
    logical: { kind: 'int16' },
    scalar: 'int32',
    value: -7,
    arrow: 'int32',
    shown: 'int:-7',
  },
  {
    name: 'big',
    logical: { kind: 'int64' },
    scalar: 'int64',
    value: 9_223_372_036_854_775_807n,
    arrow: 'int64',
    shown: 'int:9223372036854775807',
  },
  {
    name: 'unsigned',
    logical: { kind: 'uint64' },
    scalar: 'int64',
    value: 9_007_199_254_740_993n,
    arrow: 'uint64',
    shown: 'int:9007199254740993',
  },
  {
    name: 'single',
    logical: { kind: 'float32' },
    scalar: 'float',
    value: 0.25,
    arrow: 'float',
    shown: 'float:0.25',
  },
  {
    name: 'double',
    logical: { kind: 'float64' },
    scalar: 'double',
    value: 0.1,
    arrow: 'double',
    shown: 'float:0.1',
  },
  {
    name: 'word',
    logical: { kind: 'text' },
    scalar: 'string',
    value: 'é 😀',
    arrow: 'string',
    shown: 'é 😀',
  },
  {
    name: 'doc',
    logical: { kind: 'json' },
    scalar: 'json',
    value: '{"a":1}',
    arrow: 'string',
    shown: '{"a":1}',
  },
  {
    name: 'raw',
    logical: { kind: 'bytes' },
    scalar: 'bytes',
    value: Buffer.from([0, 255]),
    arrow: 'binary',
    shown: 'bytes:00ff',
  },
  {
    name: 'who',
    logical: { kind: 'uuid' },
    scalar: 'uuid',
    value: '00112233-4455-6677-8899-aabbccddeeff',
    arrow: 'string',
    shown: '00112233-4455-6677-8899-aabbccddeeff',
  },
  {
    name: 'money',
    logical: { kind: 'decimal', precision: 12, scale: 2 },
    scalar: 'decimal',
    value: '-1234567890.50',
    arrow: 'decimal128(12, 2)',
    shown: 'decimal:-1234567890.50',
  },
  {
    name: 'fortune',
    logical: { kind: 'decimal', precision: 38, scale: 4 },
    scalar: 'decimal',
    value: '-1234567890123456789012345678901234.5678',
    arrow: 'decimal128(38, 4)',
    shown: 'decimal:-1234567890123456789012345678901234.5678',
  },
  {
    name: 'endless',
    logical: { kind: 'decimal', precision: null, scale: null },
    scalar: 'decimal',
    value: '1.000000000000000000000000000000000000000000001',
    arrow: 'string',
    shown: '1.000000000000000000000000000000000000000000001',
  },
  {
    name: 'day',
    logical: { kind: 'date' },
    scalar: 'unix_timestamp',
    value: 20_454,
    arrow: 'timestamp[us, tz=UTC]',
    shown: 'time:2026-01-01T00:00:00+00:00',
  },
  {
    name: 'seen',
    logical: { kind: 'timestamptz' },
    scalar: 'unix_timestamp',
    value: newYearUs + 1_000_000,
    arrow: 'timestamp[us, tz=UTC]',
    shown: 'time:2026-01-01T00:00:01+00:00',
  },
  {
    name: 'tags',
    logical: { kind: 'list', element: { kind: 'text' } },
    scalar: 'string',
    value: ['a', ''],
    arrow: 'list<item: string>',
    shown: ['a', ''],
  },
  {
    name: 'counts',
    logical: { kind: 'list', element: { kind: 'int64' } },
    scalar: 'int64',
    value: [1n, -9_223_372_036_854_775_808n],
    arrow: 'list<item: int64>',
    shown: ['int:1', 'int:-9223372036854775808'],
  },
  {
    name: 'none',
    logical: { kind: 'list', element: { kind: 'bool' } },
    scalar: 'bool',
    value: [],
    arrow: 'list<item: bool>',
    shown: [],
  },
]

const typedView: OfflineView = {
  name: 'typed',
  topic: 'shop.typed',
  entities: userView.entities,
  features: typed.map(({ name, logical, scalar }, i) => ({
    name,
    index: i + 1,
    logical,
    type: feastTypeOf(logical, scalar),
  })),
}

/** One row of every type, one of nulls, one deleted. */
async function writeTyped(files: FileStore): Promise<void> {
  const schema = makeSchema(
    [
      { name: 'user_id', type: { kind: 'int64' }, nullable: false },
      ...typed.map(({ name, logical }) => ({ name, type: logical, nullable: true })),
    ],
    [0],
    'upsert',
  )
  const values = Object.fromEntries(typed.map(({ name, value }) => [name, value]))
  const batch = batchOf(schema, [
    { values: { user_id: 1, ...values } },
    { values: { user_id: 2 } },
    { weight: -1, values: { user_id: 3, ...values } },
  ])
  const log = new OfflineLog(files, null, quietContext())
  await log.evolve(typedView, signal)
  const rows = {
    batch,
    offset: 5,
    rows: Int32Array.of(0, 1, 2),
    deleted: Uint8Array.of(0, 0, 1),
    seconds: new Float64Array(3).fill(newYearUs / 1e6),
    nanos: new Int32Array(3).fill(123_456_000),
  }
  assert.deepEqual(log.unfit('typed', rows), [])
  await log.append('typed', rows, signal)
}

function judgeTyped({ types, rows }: OfflineAnswer['tables'][number]): void {
  const own = {
    event_timestamp: 'timestamp[us, tz=UTC]',
    created_timestamp: 'timestamp[us, tz=UTC]',
  }
  assert.deepEqual(
    { ...types, event_date: 'partition' },
    {
      user_id: 'int64',
      ...own,
      ...Object.fromEntries(typed.map(({ name, arrow }) => [name, arrow])),
      _sluice_offset: 'int64',
      _sluice_deleted: 'bool',
      event_date: 'partition',
    },
  )
  const nothing = Object.fromEntries(typed.map(({ name }) => [name, null]))
  const row = (i: number, values: object, deleted: boolean): object => ({
    user_id: `int:${i + 1}`,
    event_timestamp: 'time:2026-01-01T00:00:00.123456+00:00',
    created_timestamp: `time:2026-01-01T00:00:0${i}+00:00`,
    ...values,
    _sluice_offset: `int:${5 + i}`,
    _sluice_deleted: deleted,
    event_date: '2026-01-01',
  })
  const first = Object.fromEntries(typed.map(({ name, shown }) => [name, shown]))
  assert.deepEqual(rows, [row(0, first, false), row(1, nothing, false), row(2, nothing, true)])
}

/** User 1: values, one that comes late, a deletion, a new life. User 2: only later than anybody asks. */
async function writeHistory(files: FileStore): Promise<void> {
  const log = new OfflineLog(files, null, quietContext())
  await log.evolve(userView, signal)
  const batches = [
    [
      { id: 1, at: at(10), score: 10 },
      { id: 1, at: at(12), score: 20 },
    ],
    [{ id: 1, at: at(11), score: 15 }],
    [
      { id: 1, at: at(24), score: null },
      { id: 1, at: at(48), score: 99 },
      { id: 2, at: at(60), score: 7 },
    ],
  ]
  let offset = 0
  for (const rows of batches) {
    await log.append('users', userRows(offset, rows), signal)
    offset += rows.length
  }
}

const history = [
  { user_id: 1, at: iso(9.99), score: null },
  { user_id: 1, at: iso(10), score: 10 },
  { user_id: 1, at: iso(10.5), score: 10 },
  { user_id: 1, at: iso(11.5), score: 15 },
  { user_id: 1, at: iso(12.5), score: 20 },
  { user_id: 1, at: iso(25), score: null },
  { user_id: 1, at: iso(49), score: 99 },
  { user_id: 2, at: iso(59), score: null },
  { user_id: 2, at: iso(61), score: 7 },
  // Older than the TTL of three days.
  { user_id: 1, at: iso(48 + 73), score: null },
]

/** Merges, and leaves the files that were merged as well: as a process that was killed in between. */
async function mergeHalf(files: FileStore): Promise<void> {
  const byFolder = new Map<string, Parameters<typeof mergeGroups>[0][number][]>()
  for await (const { path, file } of listFiles(files, 'users/', signal)) {
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), file])
  }
  for (const [folder, found] of byFolder) {
    for (const group of mergeGroups(found)) await mergeFiles(files, folder, group, signal)
  }
}

test('point-in-time joins by Feast, every type by pyarrow, from a folder and from S3', async (t) => {
  using whole = tempDir('offline')
  using half = tempDir('offline')
  const folder = openStore(`file://${whole.path}`)
  await writeHistory(folder)
  await writeTyped(folder)
  const halfMerged = openStore(`file://${half.path}`)
  await writeHistory(halfMerged)
  await mergeHalf(halfMerged)
  await using server = await startOrSkip(t, 'Feast and an S3 server', async () => {
    await installFeast()
    return startS3()
  })
  if (server === null) return
  const { accessKeyId, secretAccessKey } = server.options
  await using bucket = openStore(`s3://${server.bucket}/features`, {
    ...server.options,
  })
  await writeTyped(bucket)
  const entities = history.map(({ user_id, at: when }) => ({ user_id, at: when }))
  const ask = (path: string) => ({
    path: `${path}/users`,
    ttlDays: 3,
    features: { score: 'Int64' },
    entities,
  })
  const answer = await readOffline({
    tables: [
      { path: `${whole.path}/typed` },
      {
        path: `${server.bucket}/features/typed`,
        endpoint: new URL(server.endpoint).host,
        accessKeyId,
        secretAccessKey,
      },
    ],
    joins: [ask(whole.path), ask(half.path)],
  })
  for (const table of answer.tables) judgeTyped(table)
  const wanted = history.map(({ score }) => [score])
  assert.deepEqual(answer.joins, [wanted, wanted])
  // Our own reader says the same of each moment, the TTL aside.
  for (const { user_id, at: when, score } of history.slice(0, -1)) {
    const page = await latestAsOf(
      folder,
      userView,
      {
        asOfUs: BigInt(Date.parse(when)) * 1000n,
        order: 'time',
        seed: 1,
        limit: 10,
        after: null,
      },
      signal,
    )
    const ids = page.entities[0]!.column
    const scores = page.features[0]!.column
    assert.ok(ids.encoding === 'float64' && scores.encoding === 'float64')
    const i = [...ids.values].indexOf(user_id)
    const found = i < 0 || page.deleted[i] === 1 ? null : scores.values[i]
    assert.equal(found, score, `${user_id} at ${when}`)
  }
  assert.equal(offlineLayout(typedView).fields.length, typed.length + 5)
})
