/** XA transactions, and rows that came as the text of a statement. Attacks invariants 3 and 5. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFrom, type StreamPlace } from '../../../connectors/mysql/place.ts'
import {
  begun,
  isOfInterest,
  lastPlace,
  rowsOf,
  run,
  start,
  transaction,
} from './decode-support.ts'
import {
  domainGtid,
  gtid,
  query,
  tableMap,
  uuid,
  writeRows,
  xaPrepare,
  xid,
} from './event-bytes.ts'

test('rows of a prepared XA transaction count from its commit on', async () => {
  const xa = [gtid(2), query("XA START X'6162',X'',1"), tableMap(), writeRows([[2, 'xa']])]
  const prepared = [...xa, query("XA END X'6162',X'',1"), xaPrepare('ab')]
  const between = transaction(3, [[3, 'between']])
  const decoder = begun()
  const batches = await run(decoder, [...transaction(1, [[1, 'a']]), ...prepared, ...between])
  const open = batches.find((batch) => batch.transaction !== null)!
  assert.deepEqual([open.transaction!.id, open.end, open.position], [`${uuid}:2`, null, null])
  const place = lastPlace(batches)
  assert.equal(place.gtids, `${uuid}:1-3`)
  assert.deepEqual(
    place.prepared?.map((xa1) => [xa1.xid, xa1.gtids]),
    [['6162,,1', `${uuid}:1`]],
  )

  for (const [verb, end] of [
    ['COMMIT', 'commit'],
    ['ROLLBACK', 'abort'],
  ] as const) {
    // A restart between: the stream is read again from before the prepare.
    const again = begun(place)
    assert.equal(readFrom(place).gtids, `${uuid}:1`)
    const ended = [gtid(4), query(`XA ${verb} X'6162',X'',1`), ...transaction(5, [[5, 'after']])]
    const rest = await run(again, [...prepared, ...between, ...ended])
    assert.deepEqual(
      rest
        .filter(isOfInterest)
        .map((batch) => [batch.transaction?.id ?? null, batch.end, rowsOf([batch]).join()]),
      [
        [`${uuid}:2`, null, '+ 2 xa'],
        [`${uuid}:2`, end, ''],
        [null, null, '+ 5 after'],
      ],
    )
    assert.equal(lastPlace(rest).gtids, `${uuid}:1-5`)
    assert.equal(lastPlace(rest).prepared, undefined)
  }
})

test('MariaDB: a prepared XA transaction is read again, what came after it in its domain is not', async () => {
  const from: StreamPlace = { ...start, flavour: 'mariadb', gtids: '0-1-1,5-1-9' }
  const prepared = [
    domainGtid(0, 2, 64, 'ab'),
    tableMap(),
    writeRows([[2, 'xa']]),
    query("XA END X'6162',X'',1"),
    xaPrepare('ab'),
  ]
  const between = [domainGtid(0, 3), tableMap(), writeRows([[3, 'between']]), xid]
  const batches = await run(begun(from), [...prepared, ...between])
  const place = lastPlace(batches)
  assert.equal(place.gtids, '0-1-3,5-1-9')
  assert.equal(readFrom(place).gtids, '0-1-1,5-1-9')
  const rest = await run(begun(place), [
    ...prepared,
    ...between,
    domainGtid(0, 4, 128 | 1, 'ab'),
    query("XA COMMIT X'6162',X'',1"),
    domainGtid(5, 10),
    tableMap(),
    writeRows([[4, 'other domain']]),
    xid,
  ])
  assert.deepEqual(rowsOf(rest), ['+ 2 xa', '+ 4 other domain'])
  assert.equal(lastPlace(rest).gtids, '0-1-4,5-1-10')
})

test('XA COMMIT of what was prepared before the source began stops it', async () => {
  const events = [gtid(2), query("XA COMMIT X'6162',X'',1")]
  await assert.rejects(run(begun(), events), { code: 'source.mysql.xa_unknown' })
})

test('rows changed by a statement’s text stop the stream, unless they are of another table', async () => {
  const passed = [
    'REPLACE INTO other.checksums SELECT * FROM shop.t',
    'UPDATE other.x SET a = 1',
    "/* shop */ DELETE FROM other.y WHERE a IN ('shop.t')",
  ]
  for (const sql of passed) {
    await run(begun(), [gtid(1), query('BEGIN'), query(sql), query('COMMIT')])
  }
  const refused = [
    'INSERT INTO t VALUES (1)',
    'INSERT IGNORE shop.t SELECT 1',
    'replace t set a = 1',
    'UPDATE other.x, shop.t SET t.a = 1',
    'DELETE QUICK FROM `shop`.`t` WHERE 1',
    'WITH c AS (SELECT 1) UPDATE t SET a = 1',
    'LOAD DATA INFILE "x" INTO TABLE t',
    'SELECT `shop`.`f`()',
    '/*!50000 INSERT */ INTO t VALUES (1)',
    'CREATE TABLE t SELECT 1',
  ]
  for (const sql of refused) {
    const events = [gtid(1), query('BEGIN'), query(sql)]
    await assert.rejects(run(begun(), events), { code: 'source.mysql.statement_format' }, sql)
  }
})
