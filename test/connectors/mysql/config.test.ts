/** The configuration of the source: what is refused, what defaults to what, which topics it makes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  mysqlConfig,
  onPurged,
  policiesOf,
  serverIdOf,
  topicOf,
} from '../../../connectors/mysql/config.ts'
import { isGhost, isNewVersionOf } from '../../../connectors/mysql/schema/ghost-tables.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { parseGrant, isGranted, type Grant } from '../../../connectors/mysql/preflight-grants.ts'

const url = 'mysql://u:secret@db/'
const parse = (more: object) => mysqlConfig.safeParse({ url, tables: ['shop.orders'], ...more })

describe('mysql configuration', () => {
  test('defaults are the safe ones, and the url prints as ***', () => {
    const config = mysqlConfig.parse({ url, tables: ['shop.orders', 'sales.*'] })
    assert.equal(config.snapshot, 'initial')
    assert.deepEqual(policiesOf(config), { tinyint1: 'int', zeroDates: 'stop' })
    assert.equal(onPurged(config, 'shop.orders'), 'stop')
    assert.equal(config.heartbeat, 15_000)
    assert.ok(!JSON.stringify(config).includes('secret'))
  })

  test('what cannot be followed is refused', () => {
    for (const table of ['orders', '*', '*.*', 'a b.c', 'mysql.user', 'sys.*', 'a.b.c', '']) {
      assert.ok(!parse({ tables: [table] }).success, table)
    }
    assert.ok(!parse({ tables: [] }).success)
    assert.ok(!parse({ server_id: 0 }).success)
    assert.ok(!parse({ server_id: 2 ** 32 }).success)
    assert.ok(!parse({ tabels: [] }).success)
    assert.ok(!parse({ zero_dates: 'maybe' }).success)
    assert.ok(!parse({ heartbeat: '10ms' }).success)
    // In YAML a key without a value is null: it must not decide what becomes of dates.
    assert.ok(!parse({ zero_dates: null }).success)
  })

  test('what the remedy of a zero date says can be written', () => {
    const written = /`zero_dates: (\w+)`/g
    const { remedy } = new SluiceError('source.mysql.zero_date', { message: '' })
    const values = [...remedy.matchAll(written)].map(([, value]) => value)
    assert.deepEqual(values, ['as_null', 'text'])
    const policies = values.map((value) =>
      policiesOf(mysqlConfig.parse({ url, tables: ['a.b'], zero_dates: value })),
    )
    assert.deepEqual(
      policies.map(({ zeroDates }) => zeroDates),
      ['null', 'text'],
    )
  })

  test('names in backticks may hold anything', () => {
    assert.equal(topicOf('`my shop`.`a.b``c`'), 'my shop.a.b`c')
    assert.equal(topicOf('shop.*'), 'shop.*')
  })

  test('on_purged per table: a table not named stops', () => {
    const config = mysqlConfig.parse({
      url,
      tables: ['shop.*'],
      on_purged: { 'shop.orders': 'resnapshot' },
    })
    assert.equal(onPurged(config, 'shop.orders'), 'resnapshot')
    assert.equal(onPurged(config, 'shop.customers'), 'stop')
    const all = mysqlConfig.parse({ url, tables: ['shop.*'], on_purged: 'resnapshot' })
    assert.equal(onPurged(all, 'shop.customers'), 'resnapshot')
  })

  test('the derived server id is stable, and in the range that nobody gives a server by hand', () => {
    const id = serverIdOf({}, { pipeline: 'p', name: 'n' })
    assert.equal(id, serverIdOf({}, { pipeline: 'p', name: 'n' }))
    assert.notEqual(id, serverIdOf({}, { pipeline: 'p', name: 'm' }))
    assert.ok(id >= 0x8000_0000 && id <= 0xffff_ffff)
    assert.equal(serverIdOf({ server_id: 7 }, { pipeline: 'p', name: 'n' }), 7)
  })
})

describe('tables of online schema changes', () => {
  test('gh-ost, pt-online-schema-change, Spirit, LHM, Facebook', () => {
    const made = ['_t_gho', '_t_ghc', '_t_del', '_t_20270301120000_del', '_t_new', '__t_old']
    for (const name of [...made, 'lhmn_t', 'lhma_2027_t', '__osc_new_t', '_t_old_20270301_1']) {
      assert.ok(isGhost(name), name)
    }
    for (const name of ['t', 't_new', '_t', 'new', '_gho']) assert.ok(!isGhost(name), name)
    for (const name of ['_t_gho', '_t_new', '___t_new', 'lhmn_t', '__osc_new_t']) {
      assert.ok(isNewVersionOf(name, 't'), name)
    }
    for (const name of ['_u_gho', '_t_old', '_t_del', 't_new', 'u']) {
      assert.ok(!isNewVersionOf(name, 't'), name)
    }
    const long = 'a'.repeat(64)
    assert.ok(isNewVersionOf(`_${long.slice(0, 59)}_gho`, long))
  })
})

describe('grants', () => {
  const grants = (...lines: string[]): Grant[] => lines.flatMap((line) => parseGrant(line) ?? [])

  test('on everything, on databases with wildcards, on tables', () => {
    const read = grants(
      'GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `u`@`%`',
      'GRANT SELECT, LOCK TABLES ON `shop\\_%`.* TO `u`@`%`',
      'GRANT SELECT ON `other`.`t` TO `u`@`%`',
      'GRANT `role`@`%` TO `u`@`%`',
      'GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`%`',
    )
    assert.equal(read.length, 3)
    assert.ok(isGranted(read, ['REPLICATION SLAVE'], null))
    assert.ok(!isGranted(read, ['REPLICATION SLAVE ADMIN'], null))
    assert.ok(isGranted(read, ['LOCK TABLES'], 'shop_eu'))
    assert.ok(!isGranted(read, ['LOCK TABLES'], 'shopXeu'))
    assert.ok(!isGranted(read, ['LOCK TABLES'], null))
    assert.ok(!isGranted(read, ['SELECT'], 'other'))
  })

  test('ALL PRIVILEGES is all of them; a privilege on columns is none on the table', () => {
    assert.ok(isGranted(grants('GRANT ALL PRIVILEGES ON *.* TO x'), ['REPLICATION SLAVE'], null))
    const columns = grants('GRANT SELECT (`a`, `b`), INSERT ON `d`.* TO x')
    assert.ok(!isGranted(columns, ['SELECT'], 'd'))
    assert.ok(isGranted(columns, ['INSERT'], 'd'))
  })

  test('a pattern of many wildcards does not take for ever', () => {
    const read = grants(`GRANT LOCK TABLES ON \`${'%a'.repeat(20)}\`.* TO x`)
    assert.ok(!isGranted(read, ['LOCK TABLES'], 'a'.repeat(19)))
  })
})
