/** The S3 store against versitygw, where races are quick enough to run many: invariant 4. */
import assert from 'node:assert/strict'
import { openStore } from '../../../core/store/open.ts'
import { probeStore } from '../../../core/store/probe.ts'
import { startS3 } from '../../services/s3.ts'
import { storeContract } from './contract.ts'
import { sharedService } from '../../support/service.ts'

const signal = new AbortController().signal
const suite = sharedService('versitygw', () => startS3('versitygw'))
let stores = 0

storeContract('versitygw', () =>
  suite.running === null
    ? null
    : {
        open: () => openStore(`s3://${suite.server.bucket}/log-${stores++}`, suite.server.options),
        racers: 48,
        rounds: 60,
      },
)

suite.test('the race probe passes, each time', async (server) => {
  await using store = openStore(`s3://${server.bucket}/probe`, server.options)
  for (let start = 0; start < 20; start++) await probeStore(store, signal)
  assert.deepEqual(await store.list('', { limit: 10 }, signal), [])
})
