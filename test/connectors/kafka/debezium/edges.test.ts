/**
 * What recordings do not have: tombstones without their delete, restarts between the two, keys that are no
 * structs, batches that end in the middle of a change of a key, other placeholders, old converters.
 * Attacks invariants 5 (nothing vanishes) and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Decoded } from '../../../../core/connector/format/format.ts'
import { changesOf, decodeAll, decoderOf, lastBatch, unchanged } from './decoding.ts'
import { recording, recordsOf, RecordedRegistry, type Form, type Recorded } from './recordings.ts'

const all = recording('postgres')
const more = recording('postgres-more')
const of = (topic: string, form: Form, from = all): readonly Recorded[] =>
  from.filter((record) => record.topic === topic && record.form === form)

interface Given {
  readonly key?: unknown
  readonly value?: unknown
  readonly headers?: Recorded['headers']
}

function given(records: readonly Given[]): readonly Pick<Recorded, 'key' | 'value' | 'headers'>[] {
  const bytesOf = (value: unknown): Buffer | null => {
    if (value === undefined || value === null) return null
    return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  }
  return records.map(({ key, value, headers = {} }) => ({
    key: bytesOf(key),
    value: bytesOf(value),
    headers,
  }))
}

const schema = { id: 'int64', t: 'text?' }
const create = (id: number, t: string | null = null): Given => ({
  key: { id },
  value: { before: null, after: { id, t }, op: 'c', ts_ms: 1 },
})
const remove = (id: number): Given => ({
  key: { id },
  value: { before: { id, t: null }, after: null, op: 'd', ts_ms: 1 },
})
const tombstone = (id: number): Given => ({ key: { id } })

function lines(decoded: Decoded): readonly string[] {
  return changesOf(decoded).map((change) =>
    change === 'truncate'
      ? change
      : `${change.weight} ${change.op} ${Object.values(change.values).join(' ')}`.trimEnd(),
  )
}

function reasons({ rejected }: Decoded): readonly string[] {
  return rejected.flatMap(({ errors }) => errors.map(({ code, message }) => `${code} ${message}`))
}

test('columns that contradict each other stop at their record; those before it come once', async () => {
  const described = (b: string, value: unknown): Given => {
    const fields = [
      { field: 'id', type: 'int64' },
      { field: 'b', type: b },
    ]
    const row = { type: 'struct', optional: true, fields }
    const op = { field: 'op', type: 'string' }
    const envelope = { type: 'struct', fields: [{ ...row, field: 'after' }, op] }
    return { value: { schema: envelope, payload: { after: { id: 1, b: value }, op: 'c' } } }
  }
  const decoder = decoderOf('t', { schema: { b: 'uuid' }, key: ['id'] })
  const uuid = '00000000-0000-0000-0000-000000000001'
  const records = recordsOf(given([described('string', uuid), described('int64', 5)]))
  assert.equal(decoder.decode(records, 0), 1)
  await decoder.prepare(new AbortController().signal)
  for (let i = 0; i < 2; i++)
    assert.throws(() => decoder.decode(records, 1), { code: 'format.schema', fault: 'config' })
  assert.deepEqual(lines(decoder.take()), [`1 insert 1 ${uuid}`])
})

describe('tombstones', () => {
  test('alone they delete; behind their delete they are no second one', async () => {
    const decoder = decoderOf('t', { schema })
    const decoded = await decodeAll(
      decoder,
      recordsOf(
        given([
          create(1),
          tombstone(1),
          create(2),
          remove(2),
          tombstone(2),
          tombstone(2),
          create(3),
          remove(3),
          tombstone(1),
        ]),
      ),
    )
    assert.deepEqual(lines(decoded), [
      '1 insert 1',
      '-1 delete 1',
      '1 insert 2',
      '-1 delete 2',
      '-1 delete 2',
      '1 insert 3',
      '-1 delete 3',
      '-1 delete 1',
    ])
    assert.equal(decoder.passedOver, 1)
    assert.deepEqual(reasons(decoded), [])
  })

  test('each partition has its own last delete', async () => {
    const decoder = decoderOf('t', { schema })
    decoder.decode(recordsOf(given([create(1), remove(1)]), { partition: 0 }), 0)
    decoder.decode(recordsOf(given([create(2), remove(2)]), { partition: 1 }), 0)
    decoder.decode(recordsOf(given([tombstone(1)]), { partition: 0 }), 0)
    decoder.decode(recordsOf(given([tombstone(2)]), { partition: 1 }), 0)
    assert.equal(decoder.passedOver, 2)
    assert.equal(lines(decoder.take()).length, 4)
  })

  test('as the old JsonConverter writes them, with a schema of nothing', async () => {
    const decoder = decoderOf('t', { schema })
    const nothing = { schema: null, payload: null }
    const records = [create(1), remove(1), { ...tombstone(1), value: nothing }]
    const decoded = await decodeAll(decoder, recordsOf(given(records)))
    assert.deepEqual(lines(decoded), ['1 insert 1', '-1 delete 1'])
    assert.equal(decoder.passedOver, 1)
  })

  test('before: full: the first of a life is that of a delete before it; others are set aside', async () => {
    const decoder = decoderOf('t', { schema, before: 'full' })
    const records = [tombstone(1), create(2), tombstone(2)]
    const decoded = await decodeAll(decoder, recordsOf(given(records)))
    assert.deepEqual(lines(decoded), ['1 insert 2'])
    assert.match(reasons(decoded)[0]!, /^format\.tombstone t, partition 0, offset 2: .*before: key/)
  })

  test('tombstones: ignore passes them over', async () => {
    const decoder = decoderOf('t', { schema, tombstones: 'ignore' })
    const decoded = await decodeAll(decoder, recordsOf(given([create(1), tombstone(1)])))
    assert.deepEqual(lines(decoded), ['1 insert 1'])
    assert.equal(decoder.passedOver, 1)
  })

  test('before any row, by the rows behind it', async () => {
    for (const form of ['json_schemas', 'unwrapped_schemas'] as const) {
      const [first, second] = of('shop.public.pairs', form)
      const decoder = decoderOf('p', { unwrapped: form.startsWith('un') })
      const decoded = await decodeAll(decoder, recordsOf([{ ...first!, value: null }, second!]))
      assert.deepEqual(reasons(decoded), [])
      const [gone] = changesOf(decoded)
      assert.ok(gone !== undefined && gone !== 'truncate')
      assert.deepEqual([gone.weight, gone.values['a'], gone.values['b']], [-1, '1', 'x'])
    }
  })

  test('before any row, by the newest schema of the registry', async () => {
    await using known = await RecordedRegistry.start()
    const [first] = of('shop.public.pairs', 'avro')
    const id = first!.value!.readUInt32BE(1)
    await using told = await RecordedRegistry.start({ 'shop.public.pairs-value': id })
    const records = recordsOf([{ ...first!, value: null }])
    const decoder = decoderOf('shop.public.pairs', {}, told.registry)
    const decoded = await decodeAll(decoder, records)
    assert.deepEqual(lines(decoded), ['-1 delete 1 x'])

    const unknown = decoderOf('shop.public.pairs', {}, known.registry)
    const rejected = await decodeAll(unknown, records)
    assert.match(reasons(rejected)[0]!, /^format\.tombstone .*not known yet/)
    // Tried again once the columns are known, by a decoder of the same topic.
    await decodeAll(unknown, recordsOf([first!]))
    assert.deepEqual(lines(await decodeAll(unknown, records)), ['-1 delete 1 x'])
  })
})

describe('keys', () => {
  test('that are bare values, with the column in the pipeline file', async () => {
    for (const key of ['7', '{"schema":{"type":"int64","optional":false},"payload":7}']) {
      const decoder = decoderOf('t', { schema, key: ['id'] })
      const decoded = await decodeAll(
        decoder,
        recordsOf(given([{ ...create(7), key }, { key }, { ...remove(7), key }, { key }])),
      )
      assert.deepEqual(reasons(decoded), [], key)
      assert.deepEqual(lines(decoded), ['1 insert 7', '-1 delete 7', '-1 delete 7'])
    }
  })

  test('that are texts without quotes, as StringConverter writes them', async () => {
    const decoder = decoderOf('t', { schema, key: ['t'] })
    const records = [{ ...create(1, 'a b'), key: 'a b' }, { key: 'a b' }, { key: '"a b"' }]
    const decoded = await decodeAll(decoder, recordsOf(given(records)))
    assert.deepEqual(reasons(decoded), [])
    assert.deepEqual(lines(decoded), ['1 insert 1 a b', '-1 delete  a b', '-1 delete  a b'])
  })

  test('that are bare values, and nobody says of what: set aside', async () => {
    const decoder = decoderOf('t', { schema })
    const decoded = await decodeAll(decoder, recordsOf(given([{ ...create(7), key: '7' }])))
    assert.match(reasons(decoded)[0]!, /^format\.key .*say in `key` which columns/)
  })

  test('whose columns the rows do not have: stops, and says so', async () => {
    const decoder = decoderOf('t', { schema })
    await assert.rejects(decodeAll(decoder, recordsOf(given([{ ...create(7), key: { no: 7 } }]))), {
      code: 'format.schema',
      message: 't: key: the rows have no column no',
    })
  })

  test('a null in a key column is set aside', async () => {
    const decoder = decoderOf('t', { schema: { id: 'int64?', t: 'text?' } })
    const value = { before: null, after: { id: null, t: 'x' }, op: 'c' }
    const decoded = await decodeAll(
      decoder,
      recordsOf(given([create(1), { key: { id: 1 }, value }])),
    )
    assert.match(reasons(decoded)[0]!, /^format\.key .*id: a key column, is null/)
    assert.deepEqual(lines(decoded), ['1 insert 1'])
  })
})

describe('values that were left out', () => {
  test('a changed key whose delete was handed over before: set aside, since nobody knows the value', async () => {
    const records = of('shop.public.toasts', 'json_schemas', more)
    const decoder = decoderOf('shop.public.toasts')
    // insert, update, delete and tombstone of the old key
    await decodeAll(decoder, recordsOf(records.slice(0, 4)))
    const decoded = await decodeAll(decoder, recordsOf(records.slice(4)))
    assert.match(reasons(decoded)[0]!, /left out as unchanged while the key changed/)
  })

  test('in a table without key: set aside', async () => {
    const value = { before: null, after: { id: 1, t: '__debezium_unavailable_value' }, op: 'c' }
    const decoded = await decodeAll(decoderOf('t', { schema }), recordsOf(given([{ value }])))
    assert.match(reasons(decoded)[0]!, /without key nothing tells of which row/)
  })

  test('by another placeholder, and then the usual one is a text', async () => {
    const decoder = decoderOf('t', { schema, placeholder: 'GONE' })
    const texts = ['GONE', '__debezium_unavailable_value', 'GONE!']
    const decoded = await decodeAll(
      decoder,
      recordsOf(given(texts.map((text, i) => ({ ...create(i, text) })))),
    )
    assert.deepEqual(
      changesOf(decoded).map((change) => change !== 'truncate' && change.values['t']),
      [unchanged, '__debezium_unavailable_value', 'GONE!'],
    )
  })
})

describe('events', () => {
  test('an operation that there is not, a value that does not fit, no JSON: each set aside for itself', async () => {
    const value = { before: null, after: { id: 1, t: 'x' }, op: 'x' }
    const decoder = decoderOf('t', { schema })
    const decoded = await decodeAll(
      decoder,
      recordsOf(
        given([
          create(1),
          { key: { id: 1 }, value },
          { key: { id: 1 }, value: { before: null, after: { id: 'one' }, op: 'c' } },
          { key: { id: 1 }, value: '{"op":"c",' },
          { key: { id: 1 }, value: { id: 1, t: 'bare' } },
          { key: { id: 1 }, value: '\0\0\0\0\u0007xx' },
          { key: { id: 1 }, value: { before: null, after: null, op: 'c' } },
          create(2),
        ]),
      ),
    )
    assert.deepEqual(lines(decoded), ['1 insert 1', '1 insert 2'])
    const expected = [
      /^format\.value t, partition 0, offset 1: its `op`/,
      /^format\.field t, partition 0, offset 2: id: expected int64/,
      /^format\.value t, partition 0, offset 3: not JSON/,
      /^format\.value t, partition 0, offset 4: .*unwrapped: true/,
      /^format\.value t, partition 0, offset 5: .*`registry`/,
      /^format\.value t, partition 0, offset 6: it has no row in `after`/,
    ]
    const found = reasons(decoded)
    assert.equal(found.length, expected.length)
    expected.forEach((pattern, i) => assert.match(found[i]!, pattern))
  })

  test('one event without a schema among others that have theirs is set aside', async () => {
    const [first, second] = of('shop.public.pairs', 'json_schemas')
    const [bare] = of('shop.public.pairs', 'json')
    // `schema` says something of one column of three.
    const decoder = decoderOf('p', { schema: { n: 'int64?' } })
    const decoded = await decodeAll(decoder, recordsOf([first!, bare!, second!]))
    assert.match(reasons(decoded)[0]!, /^format\.value p, partition 0, offset 1: it has no schema/)
    assert.deepEqual(lines(decoded), ['1 snapshot 1 x 1', '1 insert 2 y 2'])
  })

  test('heartbeats are passed over, and a row of one column of that name is not', async () => {
    const decoder = decoderOf('t', { unwrapped: true, schema: { ts_ms: 'int64' }, key: ['ts_ms'] })
    const decoded = await decodeAll(decoder, recordsOf(given([{ value: { ts_ms: 5 } }])))
    assert.deepEqual(lines(decoded), ['1 update 5'])
    const other = decoderOf('__debezium-heartbeat.shop', {})
    const beats = recordsOf(given([{ key: { serverName: 'shop' }, value: { ts_ms: 5 } }]))
    assert.deepEqual(lines(await decodeAll(other, beats)), [])
    assert.equal(other.passedOver, 1)
  })

  test('unwrapped rows without their operation: rows of a key replace each other', async () => {
    const decoder = decoderOf('t', { unwrapped: true, schema })
    const records = [
      { key: { id: 1 }, value: { id: 1, t: 'a' } },
      { key: { id: 1 }, value: { id: 1, t: 'b', __deleted: 'false' } },
      { key: { id: 1 }, value: { id: 1, t: 'b', __deleted: true } },
      { key: { id: 1 } },
      { key: { id: 2 } },
    ]
    const decoded = await decodeAll(decoder, recordsOf(given(records)))
    assert.deepEqual(lines(decoded), ['1 update 1 a', '1 update 1 b', '-1 delete 1', '-1 delete 2'])
  })

  test('other names of the fields that say what became of a row', async () => {
    const decoder = decoderOf('t', {
      unwrapped: true,
      schema,
      opField: 'cdc_op',
      deletedField: 'gone',
    })
    const records = [
      { key: { id: 1 }, value: { id: 1, t: 'a', cdc_op: 'r', gone: 'false' } },
      { key: { id: 1 }, value: { id: 1, t: null, cdc_op: 'd', gone: 'true' } },
    ]
    const decoded = await decodeAll(decoder, recordsOf(given(records)))
    assert.deepEqual(lines(decoded), ['1 snapshot 1 a', '-1 delete 1'])
    assert.equal(lastBatch(decoded).schema.fields.length, 2)
  })

  test('a column that has become smaller again: older events are converted, or set aside one by one', async () => {
    const event = (type: string, id: number, n: number): Given => ({
      key: { id },
      value: {
        schema: {
          type: 'struct',
          fields: [
            {
              type: 'struct',
              field: 'after',
              optional: true,
              fields: [
                { type: 'int32', field: 'id', optional: false },
                { type, field: 'n', optional: true },
              ],
            },
            { type: 'string', field: 'op', optional: false },
          ],
        },
        payload: { before: null, after: { id, n }, op: 'c' },
      },
    })
    const decoder = decoderOf('t')
    const grown = await decodeAll(
      decoder,
      recordsOf(given([event('int32', 1, 5), event('int64', 2, 2 ** 40), event('int32', 3, 6)])),
    )
    assert.deepEqual(lines(grown), ['1 insert 1 5', `1 insert 2 ${2 ** 40}`, '1 insert 3 6'])
    const other = await decodeAll(
      decoder,
      recordsOf(given([event('string', 4, 0), event('int64', 5, 7)])),
    )
    // A text is none of the numbers; numbers are texts.
    assert.match(reasons(other)[0] ?? '', /n: expected text/)
    assert.deepEqual(lines(other), ['1 insert 5 7'])
  })
})
