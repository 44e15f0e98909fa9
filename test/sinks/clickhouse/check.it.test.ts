/** The preflight: what would stop the sink is found before it starts, each with its cure. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '../../../core/errors/codes.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import { freePort } from '../../support/env.ts'
import { quietContext } from '../../support/context.ts'
import { clickhouseOrSkip, type ConfigInput } from './harness.ts'

function check(config: ConfigInput) {
  return clickhouse.check(clickhouse.config.parse(config), quietContext())
}

test('a server that is ready has no problems, with the password in either place', async (t) => {
  await using server = await clickhouseOrSkip(t, { password: 'pass#word' })
  if (server === null) return
  assert.deepEqual(await check({ url: server.url, password: 'pass#word' }), [])
  const url = server.url.replace('//', '//default:pass%23word@')
  assert.deepEqual(await check({ url }), [])
})

test('a wrong password, a missing database and a foreign table each name their cure', async (t) => {
  await using server = await clickhouseOrSkip(t, { password: 'right' })
  if (server === null) return
  const [auth, ...others] = await check({ url: server.url, password: 'wrong' })
  assert.equal(auth?.code, 'sink.clickhouse.auth')
  assert.deepEqual(others, [])

  const config = { url: server.url, password: 'right' }
  const [database] = await check({ ...config, database: 'no`where' })
  assert.equal(database?.code, 'sink.clickhouse.database_missing')
  assert.equal(database.remedy, 'CREATE DATABASE `no\\`where`')

  await server.command('CREATE TABLE theirs (a Int64) ENGINE = MergeTree ORDER BY a')
  const [table] = await check({ ...config, tables: { 's.t': 'theirs', 's.u': 'not_there_yet' } })
  assert.equal(table?.code, 'sink.clickhouse.table_shape')
  assert.equal(table.remedy, 'RENAME TABLE `default`.`theirs` TO `default`.`theirs_before`')
})

test('missing grants and old versions are named', async (t) => {
  await using server = await clickhouseOrSkip(t)
  if (server === null) return
  // The engine behind the test has no users, so its answers are put in front of it.
  await server.inject([{ kind: 'answer', match: '^CHECK GRANT INSERT', body: '0\n' }])
  const [denied] = await check({ url: server.url, user: 'etl' })
  assert.equal(denied?.code, 'sink.clickhouse.denied')
  assert.equal(denied.remedy, 'GRANT INSERT ON `default`.* TO `etl`')
  await server.inject([{ kind: 'answer', match: 'version', body: '{"version":"23.8.1.1"}\n' }])
  const [old] = await check({ url: server.url })
  assert.equal(old?.code, 'sink.clickhouse.version')
})

test('a server without CHECK GRANT is no problem', async (t) => {
  await using server = await clickhouseOrSkip(t)
  if (server === null) return
  const fault = { kind: 'refuse', code: 62, type: 'SYNTAX_ERROR', match: '^CHECK GRANT' } as const
  await server.inject([{ ...fault, times: 100 }])
  assert.deepEqual(await check({ url: server.url }), [])
})

test('an address with nobody behind it, and one that is none, never show a password', async () => {
  const closed = `http://user:hunter2@127.0.0.1:${await freePort()}`
  for (const url of [closed, 'hunter2', 'ftp://hunter2@host', 'http://host/?password=hunter2']) {
    const problems = await check({ url })
    assert.equal(problems.length, 1)
    const [problem] = problems
    assert.match(problem!.code, /unreachable|url/)
    assert.ok(problem!.code in codes)
    assert.ok(!JSON.stringify(problem).includes('hunter2'))
  }
})
