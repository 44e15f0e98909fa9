/**
 * What records become, on real brokers: compression of all kinds, headers, keys, tombstones, transactions
 * that were aborted, gaps of compaction, records that do not fit. Attacks invariants 5 (nothing vanishes)
 * and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import kafkajs from 'kafkajs'
import { parsePosition } from '../../../connectors/kafka/position.ts'
import { newestAndOldest, startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { addCodecs } from '../../support/kafka-codecs.ts'
import { waitFor } from '../../support/env.ts'
import { idSchema, Life, numbered, range } from './support.ts'

const { CompressionTypes, Partitioners } = kafkajs
const plain = { createPartitioner: Partitioners.DefaultPartitioner }

for (const version of newestAndOldest) {
  describe(`records of Kafka ${version}`, () => {
    let cluster: KafkaCluster
    before(async () => {
      addCodecs()
      cluster = await startKafka({ version })
    })
    after(() => cluster[Symbol.asyncDispose]())
    const life = (topics: object, rest: object = {}): Promise<Life> =>
      Life.start({ brokers: cluster.brokers(), topics, ...rest })

    test('every codec', async () => {
      await cluster.createTopic('codecs', 2)
      const producer = cluster.client.producer({
        ...plain,
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      const types = [
        CompressionTypes.None,
        CompressionTypes.GZIP,
        CompressionTypes.Snappy,
        CompressionTypes.LZ4,
        // Known to brokers since 2.1.
        ...(version === '0.11' ? [] : [CompressionTypes.ZSTD]),
      ]
      for (const [i, compression] of types.entries()) {
        const messages = numbered(i * 500, 500)
        await producer.send({ topic: 'codecs', messages, compression })
      }
      await producer.disconnect()
      await using reading = await life({ codecs: idSchema })
      const count = types.length * 500
      await reading.count(count)
      const ids = reading.ids().toSorted((a, b) => Number(a) - Number(b))
      assert.deepEqual(ids, range(0, count))
    })

    test('headers, keys, offsets and times as columns; tombstones delete', async () => {
      await cluster.createTopic('keyed')
      await cluster.produce('keyed', [
        {
          key: '{"id":9007199254740993}',
          value: '{"note":"ü"}',
          headers: { a: ['1', 'é'], b: 'x' },
        },
        { key: '{"id":2}', value: '{"note":null}', timestamp: '1700000000123' },
        { key: '{"id":9007199254740993}', value: null },
        { key: 'no json', value: null },
        { key: '{"id":3}', value: '{"note":12' },
      ])
      await using reading = await life({
        keyed: {
          schema: { id: 'int64', note: 'text?' },
          key: ['id'],
          key_format: 'json',
          columns: {
            o: 'offset',
            p: 'partition',
            t: 'timestamp',
            k: 'key',
            h: 'headers',
            a: 'header.a',
          },
        },
      })
      await reading.until('all', () => reading.rejected.length === 2 && reading.rows.length === 3)
      const [first, second, third] = reading.rows
      assert.deepEqual(first!.values.slice(0, 4), ['9007199254740993', 'ü', '0', '0'])
      assert.deepEqual(first!.values.slice(5), [
        '{"id":9007199254740993}',
        '[["a","1"],["a","é"],["b","x"]]',
        'é',
      ])
      assert.equal(second!.values[4], '2023-11-14 22:13:20.123+00')
      assert.equal(third!.weight, -1)
      assert.equal(third!.values[0], '9007199254740993')
      assert.ok(reading.rejected.every(({ topic }) => topic === 'keyed'))
      // The position is behind the rejected ones.
      assert.deepEqual(parsePosition(reading.position!).topics.get('keyed')?.next, [5])
    })

    test('aborted transactions leave nothing, and the position passes their markers', async () => {
      await cluster.createTopic('transactions')
      const producer = (id: string) =>
        cluster.client.producer({
          ...plain,
          transactionalId: id,
          idempotent: true,
          maxInFlightRequests: 1,
        })
      const [one, two] = [producer('one'), producer('two')]
      await Promise.all([one.connect(), two.connect()])
      const expected: string[] = []
      await using reading = await life({ transactions: idSchema })
      // Interleaved on one partition; every other one is aborted, the last included.
      for (let round = 0; round < 6; round++) {
        const [left, right] = [await one.transaction(), await two.transaction()]
        const from = round * 100
        const send = (transaction: kafkajs.Transaction, at: number) =>
          transaction.send({ topic: 'transactions', messages: numbered(at, 10) })
        await send(left, from)
        await send(right, from + 10)
        await cluster.produce('transactions', numbered(from + 50, 5))
        await send(left, from + 20)
        await (round % 2 === 0 ? left.commit() : left.abort())
        await right.abort()
        expected.push(...range(from + 50, 5))
        if (round % 2 === 0) expected.push(...range(from, 10), ...range(from + 20, 10))
      }
      await Promise.all([one.disconnect(), two.disconnect()])
      await reading.count(expected.length)
      assert.deepEqual(reading.ids().toSorted(), expected.toSorted())
      // In the order of their offsets: of each transaction and beside them.
      const seen = reading.ids().map(Number)
      assert.deepEqual(
        seen.filter((id) => id % 100 < 30),
        expected
          .map(Number)
          .filter((id) => id % 100 < 30)
          .toSorted((a, b) => a - b),
      )
      const [end] = await cluster.admin.fetchTopicOffsets('transactions')
      await reading.until('the markers to be passed', () => {
        const { topics } = parsePosition(reading.position!)
        return topics.get('transactions')?.next[0] === Number(end!.high)
      })
    })

    test('an open transaction holds what is behind it', async () => {
      await cluster.createTopic('open')
      const writer = cluster.client.producer({
        ...plain,
        transactionalId: 'open',
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await writer.connect()
      const transaction = await writer.transaction()
      await transaction.send({ topic: 'open', messages: numbered(0, 3) })
      await cluster.produce('open', numbered(3, 3))
      await using reading = await life({ open: idSchema })
      await reading.until('the source to read', () => reading.status.state === 'running')
      await new Promise((resolve) => setTimeout(resolve, 1500))
      assert.equal(reading.rows.length, 0)
      await transaction.commit()
      await writer.disconnect()
      await reading.count(6)
      assert.deepEqual(reading.ids(), range(0, 6))
    })

    test('gaps that compaction leaves', async () => {
      await cluster.createTopic('compacted', 1, {
        'cleanup.policy': 'compact',
        'segment.ms': '100',
        'min.cleanable.dirty.ratio': '0.01',
        'delete.retention.ms': '0',
      })
      const keyed = (from: number, count: number) =>
        numbered(from, count).map(({ value }, i) => ({ key: `k${(from + i) % 50}`, value }))
      for (let round = 0; round < 10; round++) {
        await cluster.produce('compacted', keyed(round * 200, 200))
      }
      const total = 2000
      await using settling = new AsyncDisposableStack()
      let probe = total
      await waitFor('the cleaner to have been there', async () => {
        // A segment is closed by what comes after its time.
        await cluster.produce('compacted', keyed(probe++, 1))
        await using reading = await life({ compacted: idSchema })
        await reading.until('the end', () => reading.ids().includes(String(probe - 1)))
        return reading.rows.length < 300
      })
      await settling.disposeAsync()
      await using reading = await life({ compacted: idSchema })
      await reading.until('the end', () => reading.ids().includes(String(probe - 1)))
      const ids = reading.ids().map(Number)
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      )
      // The newest record of every key is there.
      for (let id = probe - 50; id < probe; id++) assert.ok(ids.includes(id), String(id))
      // From every position on, exactly the rest comes.
      for (const batch of reading.batches.slice(1, 4)) {
        await using again = await Life.start(
          { brokers: cluster.brokers(), topics: { compacted: idSchema } },
          batch.position,
        )
        const at = parsePosition(batch.position!).topics.get('compacted')!.next[0]!
        const rest = ids.filter((id) => id >= at)
        const last = rest.at(-1)
        await again.until('the end', () => last === undefined || again.ids().includes(`${last}`))
        // But for what the cleaner took in between: never the newest record of a key.
        const came = again.ids().map(Number)
        const gone = new Set(rest.filter((id) => id < probe - 50 && !came.includes(id)))
        assert.deepEqual(
          came,
          rest.filter((id) => !gone.has(id)),
        )
      }
    })
  })
}
