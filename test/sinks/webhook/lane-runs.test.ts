/** The lanes of a batch that has failed: nobody asks again and again whether they have ended (invariant 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LaneRuns } from '../../../sinks/webhook/lane-runs.ts'
import { failsWith } from '../../support/fails-with.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { forever } from './support.ts'

test('after an error no lane is begun, and those under way are waited for without turning', async (t) => {
  const turns = t.mock.method(globalThis, 'setImmediate')
  let end = (): void => {}
  let begun = 0
  const running = new LaneRuns(forever, { lanesMax: 2, bounded: false }).all(10, (index) => {
    begun++
    if (index === 0) {
      return Promise.reject(new SluiceError('sink.webhook.busy', { message: 'no room' }))
    }
    return new Promise((resolve) => {
      end = resolve
    })
  })
  const over = assert.rejects(running, failsWith('sink.webhook.busy'))
  await sleep(50)
  assert.ok(turns.mock.callCount() <= 2, `${turns.mock.callCount()} turns`)
  end()
  await over
  assert.equal(begun, 2)
})
