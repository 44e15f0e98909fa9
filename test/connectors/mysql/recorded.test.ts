/**
 * Binlog files recorded from real servers (test/fixtures/mysql/record.ts): what the decoder makes of them, folded, is what
 * the server's tables held in the end. Attacks invariants 3 (transactions whole), 5 (nothing vanishes)
 * and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { GtidSet } from '../../../connectors/mysql/binlog/gtid-set.ts'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import {
  binlogFile,
  decodeFile,
  decoderFor,
  eventsOf,
  FileDirectory,
  Fold,
  placeOf,
  recording,
  sorted,
} from './binlog-files.ts'
import { recordings } from './recordings.ts'

for (const { name, tables } of recordings) {
  test(`${name}: the rows of the file, folded, are the server's tables`, async () => {
    const recorded = recording(name)
    const directory = new FileDirectory(['shop'], recorded)
    const from = { ...placeOf(recorded), gtids: recorded.gtids === '' ? null : recorded.gtids }
    const decoder = decoderFor(directory, from)
    const fold = new Fold()
    let last: StreamPlace | null = null
    for (const batch of await decodeFile(decoder, binlogFile(name))) {
      fold.add(batch)
      if (batch.position === null) continue
      const place = JSON.parse(batch.position) as StreamPlace
      if (last !== null && last.file === place.file) assert.ok(place.offset >= last.offset)
      last = place
    }
    for (const table of tables) {
      const expected = sorted(recorded.rows[`shop.${table}`]!)
      const rows = fold.rows(`shop.${table}`).map((row) => row.map(asPrinted))
      assert.deepEqual(sorted(rows), sorted(expected.map((row) => row.map(asPrinted))), table)
    }
    assert.deepEqual(fold.openTransactions, [])
    // The file ends with the name of the next one.
    assert.deepEqual([last?.file.slice(-3), last?.offset], ['003', 4])
    if (recorded.flavour === 'mysql' && typeof last?.gtids === 'string') {
      assert.ok(GtidSet.parse(last.gtids).contains(GtidSet.parse(recorded.gtids)))
    }
  })
}

/** Times without the zeros at their end, numbers without exponents' signs, bytes without their mark. */
function asPrinted(value: string | null): string | null {
  if (value === null) return null
  if (value.length > 1000)
    return `${value.length} ${createHash('sha256').update(value).digest('hex')}`
  const time = /^(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d*?)0*)?$/.exec(value)
  if (time !== null) return `${time[1]}.${time[2] ?? ''}`.replace('T', ' ')
  if (value.startsWith('\\x')) return value.slice(2)
  return /^-?[\d.]+e[+-]?\d+$/.test(value) ? String(Number(value)) : value
}

/**
 * Every place at which a restart may begin: the file read up to there, and, by a new decoder, again from
 * where `readFrom` says. What both hand out with a position, folded, is the server's tables.
 */
for (const name of [
  'mysql-9.7-xa',
  'mysql-9.7-xa-compressed',
  'mysql-9.7-full',
  'mariadb-11.8-xa',
]) {
  test(`${name}: read in two halves, cut anywhere`, async () => {
    const recorded = recording(name)
    const events = [...eventsOf(binlogFile(name))]
    const from = { ...placeOf(recorded), gtids: recorded.gtids }
    for (let step = 2; step < events.length * 2; step++) {
      const cut = step >> 1
      const fold = new Fold()
      const first = decoderFor(new FileDirectory(['shop'], recorded), from)
      const read = await decodeFile(first, fileOf(events.slice(0, cut)))
      let place: StreamPlace = from
      let committed = 0
      read.forEach((batch, i) => {
        if (batch.position === null) return
        place = JSON.parse(batch.position) as StreamPlace
        committed = i + 1
      })
      const open = new Set<string>()
      for (const { transaction, end } of read.slice(0, committed)) {
        if (transaction !== null && end === null) open.add(transaction.id)
        else if (transaction !== null) open.delete(transaction.id)
      }
      // What was open at the last position is forgotten with the process.
      for (const batch of read.slice(0, committed)) {
        if (batch.transaction === null || !open.has(batch.transaction.id)) fold.add(batch)
      }
      // The server skips nothing in a file: known transactions are the decoder's to pass over. As on
      // another server, and as on the same one.
      const resumed = step % 2 === 0 ? place : { ...place, file: '', offset: 4 }
      const again = decoderFor(new FileDirectory(['shop'], recorded), resumed)
      for (const batch of await decodeFile(again, binlogFile(name))) fold.add(batch)
      for (const [table, rows] of Object.entries(recorded.rows)) {
        const folded = fold.rows(table).map((row) => row.map(asPrinted))
        const expected = sorted(rows.map((row) => row.map(asPrinted)))
        assert.deepEqual(sorted(folded), expected, `${table}, cut after event ${cut}`)
      }
    }
  })
}

function fileOf(events: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.alloc(4), ...events])
}
