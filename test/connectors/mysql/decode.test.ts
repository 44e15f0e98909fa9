/**
 * The decoder event by event: what goes out when, under which transaction and position. Attacks
 * invariants 1 (positions), 3 (transactions whole) and 5 (nothing vanishes).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { textAt } from '../../../core/record/value.ts'
import type { Decoder } from '../../../connectors/mysql/decode.ts'
import { readFrom, type StreamPlace } from '../../../connectors/mysql/place.ts'
import type { FollowedTable, TableMap } from '../../../connectors/mysql/table-directory.ts'
import { decoderFor, feed, FileDirectory, rotateTo, taken } from './binlog-files.ts'
import {
  deleteRows,
  domainGtid,
  event,
  gtid,
  query,
  tableMap,
  updateRows,
  uuid,
  writeRows,
  xaPrepare,
  xid,
  type Row,
} from './event-bytes.ts'

const start: StreamPlace = { flavour: 'mysql', gtids: '', server: 's', file: '', offset: 4 }

async function run(decoder: Decoder, events: readonly Buffer[]): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = []
  for (const one of events) batches.push(...(await feed(decoder, one)))
  decoder.flush()
  return [...batches, ...taken(decoder)]
}

function begun(from: StreamPlace = start, directory = new FileDirectory(['shop'])): Decoder {
  const decoder = decoderFor(directory, from)
  const rotate = rotateTo('binlog.000001')
  decoder.event(rotate, 0, rotate.length)
  return decoder
}

function transaction(number: number, rows: readonly Row[]): Buffer[] {
  return [gtid(number), query('BEGIN'), tableMap(), writeRows(rows), xid]
}

/** `+1 4 a`: weight and values. */
function rowsOf(batches: readonly SourceBatch[]): string[] {
  return batches.flatMap(({ changes }) =>
    changes.flatMap((change) => {
      if (!('batch' in change)) return [`truncate ${change.topic}`]
      const { batch } = change
      return Array.from({ length: batch.rows }, (_, row) => {
        const values = batch.columns.map((column, i) =>
          textAt(batch.schema.fields[i]!.type, column, row),
        )
        return `${batch.weights[row]! > 0 ? '+' : '-'} ${values.join(' ')}`
      })
    }),
  )
}

/** Not only a position. */
function isOfInterest({ changes, transaction: of }: SourceBatch): boolean {
  return changes.length > 0 || of !== null
}

function lastPlace(batches: readonly SourceBatch[]): StreamPlace {
  const position = batches.findLast((batch) => batch.position !== null)?.position
  return JSON.parse(position!) as StreamPlace
}

test('inserts, updates, key changes and deletes', async () => {
  const batches = await run(begun(), [
    gtid(1),
    query('BEGIN'),
    tableMap(),
    writeRows([
      [1, 'a'],
      [2, null],
    ]),
    tableMap(),
    updateRows([
      [
        [1, 'a'],
        [1, 'b'],
      ],
      [
        [2, null],
        [3, 'c'],
      ],
    ]),
    tableMap(),
    deleteRows([[1, 'b']]),
    xid,
  ])
  assert.deepEqual(rowsOf(batches), ['+ 1 a', '+ 2 ', '+ 1 b', '- 2 ', '+ 3 c', '- 1 b'])
  assert.equal(lastPlace(batches).gtids, `${uuid}:1`)
})

test('transactions that are in the log already are left out, and their statements too', async () => {
  const directory = new FileDirectory(['shop'])
  const decoder = begun({ ...start, gtids: `${uuid}:1-2` }, directory)
  const batches = await run(decoder, [
    ...transaction(1, [[1, 'known']]),
    gtid(2),
    query('ALTER TABLE t ADD w INT'),
    ...transaction(3, [[2, 'new']]),
  ])
  assert.deepEqual(rowsOf(batches), ['+ 2 new'])
  assert.deepEqual(directory.statements, [])
  assert.equal(lastPlace(batches).gtids, `${uuid}:1-3`)
})

test('a transaction that ends with ROLLBACK, or with the server, never happened', async () => {
  for (const end of [query('ROLLBACK'), event(3, Buffer.alloc(0))]) {
    const batches = await run(begun(), [
      ...transaction(1, [[1, 'a']]),
      gtid(2),
      query('BEGIN'),
      tableMap(),
      writeRows([[2, 'gone']]),
      end,
      ...transaction(3, [[3, 'c']]),
    ])
    assert.deepEqual(rowsOf(batches), ['+ 1 a', '+ 3 c'])
  }
})

test('a large transaction goes out in parts, its position only with its end', async () => {
  const long = 'x'.repeat(250)
  const decoder = begun()
  const rows = Array.from({ length: 3000 }, (_, i): Row => [i, long])
  const many = Array.from({ length: 7 }, () => [tableMap(), writeRows(rows)]).flat()
  for (const [number, end] of [
    [2, xid],
    [4, query('ROLLBACK')],
  ] as const) {
    const before = transaction(number - 1, [[1, 'whole']])
    const batches = await run(decoder, [...before, gtid(number), query('BEGIN'), ...many, end])
    const parts = batches.filter((batch) => batch.transaction !== null)
    assert.ok(parts.length >= 2)
    assert.deepEqual(
      new Set(parts.map((part) => part.transaction!.id)),
      new Set([`${uuid}:${number}`]),
    )
    assert.deepEqual(
      parts.map((part) => [part.end, part.position === null]),
      [
        ...parts.slice(1).map(() => [null, true]),
        end === xid ? ['commit', false] : ['abort', true],
      ],
    )
    if (end === xid) assert.equal(rowsOf(parts).length, 21_000)
  }
})

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

test('incidents, unknown events and missing GTIDs stop the stream; ignorable ones do not', async () => {
  const incident = event(26, Buffer.from([1, 0, 0]))
  await assert.rejects(run(begun(), [incident]), { code: 'source.mysql.incident' })
  const unknown = (flags: number): Buffer => event(99, Buffer.alloc(5), { flags })
  await assert.rejects(run(begun(), [unknown(0)]), { code: 'source.mysql.unknown_event' })
  await run(begun(), [unknown(0x80)])
  const anonymous = event(34, Buffer.alloc(25))
  await assert.rejects(run(begun(), [anonymous]), { code: 'source.mysql.gtid_missing' })
})

test('events out of their place are refused', async () => {
  const cases: readonly (readonly Buffer[])[] = [
    [tableMap()],
    [xid],
    [gtid(1), gtid(2)],
    [gtid(1), query('BEGIN'), query('BEGIN')],
    [gtid(1), query('BEGIN'), writeRows([[1, 'a']])],
    [gtid(1), query('BEGIN'), tableMap(), writeRows([[1, 'a']]), writeRows([[2, 'a']])],
    [gtid(1), query('BEGIN'), tableMap(7), writeRows([[1, 'a']], 8)],
  ]
  for (const events of cases) {
    await assert.rejects(run(begun(), events), { code: 'source.mysql.protocol' })
  }
})

test('the place follows the file past 4 GiB, rotations and heartbeats', async () => {
  const from: StreamPlace = { ...start, gtids: null }
  const decoder = begun(from)
  const plain = (end: number): Buffer[] => [
    query('BEGIN', { end: end - 10 }),
    tableMap(),
    writeRows([[1, 'a']]),
    event(16, Buffer.alloc(8), { end }),
  ]
  await run(decoder, plain(4_000_000_000))
  assert.equal(decoder.place.offset, 4_000_000_000)
  await run(decoder, plain(100_000_000))
  assert.equal(decoder.place.offset, 2 ** 32 + 100_000_000)
  const heartbeat = Buffer.concat([
    Buffer.from([1, 13]),
    Buffer.from('binlog.000001'),
    Buffer.from([2, 9, 0xfe, 0, 0, 0, 0, 2, 0, 0, 0, 0]),
  ])
  await run(decoder, [event(41, heartbeat)])
  assert.equal(decoder.place.offset, 2 ** 33)
  await run(decoder, [event(27, Buffer.from('binlog.000002'), { end: 500 })])
  assert.deepEqual([decoder.place.file, decoder.place.offset], ['binlog.000002', 500])
  // Never back.
  await run(decoder, [rotateTo('binlog.000001', 4)])
  assert.deepEqual([decoder.place.file, decoder.place.offset], ['binlog.000002', 500])
})

test('a place within a transaction is never given', async () => {
  const decoder = begun()
  const [announced, begin, map, rows] = transaction(1, [[1, 'a']])
  for (const one of [announced!, begin!, map!, rows!]) {
    await feed(decoder, one)
    decoder.flush()
    assert.deepEqual(
      taken(decoder).filter((batch) => batch.position !== null && batch.changes.length > 0),
      [],
    )
    assert.equal(decoder.place.gtids, '')
    assert.equal(decoder.flushable, false)
  }
  await feed(decoder, xid)
  assert.equal(decoder.flushable, true)
})

test('a truncate has its place among the rows', async () => {
  const directory = new FileDirectory(['shop'])
  directory.truncates.set('TRUNCATE t', 'shop.t')
  const batches = await run(begun(start, directory), [
    ...transaction(1, [[1, 'a']]),
    gtid(2),
    query('TRUNCATE t'),
    ...transaction(3, [[2, 'b']]),
  ])
  assert.deepEqual(rowsOf(batches), ['+ 1 a', 'truncate shop.t', '+ 2 b'])
})

/** Says 'lookup' until it was loaded. */
class SlowDirectory extends FileDirectory {
  loads = 0
  override resolve(map: TableMap): FollowedTable | null {
    return this.loads === 0 ? ('lookup' as unknown as null) : super.resolve(map)
  }
  override load(): Promise<void> {
    this.loads++
    return Promise.resolve()
  }
}

function payload(events: readonly Buffer[], compression: 0 | 255 = 0): Buffer {
  const inner = Buffer.concat(events)
  const packed = compression === 0 ? zstdCompressSync(inner) : inner
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(5)
    bytes[0] = 0xfd
    bytes.writeUIntLE(value, 1, 3)
    return bytes.subarray(0, 4)
  }
  const field = (kind: number, value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([kind, value.length]), value])
  const compressionField = field(2, Buffer.from(compression === 0 ? [0] : [0xfc, 255, 0]))
  const fields = [field(1, number(packed.length)), compressionField, field(3, number(inner.length))]
  return event(40, Buffer.concat([...fields, Buffer.from([0]), packed]))
}

test('a compressed transaction stands still for a table in its middle, and in front of its end', async () => {
  for (const compression of [0, 255] as const) {
    const inner = [query('BEGIN'), tableMap(), writeRows([[1, 'a']]), xid]
    const directory = new SlowDirectory(['shop'])
    const decoder = begun(start, directory)
    await feed(decoder, gtid(1))
    const packed = payload(inner, compression)
    decoder.event(packed, 0, packed.length)
    assert.ok(decoder.lookup !== null && decoder.standing)
    decoder.flush()
    assert.deepEqual(rowsOf(taken(decoder)), [])
    await directory.load()
    decoder.resume()
    assert.equal(decoder.standing, false)
    decoder.flush()
    assert.deepEqual(rowsOf(taken(decoder)), ['+ 1 a'])
  }
})

test('a compressed transaction that is cut short, or says a wrong length, is refused', async () => {
  const whole = payload([query('BEGIN'), tableMap(), writeRows([[1, 'a']]), xid])
  const half = payload([query('BEGIN'), tableMap(), writeRows([[1, 'a']])])
  const cut = Buffer.from(whole.subarray(0, whole.length - 5))
  cut.writeUInt32LE(cut.length, 9)
  for (const broken of [half, cut, payload([payload([xid])])]) {
    await assert.rejects(run(begun(), [gtid(1), broken]), { code: 'source.mysql.protocol' })
  }
})

test('MariaDB: a rows event in fragments', async () => {
  const from: StreamPlace = { ...start, flavour: 'mariadb' }
  const whole = writeRows([
    [1, 'first'],
    [2, 'second'],
  ])
  const fragment = (count: number, which: number, flags: number, bytes: Buffer): Buffer => {
    const head = Buffer.alloc(flags === 1 ? 17 : 9)
    head.writeUInt32LE(count, 0)
    head.writeUInt32LE(which, 4)
    head[8] = flags
    if (flags === 1) head.writeBigUInt64LE(BigInt(whole.length), 9)
    return event(172, Buffer.concat([head, bytes]))
  }
  const parts = [
    fragment(2, 1, 1, whole.subarray(0, 25)),
    fragment(2, 2, 0, whole.subarray(25)),
  ] as const
  const batches = await run(begun(from), [domainGtid(0, 1), tableMap(), ...parts, xid])
  assert.deepEqual(rowsOf(batches), ['+ 1 first', '+ 2 second'])
  for (const wrong of [[parts[1]], [parts[0], parts[0]], [parts[0], xid]]) {
    const events = [domainGtid(0, 1), tableMap(), ...wrong]
    await assert.rejects(run(begun(from), events), { code: 'source.mysql.protocol' })
  }
})
