/**
 * Records into rows: keys, tombstones, columns beside, what does not fit, and formats that have to ask.
 * Attacks invariants 5 (every record becomes a row or is set aside with its reason) and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  plainDecoder,
  type PlainSettings,
} from '../../../../core/connector/format/format-config.ts'
import { type Decoded, type ExtraColumn } from '../../../../core/connector/format/format.ts'
import { JsonFormat } from '../../../../core/connector/format/json-format.ts'
import { PlainDecoder } from '../../../../core/connector/format/record-decoder.ts'
import { rawSchema } from '../../../../core/connector/format/rejects.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import type { NumberBuilder } from '../../../../core/record/builder.ts'
import { reasons, rowText, shown } from './decoded.ts'
import { fieldsOf, recordsOf, type TestRecord } from './support.ts'

const schema = { id: 'int64', name: 'text?', amount: 'decimal(12,2)' }
const offset: ExtraColumn = {
  field: { name: 'at_offset', type: { kind: 'int64' }, nullable: false },
  append: (builder, records, index) => (builder as NumberBuilder).append(records.offsets[index]!),
}

function decodeAll(
  settings: PlainSettings,
  records: readonly TestRecord[],
  extra: readonly ExtraColumn[] = [],
): Decoded {
  const decoder = plainDecoder('orders', settings, extra)
  assert.equal(decoder.decode(recordsOf(records), 0), records.length)
  return decoder.take()
}

test('without a key rows are appended, in order, with the time of their record', () => {
  const decoded = decodeAll(
    { format: 'json', schema },
    [{ value: '{"id":1,"name":"a","amount":1.5}' }, { value: '{"id":2,"amount":2}' }],
    [offset],
  )
  assert.deepEqual(shown(decoded), [
    [
      '+insert id=1 name=a amount=1.50 at_offset=100',
      '+insert id=2 name=null amount=2.00 at_offset=101',
    ],
  ])
  const [change] = decoded.changes
  assert.ok(change !== undefined && 'batch' in change)
  assert.equal(change.topic, 'orders')
  assert.equal(change.batch.schema.changelog, 'append')
  assert.deepEqual([...change.batch.timesUs], [1_700_000_000_000_000, 1_700_000_001_000_000])
})

test('a record that does not fit is set aside whole, with place and reason, and leaves no trace', () => {
  const decoded = decodeAll({ format: 'json', schema }, [
    { value: '{"id":1,"name":"a","amount":1}' },
    { key: 'k', value: '{"id":2,"name":"secret","amount":"many"}', headers: 'h' },
    { value: '{"id":3,"name":' },
    { value: null },
    { value: '{"id":4,"amount":4}' },
  ])
  assert.deepEqual(shown(decoded), [
    ['+insert id=1 name=a amount=1.00', '+insert id=4 name=null amount=4.00'],
  ])
  assert.deepEqual(reasons(decoded), [
    'format.field row orders, partition 3, offset 101: amount: expected decimal(12,2), a number of at most 10 digits before and 2 after the point',
    'format.value row orders, partition 3, offset 102: not JSON: expected a value at byte 15',
    'format.tombstone row orders, partition 3, offset 103: has no value, and the topic has no key to delete a row by',
  ])
  const [rejected] = decoded.rejected
  assert.ok(rejected !== undefined)
  assert.equal(rejected.topic, 'orders')
  assert.equal(rejected.batch.schema, rawSchema)
  assert.deepEqual(
    [0, 1, 2].map((row) => rowText(rejected.batch, row)),
    [
      `+insert partition=3 offset=101 time=2023-11-14 22:13:21+00 key=\\x6b value=\\x${Buffer.from('{"id":2,"name":"secret","amount":"many"}').toString('hex')} headers=\\x68`,
      `+insert partition=3 offset=102 time=2023-11-14 22:13:22+00 key=null value=\\x${Buffer.from('{"id":3,"name":').toString('hex')} headers=null`,
      '+insert partition=3 offset=103 time=2023-11-14 22:13:23+00 key=null value=null headers=null',
    ],
  )
})

test('with a key a value is the new row, and a tombstone takes it away', () => {
  const decoded = decodeAll(
    { format: 'json', schema, key: ['id'], keyFormat: 'json' },
    [
      { key: '{"id":1}', value: '{"id":1,"name":"a","amount":1}' },
      { key: '2', value: '{"name":"b","amount":2}' },
      { key: '1', value: null },
      { key: '{"id":3}', value: '{"id":null,"amount":3}' },
      { key: null, value: '{"id":4,"amount":4}' },
      { key: 'x', value: '{"id":5,"amount":5}' },
    ],
    [offset],
  )
  assert.deepEqual(shown(decoded), [
    [
      '+update id=1 name=a amount=1.00 at_offset=100',
      '+update id=2 name=b amount=2.00 at_offset=101',
      '-delete id=1 name=null amount=null at_offset=102',
      '+update id=3 name=null amount=3.00 at_offset=103',
      '+update id=4 name=null amount=4.00 at_offset=104',
      '+update id=5 name=null amount=5.00 at_offset=105',
    ],
  ])
  const [change] = decoded.changes
  assert.ok(change !== undefined && 'batch' in change)
  assert.equal(change.batch.schema.changelog, 'upsert')
  assert.deepEqual(change.batch.schema.key, [0])
  assert.deepEqual(
    change.batch.schema.fields.map(({ nullable }) => nullable),
    [false, true, false, false],
  )
  assert.deepEqual(decoded.rejected, [])
})

test('a key that is nowhere, or is none, is a reason of its own', () => {
  const decoded = decodeAll({ format: 'json', schema, key: ['id'], keyFormat: 'json' }, [
    { key: null, value: '{"amount":1}' },
    { key: 'x', value: '{"amount":1}' },
    { key: '{"other":1}', value: '{"amount":1}' },
    { key: '"x"', value: '{"amount":1}' },
    { key: null, value: null },
    { key: 'x', value: null },
    { key: '7', value: '{"amount":7}' },
  ])
  assert.deepEqual(shown(decoded), [['+update id=7 name=null amount=7.00']])
  assert.deepEqual(
    reasons(decoded).map((reason) =>
      reason.replace(/orders.*offset \d+: /, '').replace(/;? ?expected.*/, ''),
    ),
    [
      'format.key row the key: id: a key column, is null or missing in value and key',
      'format.key row the key: not JSON:',
      'format.key row the key: id: is missing',
      'format.key row the key: id:',
      'format.key row the key: id: a key column, is null or missing in value and key',
      'format.key row the key: not JSON:',
    ],
  )
})

test('a key of several columns, some of them only in the key', () => {
  const settings: PlainSettings = {
    format: 'json',
    schema: { tenant: 'text', id: 'int64', note: 'text?' },
    key: ['id', 'tenant'],
    keyFormat: 'json',
  }
  const decoded = decodeAll(settings, [
    { key: '{"id":1,"tenant":"a"}', value: '{"note":"x"}' },
    { key: '{"tenant":"b","id":2}', value: '{"id":20,"note":"y"}' },
    { key: '{"tenant":"b","id":2}', value: null },
  ])
  assert.deepEqual(shown(decoded), [
    [
      '+update tenant=a id=1 note=x',
      '+update tenant=b id=20 note=y',
      '-delete tenant=b id=2 note=null',
    ],
  ])
  const [change] = decoded.changes
  assert.ok(change !== undefined && 'batch' in change)
  assert.deepEqual(change.batch.schema.key, [1, 0])
})

test('text keys beside values of text, bytes keys beside bytes', () => {
  const text = decodeAll(
    { format: 'text', schema: { k: 'int64', v: 'text' }, key: ['k'], keyFormat: 'text' },
    [
      { key: '1', value: 'one' },
      { key: '1', value: null },
      { key: 'x', value: 'y' },
    ],
  )
  assert.deepEqual(shown(text), [['+update v=one k=1', '-delete v=null k=1']])
  assert.equal(text.rejected[0]?.batch.rows, 1)
  const bytes = decodeAll(
    { format: 'bytes', schema: { k: 'bytes' }, key: ['k'], keyFormat: 'bytes' },
    [
      { key: 'k', value: 'v' },
      { key: 'k', value: null },
    ],
  )
  assert.deepEqual(shown(bytes), [['+update value=\\x76 k=\\x6b', '-delete value=null k=\\x6b']])
})

test('tombstones are passed over where that is wanted, and need to be readable where not', () => {
  const records = [
    { key: '1', value: null },
    { key: '1', value: '{"id":1,"amount":1}' },
  ]
  const ignored = decodeAll({ format: 'json', schema, tombstones: 'ignore' }, records)
  assert.deepEqual(
    [shown(ignored), ignored.rejected],
    [[['+insert id=1 name=null amount=1.00']], []],
  )
  const unread = decodeAll({ format: 'json', schema, key: ['id'] }, records)
  assert.match(reasons(unread)[0]!, /without key_format nothing tells which row it deletes/)
})

test('a key may be an extra column', () => {
  const decoder = new PlainDecoder({
    topic: 'orders',
    value: new JsonFormat(fieldsOf({ name: 'text?' })),
    key: null,
    keyColumns: ['at_offset'],
    extra: [offset],
    tombstones: 'delete',
  })
  decoder.decode(recordsOf([{ value: '{"name":"a"}' }, { value: null }]), 0)
  assert.deepEqual(shown(decoder.take()), [
    ['+update name=a at_offset=100', '-delete name=null at_offset=101'],
  ])
})

test('the schema comes first, as a batch of no rows where there are none', () => {
  const decoder = plainDecoder('orders', { format: 'json', schema }, [])
  const [first] = shown(decoder.take())
  assert.deepEqual(first, [])
  assert.deepEqual(decoder.take().changes, [])
  decoder.decode(recordsOf([{ value: '{"id":1,"amount":1}' }]), 0)
  assert.equal(decoder.rows, 1)
  assert.ok(decoder.byteLength > 0)
  assert.equal(decoder.take().changes.length, 1)
  assert.deepEqual([decoder.rows, decoder.byteLength], [0, 0])
})

test('columns that contradict each other are told before the first record', () => {
  const clash = plainDecoder('orders', { format: 'json', schema: { at_offset: 'int64' } }, [offset])
  assert.throws(
    () => clash.take(),
    (error) => error instanceof SluiceError && error.code === 'format.schema',
  )
  const noKey = plainDecoder('orders', { format: 'json', schema, key: ['nope'] }, [])
  assert.throws(() => noKey.decode(recordsOf([{ value: '{}' }]), 0), /nope/)
})
