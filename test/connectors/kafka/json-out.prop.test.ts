/** Texts and bytes of records as UTF-8 and JSON: what is none is refused, what is one reads back the same. */
import assert from 'node:assert/strict'
import { isUtf8 as isUtf8OfNode } from 'node:buffer'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonOut } from '../../../connectors/kafka/json-out.ts'
import { appendText } from '../../../connectors/kafka/append-text.ts'
import { isUtf8 } from '../../../core/connector/format/cell-text.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { bytesAt } from '../../../core/record/value.ts'

/** Bytes near the edges of UTF-8's table, and of anything. */
const bytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0),
      fc.constantFrom(0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff, 0x41),
      fc.nat(255),
    ),
    { maxLength: 8 },
  )
  .map((list) => Uint8Array.from(list))
const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }))

test('UTF-8 is what Node takes for it', () => {
  fc.assert(
    fc.property(bytes, (some) => {
      assert.equal(isUtf8(some, 0, some.length), isUtf8OfNode(some))
      const around = Buffer.concat([Buffer.of(0xff), some, Buffer.of(0xff)])
      const builder = new BytesBuilder()
      const isText = appendText(builder, around, 1, 1 + some.length)
      assert.equal(isText, isUtf8OfNode(some))
      assert.equal(builder.length, isText ? 1 : 0)
    }),
    { numRuns: 3000 },
  )
})

test('JSON strings read back as the text they were written from', () => {
  const out = new JsonOut()
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 5 }), (list) => {
      out.end = 0
      out.byte(0x5b)
      for (const [i, text] of list.entries()) {
        if (i > 0) out.byte(0x2c)
        const source = Buffer.from(text)
        assert.ok(out.text(source, 0, source.length))
      }
      out.byte(0x5d)
      const builder = new BytesBuilder()
      out.appendTo(builder)
      assert.deepEqual(JSON.parse(Buffer.from(bytesAt(builder.finish(), 0)).toString()), list)
    }),
  )
})

test('base64 and UUIDs are what Node writes', () => {
  const out = new JsonOut()
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 16, maxLength: 16 }), (some, id) => {
      out.end = 0
      out.base64(some, 0, some.length)
      assert.equal(JSON.parse(out.since(0)), Buffer.from(some).toString('base64'))
      out.end = 0
      out.uuid(id, 0)
      assert.equal(
        (JSON.parse(out.since(0)) as string).replaceAll('-', ''),
        Buffer.from(id).toString('hex'),
      )
      assert.match(out.since(0), /^"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}"$/)
    }),
  )
})
