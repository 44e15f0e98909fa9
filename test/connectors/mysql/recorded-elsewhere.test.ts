/**
 * Binlog files of servers that do not run here (test/fixtures/mysql/SOURCES.md): what the decoder makes of them is what
 * their statements did. Attacks invariants 5 (nothing vanishes) and 9 (exact values) on MySQL 5.7, 8.0 and 8.2.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { opNames } from '../../../core/record/batch.ts'
import {
  binlogFile,
  databasesOf,
  decodeFile,
  decoderFor,
  eventsOf,
  FileDirectory,
  Fold,
  placeOf,
  recording,
  sorted,
} from './binlog-files.ts'

/** By recording: its changes, one a row, in their order. The tables of 8.2 have no key: old rows go by all their values. */
const elsewhere = {
  'mysql-5.7-insert': ['+insert'],
  'mysql-5.7-update': ['+update'],
  'mysql-5.7-delete': ['+insert', '-delete'],
  'mysql-8.0': [
    ...Array<string>(6).fill('+insert'),
    '+update',
    '-delete',
    '-delete',
    ...Array<string>(5).fill('+insert'),
  ],
  'mysql-8.2': ['+insert', '-update', '+update'],
  'mysql-8.2-delete': ['+insert', '-update', '+update', '-delete'],
}

function changesOf(batches: readonly SourceBatch[]): string[] {
  return batches.flatMap(({ changes }) =>
    changes.flatMap((change) => {
      assert.ok('batch' in change)
      const { weights, ops } = change.batch
      return Array.from(weights, (weight, row) => (weight > 0 ? '+' : '-') + opNames[ops[row]!]!)
    }),
  )
}

for (const [name, wanted] of Object.entries(elsewhere)) {
  const recorded = recording(name)
  test(`${name}: the changes and rows of ${recorded.version}`, async () => {
    const file = binlogFile(name)
    const [format] = eventsOf(file)
    // Server version: 50 bytes behind the event's head and the version of the binlog.
    const version = format!.subarray(21, 71).toString('latin1').replaceAll('\0', '')
    assert.equal(version, recorded.version)
    const directory = new FileDirectory(databasesOf(recorded), recorded)
    const decoder = decoderFor(directory, { ...placeOf(recorded), gtids: null })
    const batches = await decodeFile(decoder, file)
    assert.deepEqual(changesOf(batches), wanted)
    const fold = new Fold()
    for (const batch of batches) fold.add(batch)
    for (const [table, rows] of Object.entries(recorded.rows)) {
      assert.deepEqual(fold.rows(table), sorted(rows), table)
    }
  })
}
