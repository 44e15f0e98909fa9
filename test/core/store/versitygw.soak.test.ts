/** The S3 store against versitygw, where races are quick enough to run many: invariant 4. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openStore } from '../../../core/store/open.ts'
import { probeStore } from '../../../core/store/probe.ts'
import { startS3, type S3Server } from '../../services/s3.ts'
import { missingService } from '../../support/env.ts'
import { storeContract } from './contract.ts'

const signal = new AbortController().signal
let server: S3Server | null = null
let missing: unknown = null
let stores = 0

before(async () => {
  try {
    server = await startS3('versitygw')
  } catch (error) {
    missing = error
  }
})
after(async () => server?.[Symbol.asyncDispose]())

test('versitygw is there', (t) => {
  if (server === null) missingService(t, 'versitygw', missing)
})

storeContract('versitygw', () =>
  server === null
    ? null
    : {
        open: () => openStore(`s3://${server!.bucket}/log-${stores++}`, server!.options),
        racers: 48,
        rounds: 60,
      },
)

test('the race probe passes, each time', async (t) => {
  if (server === null) return t.skip('service missing')
  await using store = openStore(`s3://${server.bucket}/probe`, server.options)
  for (let start = 0; start < 20; start++) await probeStore(store, signal)
  assert.deepEqual(await store.list('', { limit: 10 }, signal), [])
})
