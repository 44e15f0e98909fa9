/** The receiver as a process of its own: what it took outlives it, and the sender gets it all there. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { SluiceError } from '../../core/errors/error.ts'
import { systemClock } from '../../core/connector/context.ts'
import { freePort, tempDir } from '../support/env.ts'
import {
  batchOf,
  forever,
  openSink,
  secret,
  sinkBatch,
  testContext,
} from '../sinks/webhook/support.ts'
import { readTaken, startReceiver, startReceiverProcess } from './webhook-receiver.ts'

test('killed in mid-batch and started again: every event is in the file (invariant 5)', async () => {
  using dir = tempDir('receiver')
  const file = join(dir.path, 'taken.jsonl')
  const rows = Array.from({ length: 300 }, (_, i) => ['+', 'insert', i, `name ${i}`] as const)
  const batch = sinkBatch(batchOf(rows))
  // None of those that the kernel gives away: it is used again after the kill.
  const port = await freePort()
  const failures = { rate: 0.1, seed: 3 }
  await using first = await startReceiverProcess({ secret, file, port, failures })
  const options = { retry: { base: '10ms', max: '20ms', attempts: 50 } }
  await using sink = await openSink(first.url, options, testContext(systemClock, Math.random))
  const write = sink.write(batch, forever)
  // A failure that nobody waits for yet is no unhandled one.
  write.catch(() => {})
  while (readTaken(file).length < 50) await new Promise((resolve) => setTimeout(resolve, 2))
  process.kill(first.pid, 'SIGKILL')
  await assert.rejects(
    write,
    (error) => error instanceof SluiceError && error.fault === 'transient',
  )
  await first[Symbol.asyncDispose]()
  await using second = await startReceiverProcess({ secret, file, port })
  for (let attempt = 2; ; attempt++) {
    try {
      assert.deepEqual(await sink.write({ ...batch, attempt }, forever), { rejected: [] })
      break
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || thrown.fault !== 'transient') throw thrown
      await new Promise((resolve) => setTimeout(resolve, thrown.retryAfterMs ?? 10))
    }
  }
  const ids = new Set(second.taken().map(({ id }) => id))
  assert.equal(ids.size, rows.length)
})

test('a wrong key is answered 401 and recorded nowhere', async () => {
  const other = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
  await using receiver = await startReceiver({ secret: other })
  await using sink = await openSink(receiver.url, { retry: { attempts: 1 } })
  const { rejected } = await sink.write(sinkBatch(batchOf([['+', 'insert', 1, 'a']])), forever)
  assert.match(rejected[0]?.message ?? '', /answered 401/)
  assert.deepEqual([receiver.unverified, receiver.requests.length], [1, 0])
})
