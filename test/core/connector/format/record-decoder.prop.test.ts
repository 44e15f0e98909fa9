/**
 * Any records in any pieces: each ends as a row, set aside with its reason, or passed over because that
 * was asked for; and a record is read the same whatever came before it. Attacks invariants 5 and 6.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  plainDecoder,
  type PlainSettings,
} from '../../../../core/connector/format/format-config.ts'
import type { Decoded } from '../../../../core/connector/format/format.ts'
import { textAt } from '../../../../core/record/value.ts'
import { recordsOf, type TestRecord } from './support.ts'

const value = fc.oneof(
  fc.constantFrom(
    null,
    '',
    '{}',
    '{"id":1',
    '[]',
    '{"id":null}',
    '{"id":"x"}',
    '{"id":9007199254740993}',
  ),
  fc
    .record(
      {
        id: fc.integer(),
        name: fc.option(fc.string()),
        tags: fc.array(fc.oneof(fc.integer(), fc.string())),
      },
      { requiredKeys: [] },
    )
    .map((row) => JSON.stringify(row)),
)
const key = fc.constantFrom(null, '1', '{"id":2}', '{"id":3,"other":[1]}', '{}', 'x', '')
const record = fc.record({ key, value })
const schema = { id: 'int64', name: 'text?', tags: 'list<int64>?' }
const settings = fc.constantFrom<PlainSettings>(
  { format: 'json', schema },
  { format: 'json', schema, key: ['id'] },
  { format: 'json', schema, key: ['id'], keyFormat: 'json' },
  { format: 'json', schema, key: ['id'], keyFormat: 'json', tombstones: 'ignore' },
)

/** Rows with their offsets' places told by their times; reasons. */
function told({ changes, rejected }: Decoded): string[] {
  const all: (readonly [at: number, text: string])[] = []
  for (const change of changes) {
    assert.ok('batch' in change)
    const { batch } = change
    for (let row = 0; row < batch.rows; row++) {
      const texts = batch.schema.fields.map(({ type }, i) => textAt(type, batch.columns[i]!, row))
      all.push([batch.timesUs[row]!, `${batch.weights[row]} ${JSON.stringify(texts)}`])
    }
  }
  for (const { batch, errors } of rejected) {
    assert.equal(batch.rows, errors.length)
    errors.forEach((error, row) => {
      assert.equal(error.fault, 'row')
      all.push([batch.timesUs[row]!, error.code])
    })
  }
  return all.sort(([a], [b]) => a - b).map(([at, text]) => `${at} ${text}`)
}

test('nothing vanishes, and no record changes how another one is read', () => {
  fc.assert(
    fc.property(
      settings,
      fc.array(record, { maxLength: 20 }),
      fc.nat(20),
      (settings, all: readonly TestRecord[], taken) => {
        const records = recordsOf(all)
        const decoder = plainDecoder('t', settings, [])
        assert.equal(decoder.decode(records, 0), all.length)
        const { rows } = decoder
        const together = told(decoder.take())
        const passedOver =
          settings.tombstones === 'ignore' ? all.filter((each) => each.value === null).length : 0
        assert.equal(rows, all.length - passedOver)
        assert.equal(together.length, rows)

        // One by one, and with something handed over in between.
        const single: string[] = []
        const again = plainDecoder('t', settings, [])
        for (let i = 0; i < all.length; i++) {
          const one = {
            ...recordsOf([all[i]!]),
            timesUs: records.timesUs.subarray(i, i + 1),
            offsets: records.offsets.subarray(i, i + 1),
          }
          assert.equal(again.decode(one, 0), 1)
          if (i % (taken + 1) === 0) single.push(...told(again.take()))
        }
        single.push(...told(again.take()))
        assert.deepEqual(single, together)
      },
    ),
    { numRuns: 1000 },
  )
})
