/**
 * Change events with every length and every bit wrong: each record ends as rows, set aside or passed over,
 * nothing throws, and what comes behind is read as if nothing had been. Attacks invariant 5.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { changesOf, decodeAll, decoderOf } from './decoding.ts'
import { recording, recordsOf, RecordedRegistry, type Form, type Recorded } from './recordings.ts'

const all = recording('postgres')
const more = recording('postgres-more')

function broken(value: Buffer, step: number): readonly Buffer[] {
  const found: Buffer[] = []
  for (let length = 0; length < value.length; length += step) found.push(value.subarray(0, length))
  for (let bit = 0; bit < value.length * 8; bit += step) {
    const flipped = Buffer.from(value)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    found.push(flipped)
  }
  return found
}

const columns = { id: 'int32', t: 'text?', n: 'decimal(9,3)?', more: 'int64?' }
const pairColumns = { a: 'int32', b: 'text', n: 'int32?' }
const kindColumns = {
  id: 'int32',
  bt: 'uint64?',
  p: 'other(point)?',
  us: 'list<uuid>?',
  ns: 'list<decimal(6,2)>?',
  d: 'date?',
  ts: 'timestamp?',
  tstz: 'timestamptz?',
  tz: 'other(timetz)?',
  tm: 'time?',
  iv: 'interval?',
  num: 'decimal(12,2)?',
  free: 'decimal?',
  by: 'bytes?',
  f8: 'float64?',
  u: 'uuid?',
  j: 'json?',
}

describe('broken change events', () => {
  let known: RecordedRegistry
  before(async () => {
    known = await RecordedRegistry.start()
  })
  after(() => known[Symbol.asyncDispose]())

  for (const form of ['json', 'json_schemas', 'avro', 'unwrapped', 'unwrapped_avro'] as const) {
    const isBare = form === 'json' || form === 'unwrapped'
    const schema = isBare ? columns : {}
    const unwrapped = form.startsWith('unwrapped')
    const settings = { schema, unwrapped }
    const pairs = ofForm(all, 'shop.public.pairs', form)
    const items = ofForm(all, 'shop.public.full_rows', form)
    const step = form === 'json_schemas' ? 7 : 1

    test(`values, ${form}`, async () => {
      const records = [items[2]!, items[3]!]
      for (const record of records) {
        const values = broken(record.value!, step)
        const decoder = decoderOf('shop.public.full_rows', settings, known.registry)
        // The first is whole, so that columns are known; the last tells whether builders are even.
        const sent = [items[0]!, ...values.map((value) => ({ ...record, value })), items[0]!]
        const decoded = await decodeAll(decoder, recordsOf(sent))
        const rejected = decoded.rejected.reduce((sum, { batch }) => sum + batch.rows, 0)
        const changes = changesOf(decoded)
        assert.ok(changes.length + rejected + decoder.passedOver >= sent.length)
        const last = changes.at(-1)
        assert.ok(last !== undefined && last !== 'truncate')
        assert.equal(last.values['t'], 'one')
        for (const { errors } of decoded.rejected) {
          for (const error of errors) assert.equal(error.fault, 'row')
        }
      }
    })

    test(`keys of tombstones, ${form}`, async () => {
      const [first] = pairs
      const keys = broken(first!.key!, 1)
      const decoder = decoderOf(
        'shop.public.pairs',
        { ...settings, schema: isBare ? pairColumns : {} },
        known.registry,
      )
      const sent = [first!, ...keys.map((key) => ({ ...first!, key, value: null })), first!]
      const decoded = await decodeAll(decoder, recordsOf(sent))
      const rejected = decoded.rejected.reduce((sum, { batch }) => sum + batch.rows, 0)
      assert.equal(changesOf(decoded).length + rejected + decoder.passedOver, sent.length)
      const last = changesOf(decoded).at(-1)
      assert.ok(last !== undefined && last !== 'truncate')
      assert.deepEqual([last.values['a'], last.values['b']], ['1', 'x'])
    })
  }

  for (const form of ['json', 'json_schemas', 'avro'] as const) {
    test(`a row of all kinds, cut and flipped here and there, ${form}`, async () => {
      const [record] = ofForm(more, 'shop.public.kinds', form)
      const values = broken(record!.value!, form === 'json_schemas' ? 31 : 5)
      const decoder = decoderOf(
        'shop.public.kinds',
        { schema: form === 'json' ? kindColumns : {} },
        known.registry,
      )
      const sent = [record!, ...values.map((value) => ({ ...record!, value })), record!]
      const decoded = await decodeAll(decoder, recordsOf(sent))
      const last = changesOf(decoded).at(-1)
      assert.ok(last !== undefined && last !== 'truncate')
      assert.equal(last.values['num'], '-0.01')
      assert.equal(last.values['id'], '1')
    })
  }
})

function ofForm(recorded: readonly Recorded[], topic: string, form: Form): readonly Recorded[] {
  return recorded.filter((record) => record.topic === topic && record.form === form)
}
