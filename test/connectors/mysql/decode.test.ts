/**
 * The decoder event by event: what goes out when, under which transaction and position. Attacks
 * invariants 1 (positions), 3 (transactions whole) and 5 (nothing vanishes).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import type { FollowedTable, TableMap } from '../../../connectors/mysql/schema/table-directory.ts'
import { feed, FileDirectory, rotateTo, taken } from './binlog-files.ts'
import { begun, lastPlace, rowsOf, run, start, transaction } from './decode-support.ts'
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
  xid,
  type Row,
} from './event-bytes.ts'

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

test('a large compressed transaction that is broken in its middle is refused, however late it is asked for', async () => {
  const rows = Array.from({ length: 3000 }, (_, i): Row => [
    i,
    `${String(i % 7)}${'x'.repeat(240)}`,
  ])
  const many = Array.from({ length: 8 }, () => [tableMap(), writeRows(rows)]).flat()
  const whole = payload([query('BEGIN'), ...many, xid])
  const batches = await run(begun(), [gtid(1), whole])
  assert.equal(rowsOf(batches).length, 24_000)
  for (const place of [40, whole.length >> 1, whole.length - 3]) {
    const broken = Buffer.from(whole)
    broken[place]! ^= 0xff
    const decoder = begun()
    await feed(decoder, gtid(1))
    decoder.event(broken, 0, broken.length)
    await new Promise((resolve) => setTimeout(resolve, 20))
    await assert.rejects(
      async () => {
        while (decoder.standing) {
          await decoder.unpacking?.more(new AbortController().signal)
          decoder.resume()
          taken(decoder)
        }
      },
      { code: 'source.mysql.protocol' },
      `byte ${place}`,
    )
  }
  const decoder = begun()
  await feed(decoder, gtid(1))
  decoder.event(whole, 0, whole.length)
  const reason = new Error('stopped')
  await assert.rejects(decoder.unpacking!.more(AbortSignal.abort(reason)), reason)
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

test('a value that cannot be read is told with topic and column, never with the value', async () => {
  const invalid = writeRows([
    [1, 'fine'],
    [2, 'secr?t'],
  ])
  // No character of UTF-8 begins so.
  invalid[invalid.indexOf('?')] = 0xff
  await assert.rejects(run(begun(), [gtid(1), query('BEGIN'), tableMap(), invalid]), {
    code: 'source.mysql.value',
    message: /^shop\.t, column v: (?!.*secr)/,
  })
})
