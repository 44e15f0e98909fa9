/**
 * Reading some columns of a block: they are bit for bit those of the whole block (invariant 9), the
 * others are not there, and damage is still an error of the log.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeBlock, decodeBlockSync, encodeBlockSync } from '../../../core/log/codec-block.ts'
import { Projections } from '../../../core/log/projection.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeBatch, type Batch } from '../../../core/record/batch.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { NumberBuilder } from '../../../core/record/builder.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { anyBatch } from '../../support/batches.ts'
import { assertSameBatch } from '../../support/same-batch.ts'

const place = { object: 'seg/x', byte: 0 }

/** The columns named, and the key's, of a batch that was read whole. */
function narrowed(batch: Batch, wanted: ReadonlySet<string>): Batch {
  const { schema } = batch
  const places = schema.fields
    .map((_, i) => i)
    .filter((i) => schema.key.includes(i) || wanted.has(schema.fields[i]!.name))
  const narrow = makeSchema(
    places.map((i) => schema.fields[i]!),
    schema.key.map((i) => places.indexOf(i)),
    schema.changelog,
  )
  const columns = places.map((i) => batch.columns[i]!)
  return makeBatch(narrow, columns, batch.weights, batch.ops, batch.timesUs)
}

function namesOf(batch: Batch, bits: number): ReadonlySet<string> {
  const { fields } = batch.schema
  return new Set(fields.filter((_, i) => ((bits >> i) & 1) === 1).map((field) => field.name))
}

test('invariant 9: the wanted columns and the key of any batch, for any choice of columns', () => {
  fc.assert(
    fc.property(anyBatch(), fc.nat(), (batch, bits) => {
      const wanted = namesOf(batch, bits)
      const projection = new Projections().of(batch.schema, wanted)
      const bytes = encodeBlockSync(batch)
      const decoded = decodeBlockSync(batch.schema, bytes, place, projection)
      assertSameBatch(decoded, narrowed(batch, wanted))
      assert.equal(decoded.schema.id, narrowed(batch, wanted).schema.id)
    }),
    { numRuns: 400 },
  )
})

test('any damaged byte without its checksum: an error of the log or some batch', () => {
  fc.assert(
    fc.property(
      anyBatch({ rowsMax: 20 }),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (batch, bits, at, by) => {
        const projection = new Projections().of(batch.schema, namesOf(batch, bits))
        const bytes = encodeBlockSync(batch)
        bytes[at % bytes.length]! ^= by
        try {
          decodeBlockSync(batch.schema, bytes, place, projection)
        } catch (error) {
          assert.ok(error instanceof SluiceError && error.code === 'log.corrupt', String(error))
        }
      },
    ),
    { numRuns: 1500 },
  )
})

test('a frame of unwanted columns alone is not opened', async () => {
  const rows = 40_000
  const schema = makeSchema(
    [
      { name: 'note', type: { kind: 'text' }, nullable: false },
      { name: 'id', type: { kind: 'int64' }, nullable: false },
    ],
    [],
    'append',
  )
  const note = new BytesBuilder()
  const id = new NumberBuilder()
  for (let i = 0; i < rows; i++) {
    note.appendString(`a text that differs ${i} and is long enough for a frame of its own`)
    id.append(i * 7)
  }
  const batch = makeBatch(
    schema,
    [note.finish(), id.finish()],
    new Int32Array(rows).fill(1),
    new Uint8Array(rows),
    new Float64Array(rows),
  )
  const bytes = encodeBlockSync(batch)
  // The texts' frame is the largest; only who opens it can notice that it is broken.
  bytes.fill(0x55, bytes.length >> 1, (bytes.length >> 1) + 64)
  const wanted = new Set(['id'])
  const projection = new Projections().of(schema, wanted)
  assertSameBatch(await decodeBlock(schema, bytes, place, projection), narrowed(batch, wanted))
  await assert.rejects(decodeBlock(schema, bytes, place))
})

test('a projection is made once per set and schema, and none is made where all is wanted', () => {
  const schema = makeSchema(
    [
      { name: 'a', type: { kind: 'int32' }, nullable: false },
      { name: 'b', type: { kind: 'int32' }, nullable: false },
    ],
    [0],
    'upsert',
  )
  const projections = new Projections()
  const none = new Set<string>()
  const first = projections.of(schema, none)
  assert.deepEqual(first?.wanted, [true, false])
  assert.deepEqual(first?.schema.key, [0])
  assert.equal(projections.of(schema, none), first)
  assert.equal(projections.of(schema, new Set(['b', 'c'])), null)
})
