/**
 * Debezium's settings for decimals, times and intervals, and what it writes of the types that it has no
 * better way for: each setting of one table gives the same values, as far as Debezium kept them. Attacks
 * invariant 9 (exact values).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { DebeziumSettings } from '../../../../connectors/kafka/debezium/settings.ts'
import { changesOf, decodeAll, decoderOf, folded, lastBatch, schemaTexts } from './decoding.ts'
import { recording, recordsOf, RecordedRegistry, type Form } from './recordings.ts'

const variants = ['more', 'texts', 'connect'] as const
type Variant = (typeof variants)[number]
type Values = Readonly<Record<string, string | null>>

const one: Values = {
  id: '1',
  bt: '5',
  vb: '5',
  ip: '10.1.2.3/24',
  mo: '12.34',
  p: '(1.5,-2)',
  r: '[1,5)',
  us: '{11111111-2222-3333-4444-555555555555}',
  ls: '{9223372036854775807,NULL}',
  ns: '{1.50,-0.01}',
  dd: '{2026-01-31}',
  d: '2026-01-31',
  ts: '2026-01-31 12:34:56.123456',
  ts3: '2026-01-31 12:34:56.1',
  tstz: '2026-01-31 11:34:56.5+00',
  tz: '10:00:00+00',
  tm: '12:34:00',
  tm3: '12:34:56.5',
  // Debezium counts a month as 30.4375 days; only as text it keeps them apart.
  iv: '10159:05:06.7',
  num: '-0.01',
  free: '123456.789',
  by: '\\x00ff',
  f4: 'Infinity',
  f8: 'NaN',
  i2: '1',
  u: '11111111-2222-3333-4444-555555555555',
  j: '{"a": 1.50}',
}
const differently: Readonly<Record<Variant, Values>> = {
  more: {},
  texts: { iv: '1 year 2 mons -3 days +04:05:06.7', by: '00ff' },
  // As doubles, and without the microseconds.
  connect: { ts: '2026-01-31 12:34:56.123', ns: '{1.5,-0.01}' },
}
const types: Readonly<Record<string, string>> = {
  bt: 'uint64?',
  mo: 'decimal?',
  p: 'other(point)?',
  us: 'list<uuid>?',
  ns: 'list<decimal(6,2)>?',
  dd: 'list<date>?',
  num: 'decimal(12,2)?',
  iv: 'interval?',
  ts: 'timestamp?',
  i2: 'int16',
}
const typesDifferently: Readonly<Record<Variant, Values>> = {
  more: {},
  texts: { mo: 'text?', ns: 'list<text>?', num: 'text?' },
  connect: { mo: 'float64?', ns: 'list<float64>?', num: 'float64?' },
}

const mysqlOne: Values = {
  id: '1',
  t1: '1',
  u8: '-1',
  num: '-0.01',
  wide: '0.5000000000',
  d: '2026-01-31',
  tm: '23:59:59.999999',
  tm0: '-838:59:59',
  dt: '2026-01-31 12:34:56.123456',
  dt3: '2026-01-31 12:34:56.1',
  dt0: '1000-01-01 00:00:00',
  ts: '2026-01-31 12:34:56.123456+00',
  ts0: '2026-01-31 12:34:56+00',
  y: '2026',
  by_: '\\x00ff',
  b1: 't',
  b9: '257',
  b64: '9223372036854775809',
  e: 'b',
  s: 'x,y',
  j: '{"a": 9007199254740993}',
  p: '\\x0101000020e61000000000000000000040000000000000f03f',
  f4: '1.5',
  f8: '0.1',
}
/** Negative times are null in Debezium's own types of time but the default one. */
const mysqlDifferently: Readonly<Record<Variant, Values>> = {
  more: {},
  texts: { u8: '18446744073709551615', tm0: null, by_: '00ff' },
  connect: {
    u8: '18446744073709551615',
    wide: '0.5',
    tm: '23:59:59.999',
    tm0: null,
    dt: '2026-01-31 12:34:56.123',
  },
}

describe('settings of Debezium', () => {
  let known: RecordedRegistry
  before(async () => {
    known = await RecordedRegistry.start()
  })
  after(() => known[Symbol.asyncDispose]())

  const decoded = async (
    file: string,
    topic: string,
    form: Form,
    settings: Partial<DebeziumSettings> = {},
  ) => {
    const records = recording(file).filter((each) => each.topic === topic && each.form === form)
    const decoder = decoderOf(topic, settings, known.registry)
    const result = await decodeAll(decoder, recordsOf(records))
    assert.deepEqual(
      result.rejected.flatMap(({ errors }) => errors.map(String)),
      [],
    )
    return result
  }

  for (const variant of variants) {
    for (const form of ['json_schemas', 'avro'] as const) {
      test(`PostgreSQL, ${variant}, ${form}`, async () => {
        const result = await decoded(`postgres-${variant}`, 'shop.public.kinds', form)
        const changes = changesOf(result).filter((change) => change !== 'truncate')
        const expected = { ...one, ...differently[variant] }
        assert.deepEqual(changes[0]!.values, expected)
        const rows = folded(result, ['id'])
        assert.deepEqual(rows.get('11'), { ...expected, id: '11' })
        assert.equal(rows.has('1'), false)
        const found = schemaTexts(lastBatch(result))
        for (const [name, type] of Object.entries({ ...types, ...typesDifferently[variant] }))
          assert.equal(found[name], type, name)
        // Copied and streamed alike.
        for (const id of ['2', '12']) {
          const { d, ts, ts3, tstz } = rows.get(id)!
          assert.deepEqual([d, ts, ts3, tstz], ['-infinity', 'infinity', '-infinity', 'infinity'])
        }
        for (const id of ['4', '14']) {
          const { d, ts, ts3, tstz } = rows.get(id)!
          assert.deepEqual([d, ts, ts3, tstz], ['infinity', '-infinity', 'infinity', '-infinity'])
        }
        const { d, ts, ts3, tstz } = rows.get('13')!
        const us = variant === 'connect' ? '' : '.000004'
        assert.deepEqual(
          [d, ts, ts3, tstz],
          [
            '0044-03-15 BC',
            `0044-03-15 01:02:03${us} BC`,
            '12026-01-31 00:00:00',
            '0044-03-15 01:02:03+00 BC',
          ],
        )
      })

      test(`MySQL, ${variant}, ${form}; types that change, a column that goes`, async () => {
        const result = await decoded(`mysql-${variant}`, 'shop.shop.kinds', form)
        const changes = changesOf(result).filter((change) => change !== 'truncate')
        assert.deepEqual(changes[0]!.values, { ...mysqlOne, ...mysqlDifferently[variant] })
        const rows = folded(result, ['id'])
        assert.equal(rows.get('3')!['t1'], '70000')
        assert.equal(rows.get('4')!['y'], null)
        const found = schemaTexts(lastBatch(result))
        assert.equal(found['t1'], 'int32?')
        if (variant === 'more') {
          assert.equal(found['num'], 'decimal(20,2)')
          assert.equal(rows.get('3')!['num'], '123456789012345678.25')
        }
        assert.equal(
          found['u8'],
          { more: 'int64?', texts: 'decimal(20,0)?', connect: 'uint64?' }[variant],
        )
      })

      test(`values that were left out, ${variant}, ${form}`, async () => {
        const result = await decoded(`postgres-${variant}`, 'shop.public.toasts', form)
        const [change] = result.changes
        assert.ok(change !== undefined && 'batch' in change && result.changes.length === 1)
        const { batch, unchanged: bits, previous } = change
        const names = batch.schema.fields.map(({ name }) => name)
        // insert, update, delete of the old key, insert of the new one
        assert.deepEqual([...batch.weights], [1, 1, -1, 1])
        const marks = bits!.map((each) => each?.[0] ?? 0)
        assert.deepEqual(
          names.filter((_, i) => marks[i] === 0b1010),
          ['t', 'by', 'j', 'ts', 'is', 'ls'],
        )
        assert.deepEqual([...previous!], [-1, -1, -1, 2])
        const row = folded(result, ['id']).get('2')!
        assert.equal(row['n'], '2')
        assert.equal(row['t'], '0123456789'.repeat(400))
        assert.match(row['is']!, /^\{1,2,3,.*,1000\}$/)
      })

      test(`whole rows hold what is unchanged, ${variant}, ${form}`, async () => {
        const topic = 'shop.public.whole_toasts'
        const result = await decoded(`postgres-${variant}`, topic, form, { before: 'full' })
        const lines = changesOf(result).map(
          (change) =>
            change !== 'truncate' &&
            `${change.weight} ${change.values['id']} ${change.values['n']} ${change.values['t']!.length}`,
        )
        assert.deepEqual(lines, [
          '1 1 1 4000',
          '-1 1 1 4000',
          '1 1 2 4000',
          '-1 1 2 4000',
          '1 2 2 4000',
          '-1 2 2 4000',
        ])
      })
    }

    test(`a table without key, followed by whole rows, ${variant}`, async () => {
      const result = await decoded(`mysql-${variant}`, 'shop.shop.nokey', 'avro', {
        before: 'full',
      })
      const lines = changesOf(result).map(
        (change) => change !== 'truncate' && `${change.weight} ${change.values['t']}`,
      )
      assert.deepEqual(lines, ['1 a', '-1 a', '1 b', '-1 b'])
    })
  }

  test('the pipeline file may know better what a column is', async () => {
    const schema = {
      u8: 'uint64?',
      t1: 'int64?',
      num: 'decimal(30,4)',
      b1: 'bool?',
      dt: 'timestamptz?',
    }
    for (const form of ['json_schemas', 'avro'] as const) {
      for (const variant of ['more', 'texts'] as const) {
        const result = await decoded(`mysql-${variant}`, 'shop.shop.kinds', form, { schema })
        const found = schemaTexts(lastBatch(result))
        for (const [name, type] of Object.entries(schema)) assert.equal(found[name], type)
        const row = folded(result, ['id']).get('11')!
        assert.equal(row['u8'], '18446744073709551615')
        assert.equal(row['num'], '-0.0100')
        if (variant === 'more') assert.equal(row['dt'], '2026-01-31 12:34:56.123456+00')
      }
    }
  })

  test('and is told where it cannot be right', async () => {
    await assert.rejects(
      decoded('mysql-more', 'shop.shop.kinds', 'json_schemas', { schema: { b1: 'uuid' } }),
      {
        code: 'format.schema',
        fault: 'config',
        message: /b1 cannot be uuid, Debezium writes it as boolean/,
      },
    )
  })
})
