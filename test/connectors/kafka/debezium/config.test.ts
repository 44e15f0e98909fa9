/** `format: debezium` in the pipeline file: what is refused, and what a sample of events proposes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inferSchema } from '../../../../core/connector/format/infer.ts'
import { kafkaConfig, wantedOf } from '../../../../connectors/kafka/config.ts'
import { debeziumSettings } from '../../../../connectors/kafka/debezium/config.ts'
import { eventRows } from '../../../../connectors/kafka/debezium/sample.ts'
import { decodeAll, decoderOf } from './decoding.ts'
import { recording, recordsOf } from './recordings.ts'

const base = { brokers: ['k:9092'], topics: ['a'], format: 'debezium' }

function problems(input: object): readonly string[] {
  const { error } = kafkaConfig.safeParse({ ...base, ...input })
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('Debezium in the pipeline file', () => {
  test('nothing has to be said beside the format', () => {
    assert.deepEqual(problems({}), [])
    const { records, keyed } = wantedOf(kafkaConfig.parse(base)).settingsOf('a')!
    assert.equal(keyed, true)
    const settings = debeziumSettings(records)
    assert.deepEqual(
      [settings.encoding, settings.unwrapped, settings.before],
      ['auto', false, 'key'],
    )
  })

  test('what is wrong is said where it stands', () => {
    const cases: [object, RegExp][] = [
      [{ encoding: 'avro' }, /^encoding: avro needs a `registry`/],
      [{ key_format: 'json' }, /^key_format: is not needed/],
      [{ unwrapped: true, before: 'full' }, /^before: unwrapped rows do not say/],
      [{ debezium: { op_field: 'x' } }, /^debezium\.op_field: is a field of unwrapped rows/],
      [{ debezium: { opfield: 'x' } }, /^debezium: Unrecognized key/],
      [{ csv: {} }, /^csv: is for format: csv/],
      [{ key: ['a', 'a'] }, /^key\.1: a is there twice/],
      [{ key: ['a'], schema: { a: 'int64?' } }, /^key\.0: a may be null/],
      [{ epoch: { a: 'ms' }, schema: { a: 'int64' } }, /^epoch\.a: no column/],
      [{ subject: 's' }, /^subject: is of a registry/],
      [
        { format: 'json', schema: { a: 'int64' }, unwrapped: true },
        /^unwrapped: is for format: debezium/,
      ],
      [
        { format: 'json', schema: { a: 'int64' }, before: 'full' },
        /^before: is for format: debezium/,
      ],
    ]
    for (const [input, expected] of cases) {
      const found = problems(input)
      assert.ok(
        found.some((problem) => expected.test(problem)),
        `${JSON.stringify(input)}: ${found.join(' | ')}`,
      )
    }
  })

  test('a topic may be of Debezium where its source is not, and the other way round', () => {
    const schema = { id: 'int64' }
    const topics = {
      a: { format: 'json', schema, key: ['id'], key_format: 'json' },
      b: { before: 'full' },
    }
    assert.deepEqual(problems({ topics, unwrapped: false }), [])
    const mixed = {
      format: 'json',
      topics: { a: { schema }, b: { format: 'debezium', unwrapped: true } },
    }
    assert.deepEqual(problems(mixed), [])
  })

  test('events without a schema, and none in the pipeline file: stops and says how to get one', async () => {
    const records = recording('postgres').filter(
      ({ form, topic }) => form === 'json' && topic.endsWith('.items'),
    )
    await assert.rejects(decodeAll(decoderOf('shop.public.items'), recordsOf(records)), {
      code: 'format.schema',
      fault: 'config',
      message: /no schema beside them/,
      remedy: /sluice schema infer/,
    })
    const { rows, described } = eventRows(
      records.flatMap(({ value }) => (value === null ? [] : [value])),
      { unwrapped: false },
    )
    assert.equal(described, 0)
    const { schema } = inferSchema({ format: 'json' }, rows)
    assert.equal(schema['id'], 'int64')
    assert.equal(schema['u'], 'uuid?')
    assert.equal(Object.keys(schema).length, 29)
  })

  test('of events that carry their schema nothing is proposed', () => {
    for (const form of ['json_schemas', 'avro']) {
      const values = recording('postgres').flatMap((record) =>
        record.form === form && record.value !== null ? [record.value] : [],
      )
      const { rows, described } = eventRows(values, { unwrapped: false })
      assert.deepEqual([rows.length, described], [0, values.length])
    }
  })
})
