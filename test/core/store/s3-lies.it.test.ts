/** A store that ignores If-None-Match (rclone 1.75.2) is refused at the first start: invariant 4. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLog } from '../../../core/log/log.ts'
import { openStore } from '../../../core/store/open.ts'
import { startS3 } from '../../services/s3.ts'
import { startOrSkip } from '../../support/service.ts'
import { failsWith } from '../../support/fails-with.ts'

const signal = new AbortController().signal

test('invariant 4: rclone 1.75.2 lets many creators win and is refused, each time', async (t) => {
  await using disposed = await startOrSkip(t, 'rclone', () => startS3('rclone'))
  if (disposed === null) return
  for (let start = 0; start < 5; start++) {
    await using store = openStore(`s3://${disposed.bucket}/log-${start}`, disposed.options)
    await assert.rejects(openLog(store, { signal }), failsWith('store.not_atomic', 'config'))
    // Nothing says that this store was ever found good.
    assert.equal(await store.get('format.json', signal), null)
  }
})
