/** A renamed column whose new name was agreed to: what is served goes on under it, and lives as long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import {
  evolve,
  hashOf,
  keyOf,
  openFeast,
  schemaOf,
  servers,
  signal,
  sinkBatch,
  withRedis,
} from './support.ts'

const topic = 'src.orders'
const before = schemaOf({ id: 'int64', n: 'int64', m: 'int64' }, ['id'])
const after = schemaOf({ id: 'int64', n: 'int64', amount: 'int64' }, ['id'])
const rename = { kind: 'rename', from: before.fields[2]!, to: after.fields[2]! } as const
const fieldOf = (name: string): string => Buffer.from(featureField('v', name)).toString('hex')

for (const { name: kindOfServer, options } of servers) {
  const { version } = options
  for (const ttl of [undefined, '1d']) {
    const kind = ttl === undefined ? 'for ever' : 'for a day'
    test(`${kindOfServer}: features that live ${kind} move to their new name (invariant 5)`, async (t) => {
      const settings = { ...options.settings, appendonly: 'no' }
      await withRedis(t, { ...options, settings }, async (server, redis) => {
        await using sink = await openFeast(server.url, { v: ttl === undefined ? {} : { ttl } })
        await evolve(sink, topic, before)
        const timesUs = Date.now() * 1000
        const rows = [1n, 2n].map((id) => ({ values: { id, n: 5n, m: id + 6n }, timeUs: timesUs }))
        await sink.write(sinkBatch(topic, before, rows), signal)
        // A row that came under the new name meanwhile, from a process that went on earlier.
        const newer = Buffer.from('2009', 'hex')
        await redis.hset(keyOf(2), Buffer.from(featureField('v', 'amount')), newer)
        const liveMs = async (name: string): Promise<number> =>
          version === 'redis-7'
            ? 0
            : (
                (await redis.call(
                  'HPEXPIRETIME',
                  keyOf(1),
                  'FIELDS',
                  1,
                  Buffer.from(featureField('v', name)),
                )) as number[]
              )[0]!
        const wasMs = await liveMs('m')
        if (version !== 'redis-7') assert.equal(wasMs > 0, ttl !== undefined)
        for (let again = 0; again < 2; again++) {
          await sink.evolve(topic, { from: before, to: after, agreed: [rename] }, signal)
          const [first, second] = [await hashOf(redis, 1), await hashOf(redis, 2)]
          assert.equal(first[fieldOf('amount')], '2007')
          assert.equal(second[fieldOf('amount')], '2009')
          for (const found of [first, second]) {
            assert.equal(found[fieldOf('m')], undefined)
            assert.equal(found[fieldOf('n')], '2005')
          }
        }
        assert.equal(await liveMs('amount'), wasMs)
      })
    })
  }
}
