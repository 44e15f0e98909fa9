/** The pipeline file's words for Kafka: what is refused, and what a topic takes of its source. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { kafkaConfig, wantedOf } from '../../../connectors/kafka/config.ts'
import { inferKafkaSchema } from '../../../connectors/kafka/infer-schema.ts'
import { contextOf } from './support.ts'

const schema = { id: 'int64' }
const base = { brokers: ['k:9092'], topics: ['a'], schema }

function problems(input: object): readonly string[] {
  const { error } = kafkaConfig.safeParse({ ...base, ...input })
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('Kafka source in the pipeline file', () => {
  test('what is wrong is said where it stands, all of it', () => {
    const cases: [object, RegExp][] = [
      [{ topic: ['a'] }, /Unrecognized key/],
      [{ brokers: ['kafka://k:9092'] }, /^brokers\.0: expected host:port/],
      [{ brokers: [] }, /^brokers: /],
      [{ topics: [] }, /^topics/],
      [{ topics: {} }, /^topics: must not be empty/],
      [{ topics: ['a b'] }, /^topics/],
      [{ topics: ['a', 'a'] }, /^topics\.1: a is there twice/],
      [{ start: 'yesterday' }, /^start: /],
      [{ start: '2026-01-01T00:00:00' }, /^start: /],
      [{ start: 'group' }, /^start: `start: group` needs a `group`/],
      [{ topics: { a: { start: 'group' } } }, /^topics\.a\.start: .* needs a `group`/],
      [{ start: { b: { '0': 1 } } }, /^start\.b: no entry of `topics` fits/],
      [{ restart: { b: 'x' } }, /^restart\.b: no entry of `topics` fits/],
      [{ restart: { 'a*': 'x' } }, /^restart\.a\*: topics to read anew are named one by one/],
      [{ key: ['no'] }, /^key\.0: `schema` has no column no/],
      [{ topics: { a: { key: ['no'] } } }, /^topics\.a\.key\.0: /],
      [{ key: ['id'], tombstones: 'delete' }, /^tombstones: .*`key_format`/],
      [{ columns: { o: 'offsets' } }, /^columns\.o: expected offset, partition/],
      [{ columns: { id: 'offset' } }, /^columns\.id: is a column of `schema` already/],
      [{ format: 'avro', schema: undefined }, /^format: .*registry/],
      [{ metadata_interval: '1ms' }, /^metadata_interval: /],
      [{ fetch: { max_bytes: '1B' } }, /^fetch\.max_bytes: /],
      // A request counts as failed after 30 s.
      [{ fetch: { max_wait: '30s' } }, /^fetch\.max_wait: /],
    ]
    for (const [input, expected] of cases) {
      const found = problems(input)
      assert.ok(
        found.some((text) => expected.test(text)),
        `${JSON.stringify(input)}: ${found.join(' | ')}`,
      )
    }
    // Once, however many topics of a list it concerns.
    assert.equal(problems({ topics: ['a', 'b', 'c'], key: ['no'] }).length, 1)
  })

  test('a topic takes what it does not say itself', () => {
    const config = kafkaConfig.parse({
      ...base,
      topics: {
        'a*': null,
        ab: { start: 'latest', key: ['id'] },
        c: { schema: { x: 'text' }, key: [] },
      },
      key_format: 'json',
      key: ['id'],
      start: { c: { '1': 7 } },
      on_lost: 'earliest',
    })
    const wanted = wantedOf(config)
    assert.deepEqual(wanted.names, ['ab', 'c'])
    assert.deepEqual(wanted.patterns, ['a*'])
    assert.equal(wanted.settingsOf('b'), null)
    assert.deepEqual(wanted.settingsOf('ab')?.startOf('ab'), { kind: 'latest' })
    assert.deepEqual(wanted.settingsOf('abc')?.records.schema, schema)
    assert.deepEqual(wanted.settingsOf('c')?.startOf('c'), {
      kind: 'offsets',
      offsets: new Map([[1, 7]]),
    })
    assert.equal(wanted.settingsOf('c')?.onLost, 'earliest')
  })
})

test('infer: a topic that no entry fits is not said to be missing, and nobody is asked', async () => {
  const config = kafkaConfig.parse({ brokers: ['127.0.0.1:1'], topics: ['orders', 'clicks.*'] })
  const ask = (topic: string): Promise<unknown> =>
    inferKafkaSchema(config, { topic, recordsMax: 10 }, contextOf(), new AbortController().signal)
  await assert.rejects(ask('ordrs'), {
    message: 'Which topic? There are orders, clicks.*.',
    remedy: /did you mean "orders"/,
  })
  await assert.rejects(ask('clicks.a'), { code: 'source.kafka.unreachable' })
})
