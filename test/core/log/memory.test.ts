/**
 * Memory that is given back: rows that a source hands over for good are in the log as they were, rows of anybody else
 * stay where they are. Attacks invariant 5 (nothing vanishes) where memory is used for the last time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBlockSync, encodeBlock, encodeBlockSync } from '../../../core/log/codec-block.ts'
import { encodeEntries } from '../../../core/log/stage.ts'
import type { FreshBlock } from '../../../core/log/types.ts'
import { makeBatch, type Batch } from '../../../core/record/batch.ts'
import { NumberBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { makeSchema, type Schema } from '../../../core/record/schema.ts'

const schema: Schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'kind', type: { kind: 'text' }, nullable: true },
    { name: 'note', type: { kind: 'text' }, nullable: false },
  ],
  [],
  'append',
)

/** As connectors build them. `noise`: of the texts, bits a letter: 0 = all the same. */
function built(rows: number, noise: number): Batch {
  const id = new NumberBuilder()
  const kind = new BytesBuilder()
  const note = new BytesBuilder()
  let seed = 7
  for (let row = 0; row < rows; row++) {
    id.append(2 ** 40 + row * row)
    if (row % 5 === 0) kind.appendNull()
    else kind.appendString(['click', 'view', 'buy'][row % 3]!)
    let text = ''
    for (let i = 0; i < 90; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      text += String.fromCharCode(40 + ((seed >> 12) & ((1 << noise) - 1)))
    }
    note.appendString(text)
  }
  const columns = [id.finish(), kind.finish(), note.finish()]
  const ops = new Uint8Array(rows)
  return makeBatch(schema, columns, new Int32Array(rows).fill(1), ops, new Float64Array(rows))
}

for (const [rows, noise] of [
  [10, 3],
  [900, 0],
  [12_000, 0],
  [12_000, 2],
  [12_000, 6],
] as const) {
  test(`${rows} rows of ${noise} bits a letter: given for good they are stored, and gone`, async () => {
    const [ours, theirs] = [built(rows, noise), built(rows, noise)]
    const before = encodeBlockSync(theirs)
    // However zlib hands out what it makes, on a thread or not, these are the same bytes.
    assert.deepEqual(await encodeBlock(theirs), before)
    const [given, lent] = (await encodeEntries([
      { kind: 'rows', topic: 'a', batch: ours, owned: true },
      { kind: 'rows', topic: 'a', batch: theirs },
    ])) as [FreshBlock, FreshBlock]
    assert.deepEqual(given.bytes, before)
    assert.deepEqual(lent.bytes, before)
    assert.equal(given.rows, rows)
    assert.deepEqual(encodeBlockSync(theirs), before)
    assert.deepEqual(decodeBlockSync(schema, before, { object: 'x', byte: 0 }), theirs)
    if (rows > 10) assert.equal(ours.timesUs.length, 0)
  })
}
