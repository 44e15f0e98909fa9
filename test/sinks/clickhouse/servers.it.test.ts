/**
 * Several servers under one sink: the next one is asked after the first is gone, rows are there once,
 * and servers that are not one database are refused before their rows are split (invariants 5 and 6).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { addressOf } from '../../../sinks/clickhouse/address.ts'
import { ClickHouseServer } from '../../../sinks/clickhouse/client.ts'
import { clickhouseConfig } from '../../../sinks/clickhouse/config.ts'
import { askServers, checkShared } from '../../../sinks/clickhouse/servers.ts'
import { batchOf } from '../../conformance/rows.ts'
import { freePort } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { never, openSink, send, clickhouseOrSkip } from './harness.ts'

const schema = makeSchema([{ name: 'n', type: { kind: 'int64' }, nullable: false }], [], 'append')
const numbers = (from: number, to: number) =>
  batchOf(
    schema,
    Array.from({ length: to - from }, (_, i) => ({ values: { n: from + i } })),
  )

test('addresses are read from one text or a list, with one account', () => {
  const of = (config: object) => addressOf(clickhouseConfig.parse(config))
  const account = { user: 'u', password: 'p,@', database: 'd' }
  const both = { urls: ['http://a:8123', 'http://b:8124'], ...account }
  assert.deepEqual(of({ url: 'http://u:p%2C%40@a:8123,b:8124/d' }), both)
  assert.deepEqual(of({ url: ['http://u:p%2C%40@a:8123/d', 'http://b:8124'] }), both)
  assert.deepEqual(of({ url: 'https://a, b' }).urls, ['https://a', 'https://b'])
  for (const url of [
    ['http://u:p@a/d', 'http://u:other@b/d'],
    ['http://a/d', 'http://b/e'],
    'http://a,/d',
    'http://a,b?x=1',
    'a,b',
  ]) {
    assert.throws(() => of({ url }), failsWith('sink.clickhouse.url'), JSON.stringify(url))
  }
})

test('one address dies in mid-insert: the next attempt goes to the other, rows are there once', async (t) => {
  await using server = await clickhouseOrSkip(t)
  if (server === null) return
  const port = Number(new URL(server.url).port)
  await using proxy = await startTcpProxy(port)
  const url = `http://127.0.0.1:${proxy.port},127.0.0.1:${port}`
  await using sink = await openSink({ url })
  await send(sink, 's.two', numbers(0, 10))
  // The rows are in, the answer is lost, and the address does not come back.
  await server.inject([{ kind: 'drop-response', match: '^INSERT' }])
  const next = { id: 'b2', topic: 's.two', batch: numbers(10, 30), offset: 10, attempt: 1 }
  await assert.rejects(sink.write(next, never), failsWith('sink.clickhouse.unreachable'))
  await proxy[Symbol.asyncDispose]()
  await sink.write({ ...next, attempt: 2 }, never)
  await send(sink, 's.two', numbers(30, 40), { offset: 30 })
  const [row] = await server.query(
    'SELECT toInt32(count()) AS c, toInt32(uniqExact(n)) AS u FROM two',
  )
  assert.deepEqual(row, { c: 40, u: 40 })
})

test('an address that never answers does not hold up a start', async (t) => {
  await using server = await clickhouseOrSkip(t)
  if (server === null) return
  const dead = await freePort()
  const config = clickhouseConfig.parse({
    url: `http://127.0.0.1:${dead},127.0.0.1:${new URL(server.url).port}`,
  })
  await using servers = new ClickHouseServer(config)
  const facts = await askServers(servers, never)
  assert.equal(facts.complete, false)
  assert.ok(facts.version[0] >= 24)
  const plain = { engine: 'MergeTree', engineFull: '', sortingKey: '', comment: '', columns: [] }
  // Whether the one that is down is the same database is not known yet: it is waited for.
  await assert.rejects(
    checkShared(servers, 't', plain, never),
    failsWith('sink.clickhouse.unreachable'),
  )
  await checkShared(servers, 't', { ...plain, engine: 'ReplicatedMergeTree' }, never)
})

test('two servers with tables of their own are refused', async (t) => {
  await using first = await clickhouseOrSkip(t)
  await using second = await clickhouseOrSkip(t)
  if (first === null || second === null) return
  // Tables of the library's own `default` database have no ids.
  for (const server of [first, second]) await server.command('CREATE DATABASE d')
  const url = [`${first.url}/d`, second.url]
  await using sink = await openSink({ url })
  await assert.rejects(send(sink, 's.split', numbers(0, 1)), (error: unknown) => {
    failsWith('sink.clickhouse.not_shared')(error)
    assert.match((error as SluiceError).remedy, /replicated/)
    return true
  })
})

test('a truncate of a replicated table waits for what other replicas took (invariant 5)', async (t) => {
  await using server = await clickhouseOrSkip(t)
  if (server === null) return
  const keyed = makeSchema(schema.fields, [0], 'upsert')
  await using plain = await openSink({ url: server.url })
  await send(plain, 's.gone', batchOf(keyed, [{ values: { n: 1 } }]))
  await using sink = await openSink({ url: server.url, replicated: true })
  await server.statements()
  // As a server says it of one: the engine of the tests has none, and says so.
  const engine = 'ReplicatedReplacingMergeTree'
  const body = `${JSON.stringify({ engine, engine_full: '', sorting_key: 'n', comment: '' })}\n`
  await server.inject([{ kind: 'answer', match: 'FROM system.tables', body }])
  const truncating = sink.truncate('s.gone', { id: 't', offset: 1 }, never)
  await assert.rejects(truncating, failsWith('sink.clickhouse.refused', /replica of gone/))
  const words = (await server.statements()).map((text) => text.split(' ')[0])
  assert.deepEqual(
    words.filter((word) => word !== 'SELECT'),
    ['SYSTEM'],
  )
})
