/** The S3 store against SeaweedFS: the contract, the probe, and what a killed server looks like. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { openStore } from '../../../core/store/open.ts'
import { probeStore } from '../../../core/store/probe.ts'
import { startS3, type S3Server } from '../../services/s3.ts'
import { missingService, waitFor } from '../../support/env.ts'
import { storeContract } from './contract.ts'

const signal = new AbortController().signal
let server: S3Server | null = null
let missing: unknown = null
let stores = 0

before(async () => {
  try {
    server = await startS3()
  } catch (error) {
    missing = error
  }
})
after(async () => server?.[Symbol.asyncDispose]())

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof SluiceError && error.code === code

test('SeaweedFS is there', (t) => {
  if (server === null) missingService(t, 'SeaweedFS', missing)
})

storeContract('s3', () =>
  server === null
    ? null
    : {
        open: () => openStore(`s3://${server!.bucket}/log-${stores++}`, server!.options),
        // A contended key takes SeaweedFS one to three seconds.
        racers: 6,
        rounds: 2,
      },
)

test('the race probe passes and leaves nothing behind', async (t) => {
  if (server === null) return t.skip('service missing')
  await using store = openStore(`s3://${server.bucket}/probe`, server.options)
  await probeStore(store, signal)
  assert.deepEqual(await store.list('', { limit: 10 }, signal), [])
})

test('what the user has to mend is said as such, without a retry', async (t) => {
  if (server === null) return t.skip('service missing')
  const wrongKey = { ...server.options, secretAccessKey: 'wrong' }
  await using denied = openStore(`s3://${server.bucket}/x`, wrongKey)
  await assert.rejects(denied.get('a', signal), hasCode('store.denied'))
  await using absent = openStore('s3://no-such-bucket/x', server.options)
  await assert.rejects(absent.list('a', { limit: 1 }, signal), hasCode('store.bucket_missing'))
})

test('a store that is away is a transient error; the same client goes on when it is back', async (t) => {
  if (server === null) return t.skip('service missing')
  const pacing = { random: () => 0, sleep: async () => {} }
  await using store = openStore(`s3://${server.bucket}/away`, { ...server.options, pacing })
  await store.put('a', new Uint8Array([1, 2, 3]), signal)
  await server.kill()
  await assert.rejects(store.get('a', signal), hasCode('store.unavailable'))
  await assert.rejects(store.create('b', new Uint8Array(1), signal), hasCode('store.unavailable'))
  await server.restart()
  await using patient = openStore(`s3://${server.bucket}/away`, server.options)
  // SeaweedFS answers 500 until all its parts found each other again.
  const found = await waitFor('the object', async () => (await patient.get('a', signal)) ?? false)
  assert.equal(found.bytes.length, 3)
})
