/** A key as one text: the same for a row and for its texts, and back again. Attacks invariant 9: two keys never run together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeBatch, Op } from '../../../core/record/batch.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { keyOfTexts, rowKey, textsOfKey } from '../../../core/record/key.ts'
import { makeSchema } from '../../../core/record/schema.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', ':', '1:', '-1:', '3:abc', '\n'),
)
/** Two keys of the same table. */
const keys = fc.integer({ min: 1, max: 3 }).chain((fields) =>
  fc.array(fc.array(text, { minLength: fields, maxLength: fields }), {
    minLength: 2,
    maxLength: 2,
  }),
)

test('a key of texts is that of the row that has them, and gives them back', () => {
  fc.assert(
    fc.property(keys, (keys) => {
      const fields = keys[0]!.map((_, i) => ({
        name: `k${i}`,
        type: { kind: 'text' } as const,
        nullable: false,
      }))
      const schema = makeSchema(
        fields,
        fields.map((_, i) => i),
        'upsert',
      )
      const columns = fields.map((_, i) => {
        const builder = new BytesBuilder()
        for (const key of keys) builder.appendString(key[i]!)
        return builder.finish()
      })
      const ones = new Int32Array(2).fill(1)
      const batch = makeBatch(
        schema,
        columns,
        ones,
        new Uint8Array(2).fill(Op.insert),
        new Float64Array(2),
      )
      for (const [row, key] of keys.entries()) {
        assert.equal(rowKey(batch, row), keyOfTexts(key))
        assert.deepEqual(textsOfKey(keyOfTexts(key)), key)
      }
      const same = JSON.stringify(keys[0]) === JSON.stringify(keys[1])
      assert.equal(rowKey(batch, 0) === rowKey(batch, 1), same)
    }),
  )
})
