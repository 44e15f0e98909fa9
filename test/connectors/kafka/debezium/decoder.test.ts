/**
 * What Debezium 3.6 wrote of a PostgreSQL 18 and a MySQL 9, decoded in each of its forms and compared with
 * what the tables held. Attacks invariants 5 (nothing vanishes) and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { DebeziumSettings } from '../../../../connectors/kafka/debezium/settings.ts'
import {
  changesOf,
  decodeAll,
  decoderOf,
  folded,
  lastBatch,
  schemaTexts,
  unchanged,
} from './decoding.ts'
import { recording, recordsOf, RecordedRegistry, type Form, type Recorded } from './recordings.ts'
import {
  itemColumns,
  itemEmpty,
  itemOne,
  itemThree,
  itemUnits,
  mysqlColumns,
  mysqlOne,
  mysqlUnits,
} from './tables.ts'

const forms: readonly Form[] = [
  'json',
  'json_schemas',
  'avro',
  'unwrapped',
  'unwrapped_schemas',
  'unwrapped_avro',
]
const all = { postgres: recording('postgres'), mysql: recording('mysql') }
const of = (database: keyof typeof all, topic: string, form: Form): readonly Recorded[] =>
  all[database].filter((record) => record.topic === topic && record.form === form)

/** What a form needs to be told. */
function settingsOf(
  form: Form,
  schema: Readonly<Record<string, string>>,
  epoch: DebeziumSettings['epoch'] = null,
): Partial<DebeziumSettings> {
  const unwrapped = form.startsWith('unwrapped')
  const isBare = form === 'json' || form === 'unwrapped'
  return isBare ? { unwrapped, schema, epoch } : { unwrapped }
}

describe('recordings of Debezium', () => {
  let known: RecordedRegistry
  before(async () => {
    known = await RecordedRegistry.start()
  })
  after(() => known[Symbol.asyncDispose]())

  for (const form of forms) {
    test(`PostgreSQL: all types, ${form}`, async () => {
      const settings = settingsOf(form, itemColumns, itemUnits)
      const told: number[] = []
      const decoder = decoderOf('shop.public.items', settings, known.registry, (records) => {
        told.push(records)
      })
      const decoded = await decodeAll(decoder, recordsOf(of('postgres', 'shop.public.items', form)))
      assert.deepEqual(decoded.rejected, [])
      // Of the two deletes; each is told once.
      assert.equal(decoder.passedOver, 2)
      decoder.take()
      assert.deepEqual(told, [2])
      const changes = changesOf(decoded).filter((change) => change !== 'truncate')
      assert.deepEqual(
        changes.map(({ weight, op, values }) => `${weight} ${op} ${values['id']}`),
        [
          '1 snapshot 1',
          '1 snapshot 2',
          '1 snapshot 3',
          '1 insert 11',
          '1 insert 12',
          '1 insert 13',
          '1 update 2',
          '1 update 2',
          '-1 delete 3',
          '1 insert 4',
          '-1 delete 1',
        ],
      )
      assert.deepEqual(own(changes[0]!.values), itemOne)
      assert.deepEqual(own(changes[2]!.values), itemThree)
      assert.deepEqual(own(changes[5]!.values), { ...itemThree, id: '13' })
      assert.deepEqual(own(changes[8]!.values), { ...itemEmpty, id: '3' })
      assert.equal(changes[7]!.values['t'], unchanged)
      const rows = folded(decoded, ['id'])
      assert.deepEqual([...rows.keys()].toSorted(), ['11', '12', '13', '2', '4'])
      const two = rows.get('2')!
      assert.equal(two['i4'], '7')
      assert.equal(two['t']!.length, 400 * 32)
      const { schema } = lastBatch(decoded)
      assert.equal(schema.changelog, 'upsert')
      assert.deepEqual(
        schema.key.map((i) => schema.fields[i]!.name),
        ['id'],
      )
      assert.deepEqual(own(schemaTexts(lastBatch(decoded))), itemColumns)
      // The commit's time, not that of its record.
      const [source] = of('postgres', 'shop.public.items', 'json')
      const event = JSON.parse(source!.value!.toString()) as { source: { ts_us: number } }
      assert.equal(changes[0]!.timeUs, event.source.ts_us)
    })

    test(`MySQL: all types, a truncated table, a column that is added, ${form}`, async () => {
      const settings = settingsOf(form, mysqlColumns, mysqlUnits)
      const decoder = decoderOf('shop.shop.items', settings, known.registry)
      const decoded = await decodeAll(decoder, recordsOf(of('mysql', 'shop.shop.items', form)))
      assert.deepEqual(decoded.rejected, [])
      const changes = changesOf(decoded)
      const [first] = changes
      assert.ok(first !== undefined && first !== 'truncate')
      const isEarly = !('more' in first.values)
      assert.deepEqual(own(first.values), isEarly ? without(mysqlOne, 'more') : mysqlOne)
      assert.deepEqual(own(schemaTexts(lastBatch(decoded))), mysqlColumns)
      const rows = folded(decoded, ['id'])
      // ExtractNewRecordState drops what empties a table.
      const isUnwrapped = form.startsWith('unwrapped')
      assert.equal(changes.includes('truncate'), !isUnwrapped)
      assert.deepEqual(
        [...rows.keys()].toSorted(),
        isUnwrapped ? ['11', '12', '3', '4', '5'] : ['5'],
      )
      assert.equal(rows.get('5')!['t'], 'after')
      assert.equal(rows.get('5')!['more'], '5')
    })

    test(`keys of two columns, in their order; a truncated table, ${form}`, async () => {
      const settings = settingsOf(form, { a: 'int32', b: 'text', n: 'int32?' })
      const decoder = decoderOf('shop.public.pairs', settings, known.registry)
      const decoded = await decodeAll(decoder, recordsOf(of('postgres', 'shop.public.pairs', form)))
      assert.deepEqual(decoded.rejected, [])
      const { schema } = lastBatch(decoded)
      assert.deepEqual(
        schema.key.map((i) => schema.fields[i]!.name),
        ['b', 'a'],
      )
      const rows = folded(decoded, ['b', 'a'])
      const isUnwrapped = form.startsWith('unwrapped')
      assert.deepEqual([...rows.keys()], isUnwrapped ? ['y 2', 'after 9'] : ['after 9'])
    })

    test(`a column that is added, and records of the schema before read after it, ${form}`, async () => {
      const topic = 'shop.public.full_rows'
      const columns = { id: 'int32', t: 'text?', n: 'decimal(9,3)?', more: 'int64?' }
      const records = of('postgres', topic, form)
      const decoder = decoderOf(topic, settingsOf(form, columns), known.registry)
      const decoded = await decodeAll(decoder, recordsOf(records))
      assert.deepEqual(decoded.rejected, [])
      const rows = folded(decoded, ['id'])
      assert.deepEqual(own(rows.get('1')!), {
        id: '1',
        t: 'one',
        n: '2.250',
        more: '9007199254740993',
      })
      assert.deepEqual([...rows.keys()].toSorted(), ['1', '3', '4'])
      // ALTER TABLE … ADD COLUMN more bigint DEFAULT 5: rows that were there have it without a change.
      const more = lastBatch(decoded).schema.fields.find(({ name }) => name === 'more')
      assert.equal(more?.oldRows, form === 'json' || form === 'unwrapped' ? undefined : '5')
      assert.equal(rows.get('3')!['n'], '-7.125')

      // From the middle on, and then all of it again, as after `restart`.
      const again = decoderOf(topic, settingsOf(form, columns), known.registry)
      await decodeAll(again, recordsOf(records.slice(6)))
      const replayed = await decodeAll(again, recordsOf(records))
      assert.deepEqual(replayed.rejected, [])
      assert.deepEqual(own(schemaTexts(lastBatch(replayed))), columns)
      assert.equal(replayed.changes.length, 1, 'one schema for all')
      const texts = (all: typeof rows): readonly unknown[] =>
        [...all].map(([id, row]) => [id, { more: null, ...own(row) }])
      assert.deepEqual(texts(folded(replayed, ['id'])), texts(rows))
    })

    test(`what is no row is passed over, ${form}`, async () => {
      const unwrapped = form.startsWith('unwrapped')
      for (const [database, topic] of [
        ['postgres', 'shop.transaction'],
        ['postgres', 'shop.message'],
        ['mysql', 'shop'],
        ['mysql', 'shop.transaction'],
      ] as const) {
        const records = of(database, topic, form)
        const decoder = decoderOf(topic, { unwrapped }, known.registry)
        const { changes, rejected } = await decodeAll(decoder, recordsOf(records))
        assert.deepEqual([changes.length, rejected.length], [0, 0])
        assert.equal(decoder.passedOver, records.length)
        assert.ok(records.length > 0)
      }
    })

    test(`handed over after every record, ${form}`, async () => {
      const topic = 'shop.public.items'
      const records = of('postgres', topic, form)
      const settings = settingsOf(form, itemColumns, itemUnits)
      const whole = await decodeAll(decoderOf(topic, settings, known.registry), recordsOf(records))
      const decoder = decoderOf(topic, settings, known.registry)
      const changes = []
      for (const [offset, record] of records.entries()) {
        const decoded = await decodeAll(decoder, recordsOf([record], { offset }))
        assert.deepEqual(decoded.rejected, [])
        changes.push(...decoded.changes)
      }
      assert.deepEqual(changesOf({ changes, rejected: [] }), changesOf(whole))
    })
  }

  for (const form of ['json', 'json_schemas', 'avro'] as const) {
    test(`whole rows before: what goes is the row as it was, ${form}`, async () => {
      const topic = 'shop.public.full_rows'
      const columns = { id: 'int32', t: 'text?', n: 'decimal(9,3)?', more: 'int64?' }
      const settings = { ...settingsOf(form, columns), before: 'full' } as const
      const decoder = decoderOf(topic, settings, known.registry)
      const decoded = await decodeAll(decoder, recordsOf(of('postgres', topic, form)))
      assert.deepEqual(decoded.rejected, [])
      assert.equal(lastBatch(decoded).schema.changelog, 'retract')
      const lines = changesOf(decoded).map((change) => {
        assert.ok(change !== 'truncate')
        const { id, t, n, more = null } = change.values
        return `${change.weight} ${change.op} ${[id, t, n, more].join(' ')}`.trimEnd()
      })
      assert.deepEqual(lines, [
        '1 snapshot 1 one 1.500',
        '1 snapshot 2 two',
        '-1 update 1 one 1.500',
        '1 update 1 one 2.250',
        '-1 delete 2 two',
        '1 insert 3  -7.125',
        '-1 update 1 one 2.250 5',
        '1 update 1 one 2.250 9007199254740993',
        '1 insert 4 new 1.000 2',
      ])
    })

    test(`a table without key: followed by whole rows, and else only added to, ${form}`, async () => {
      const topic = 'shop.public.keyless'
      const records = recordsOf(of('postgres', topic, form))
      const settings = settingsOf(form, { a: 'int32?', t: 'text?' })
      const full = decoderOf(topic, { ...settings, before: 'full' }, known.registry)
      const decoded = await decodeAll(full, records)
      assert.deepEqual(
        changesOf(decoded).map((change) => change !== 'truncate' && [change.weight, change.values]),
        [
          [1, { a: '1', t: 'a' }],
          [-1, { a: '1', t: 'a' }],
          [1, { a: '1', t: 'b' }],
        ],
      )
      const keyed = decoderOf(topic, settings, known.registry)
      const added = await decodeAll(keyed, records)
      assert.equal(lastBatch(added).schema.changelog, 'append')
      assert.equal(changesOf(added).length, 1)
      const [rejected] = added.rejected
      assert.match(rejected!.errors[0]!.message, /^shop\.public\.keyless, partition 0, offset 1: /)
      assert.match(rejected!.errors[0]!.message, /update in a topic without key/)

      const given = decoderOf(topic, { ...settings, key: ['a'] }, known.registry)
      const upserted = await decodeAll(given, records)
      assert.deepEqual(upserted.rejected, [])
      assert.deepEqual([...folded(upserted, ['a']).values()], [{ a: '1', t: 'b' }])
    })
  }

  test('the rows that an update says it replaces are not whole: set aside', async () => {
    const topic = 'shop.public.items'
    const decoder = decoderOf(topic, { before: 'full' }, known.registry)
    const { rejected } = await decodeAll(decoder, recordsOf(of('postgres', topic, 'avro')))
    const messages = rejected.flatMap(({ errors }) => errors.map(({ message }) => message))
    assert.ok(messages.length > 0)
    assert.ok(messages.every((message) => /before: full/.test(message)))
  })
})

/** Without the fields that ExtractNewRecordState adds. */
function own<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !name.startsWith('__')))
}

function without<T>(values: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(values).filter(([each]) => each !== name))
}
