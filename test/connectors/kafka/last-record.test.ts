/**
 * The last record that was read, looked for in record sets of real brokers (test/fixtures/kafka) of all formats and
 * codecs. Attacks invariant 5 (nothing vanishes): another record at its place is seen, and what only is not
 * there stops nobody.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  isStillThere,
  lastRecordOf,
  type LastRecord,
} from '../../../connectors/kafka/last-record.ts'
import { RecordBatches } from '../../../connectors/kafka/record-batches.ts'

const folder = new URL('../../fixtures/kafka/', import.meta.url)
const topic = 't'

/** All of them, those of aborted transactions too. */
function lastRecords(records: Uint8Array): readonly LastRecord[] {
  const batches = new RecordBatches()
  batches.open({ records, aborted: [] }, 0)
  const found: LastRecord[] = []
  for (let read = batches.next(); read !== null; read = batches.next()) {
    for (let index = 0; index < read.count; index++) found.push(lastRecordOf(read, index))
  }
  return found
}

/** Offsets of the ends of transactions. */
function markers(records: Uint8Array): readonly number[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  const found: number[] = []
  for (let at = 0; at < records.length; at += 12 + view.getInt32(at + 8)) {
    if (records[at + 16] === 2 && (view.getInt16(at + 21) & 32) !== 0) {
      found.push(Number(view.getBigInt64(at)))
    }
  }
  return found
}

let seenMarkers = 0
for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
  test(`${name}: each record is known again, and no other taken for it`, () => {
    const text = readFileSync(new URL(name, folder), 'utf8')
    const { records: base64 } = JSON.parse(text) as { readonly records: string }
    const records = new Uint8Array(Buffer.from(base64, 'base64'))
    const there = (last: LastRecord): boolean | null => isStillThere({ records, topic }, 0, last)
    const all = lastRecords(records)
    assert.ok(all.length > 0)
    // All of them where they are few; every other one is enough of many.
    for (const [offset, checksum] of all.filter(
      (_, index) => all.length < 50 || index % 37 === 0,
    )) {
      assert.equal(there([offset, checksum]), true)
      assert.equal(there([offset, checksum ^ 1]), false)
    }
    const known = new Set(all.map(([offset]) => offset))
    const ends = new Set(markers(records))
    for (const offset of ends) assert.equal(there([offset, 0]), false)
    seenMarkers += ends.size
    for (let offset = 0; offset <= Math.max(...known) + 2; offset++) {
      if (!known.has(offset) && !ends.has(offset)) assert.equal(there([offset, 0]), null)
    }
    assert.equal(isStillThere({ records: records.subarray(0, 16), topic }, 0, all[0]!), null)
  })
}

test('ends of transactions were among them', () => assert.ok(seenMarkers > 0))
