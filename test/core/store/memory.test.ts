/** The memory store: the contract, its faults, and `openStore`'s URLs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { MemoryBucket, MemoryStore } from '../../../core/store/memory.ts'
import { openStore } from '../../../core/store/open.ts'
import { probeStore } from '../../../core/store/probe.ts'
import { withRetries } from '../../../core/store/retry.ts'
import type { ObjectStore } from '../../../core/store/store.ts'
import { storeContract } from './contract.ts'
import { failsWith } from '../../support/fails-with.ts'

const signal = new AbortController().signal
let stores = 0

storeContract('memory', () => ({
  open: () => openStore(`memory://contract-${stores++}`),
  racers: 16,
  rounds: 10,
}))

test('URLs: what each names, and those that name nothing', () => {
  assert.equal(openStore('file:///var/log').url, 'file:///var/log')
  const relative = openStore('file://./log', { baseFolder: '/base' })
  assert.equal(relative.url, 'file:///base/log')
  assert.equal(openStore('s3://bucket/a/b/').url, 's3://bucket/a/b')
  assert.equal(openStore('s3://bucket').url, 's3://bucket')
  for (const url of ['', 'ftp://x', 's3://', 'file://host/x', 'memory://', 's3:/b', 's3://b?x=1']) {
    assert.throws(() => openStore(url), failsWith('store.url_invalid'), url)
  }
})

test('the same memory name is the same store', async () => {
  await openStore('memory://shared').put('a', new Uint8Array([1]), signal)
  const found = await openStore('memory://shared').get('a', signal)
  assert.deepEqual(found?.bytes, new Uint8Array([1]))
})

test('faults: each kind happens, and a lost answer has its effect', async () => {
  const bucket = new MemoryBucket()
  const faulty = (chances: Partial<Record<'unavailable' | 'conflict' | 'lostAnswer', number>>) =>
    new MemoryStore('faults', bucket, {
      random: () => 0.5,
      turnsMax: 4,
      chances: { unavailable: 0, conflict: 0, lostAnswer: 0, ...chances },
    })
  const body = new Uint8Array([7])
  const unavailable = failsWith('store.unavailable')
  await assert.rejects(faulty({ unavailable: 1 }).create('k', body, signal), unavailable)
  await assert.rejects(faulty({ conflict: 1 }).create('k', body, signal), unavailable)
  assert.equal(bucket.objects.has('k'), false)
  await assert.rejects(faulty({ lostAnswer: 1 }).create('k', body, signal), unavailable)
  assert.equal(bucket.objects.has('k'), true)
})

/** A store whose create checks, waits, then writes: as rclone 1.75 and SeaweedFS before its #8801. */
class CheckThenWriteStore extends MemoryStore {
  override async create(
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<'created' | 'exists'> {
    if ((await this.get(key, signal)) !== null) return 'exists'
    await new Promise((resolve) => setImmediate(resolve))
    await this.put(key, bytes, signal)
    return 'created'
  }
}

/** One that tells the right winner and keeps another's bytes. */
class WrongBytesStore extends MemoryStore {
  override async create(
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<'created' | 'exists'> {
    const outcome = await super.create(key, bytes, signal)
    if (outcome === 'exists') await this.put(key, bytes, signal)
    return outcome
  }
}

test('invariant 4: stores that lie are refused with what they did', async () => {
  const lies: [ObjectStore, RegExp][] = [
    [new CheckThenWriteStore('a', new MemoryBucket()), /racing creators/],
    [new WrongBytesStore('b', new MemoryBucket()), /bytes/],
  ]
  for (const [store, message] of lies) {
    await assert.rejects(probeStore(store, signal), failsWith('store.not_atomic', message))
    assert.deepEqual(await store.list('', { limit: 10 }, signal), [])
  }
})

test('invariant 8: retries are bounded, jittered, and end with the signal', async () => {
  const slept: number[] = []
  const pacing = {
    random: () => 0.5,
    sleep: async (ms: number) => {
      slept.push(ms)
    },
  }
  const bounds = { attemptsMax: 4, baseMs: 100, capMs: 250 }
  let tries = 0
  const failing = (code: 'store.unavailable' | 'store.denied') => async () => {
    tries++
    throw new SluiceError(code, { message: 'x' })
  }
  await assert.rejects(
    withRetries(failing('store.unavailable'), bounds, pacing, signal),
    failsWith('store.unavailable'),
  )
  assert.deepEqual([tries, slept], [4, [50, 100, 125]])
  tries = 0
  await assert.rejects(withRetries(failing('store.denied'), bounds, pacing, signal))
  assert.equal(tries, 1)
  tries = 0
  await assert.rejects(
    withRetries(failing('store.unavailable'), bounds, pacing, AbortSignal.abort(new Error('no'))),
    /no/,
  )
  assert.equal(tries, 0)
})
