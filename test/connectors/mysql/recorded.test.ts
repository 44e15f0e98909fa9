/**
 * Binlog files recorded from real servers (record.ts): what the decoder makes of them, folded, is what
 * the server's tables held in the end. Attacks invariants 3 (transactions whole), 5 (nothing vanishes)
 * and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { GtidSet } from '../../../connectors/mysql/gtid-set.ts'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import {
  binlogFile,
  decodeFile,
  decoderFor,
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
