/** The S3 store against SeaweedFS: the contract, the probe, and what a killed server looks like. */
import assert from 'node:assert/strict'
import { openStore } from '../../../core/store/open.ts'
import { probeStore } from '../../../core/store/probe.ts'
import { startS3 } from '../../services/s3.ts'
import { waitFor } from '../../support/env.ts'
import { sharedService } from '../../support/service.ts'
import { failsWith } from '../../support/fails-with.ts'
import { storeContract } from './contract.ts'

const signal = new AbortController().signal
const suite = sharedService('SeaweedFS', () => startS3())
let stores = 0

storeContract('s3', () =>
  suite.running === null
    ? null
    : {
        open: () => openStore(`s3://${suite.server.bucket}/log-${stores++}`, suite.server.options),
        // A contended key takes SeaweedFS one to three seconds.
        racers: 6,
        rounds: 2,
      },
)

suite.test('the race probe passes and leaves nothing behind', async (server) => {
  await using store = openStore(`s3://${server.bucket}/probe`, server.options)
  await probeStore(store, signal)
  assert.deepEqual(await store.list('', { limit: 10 }, signal), [])
})

suite.test('what the user has to mend is said as such, without a retry', async (server) => {
  const wrongKey = { ...server.options, secretAccessKey: 'wrong' }
  await using denied = openStore(`s3://${server.bucket}/x`, wrongKey)
  await assert.rejects(denied.get('a', signal), failsWith('store.denied'))
  await using absent = openStore('s3://no-such-bucket/x', server.options)
  await assert.rejects(absent.list('a', { limit: 1 }, signal), failsWith('store.bucket_missing'))
})

suite.test(
  'a store that is away is a transient error; the same client goes on when it is back',
  async (server) => {
    const pacing = { random: () => 0, sleep: async () => {} }
    await using store = openStore(`s3://${server.bucket}/away`, { ...server.options, pacing })
    await store.put('a', new Uint8Array([1, 2, 3]), signal)
    await server.kill()
    await assert.rejects(store.get('a', signal), failsWith('store.unavailable'))
    await assert.rejects(
      store.create('b', new Uint8Array(1), signal),
      failsWith('store.unavailable'),
    )
    await server.restart()
    await using patient = openStore(`s3://${server.bucket}/away`, server.options)
    // SeaweedFS answers 500 until all its parts found each other again.
    const found = await waitFor('the object', async () => (await patient.get('a', signal)) ?? false)
    assert.equal(found.bytes.length, 3)
  },
)
