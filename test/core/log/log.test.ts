/** Opening a log, its cache and its wake-ups. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObjectCache } from '../../../core/log/cache.ts'
import { checksum } from '../../../core/log/codec-object.ts'
import { openLog } from '../../../core/log/log.ts'
import { WakeUps } from '../../../core/log/wake.ts'
import { MemoryBucket, MemoryStore } from '../../../core/store/memory.ts'
import { signal } from './support.ts'
import { failsWith } from '../../support/fails-with.ts'

test('the race probe runs at the first start only; the file it leaves is readable', async () => {
  const bucket = new MemoryBucket()
  const operations: string[] = []
  const store = new MemoryStore('x', bucket, {
    random: () => 0.5,
    turnsMax: 0,
    chances: { unavailable: 0, conflict: 0, lostAnswer: 0 },
    before: async (operation, key) => void operations.push(`${operation} ${key}`),
  })
  const first = await openLog(store, { signal })
  assert.ok(operations.some((operation) => operation.startsWith('create probe/')))
  assert.deepEqual([...bucket.objects.keys()], ['format.json'], 'the probe leaves nothing behind')
  const content = JSON.parse(new TextDecoder().decode(bucket.objects.get('format.json'))) as object
  assert.deepEqual({ ...content, crc32c: 0 }, { format: 1, probe: first.probe, crc32c: 0 })
  operations.length = 0
  assert.deepEqual((await openLog(store, { signal })).probe, first.probe)
  assert.deepEqual(operations, ['get format.json'])
})

test('a log of another format is refused before anything else is read', async () => {
  const bucket = new MemoryBucket()
  const content = '{"format":2,"layout":"new"}'
  const line = `${content.slice(0, -1)},"crc32c":${checksum(Buffer.from(content))}}\n`
  bucket.objects.set('format.json', new TextEncoder().encode(line))
  await assert.rejects(
    openLog(new MemoryStore('x', bucket), { signal }),
    failsWith('log.format_unsupported', /has format 2, .* knows 1/),
  )
})

test('invariant 8: the cache is bounded in bytes and forgets what was used longest ago', () => {
  const cache = new ObjectCache(100)
  const object = (bytes: number): Uint8Array => new Uint8Array(bytes)
  cache.set('a', object(40))
  cache.set('b', object(40))
  assert.ok(cache.get('a') !== null)
  cache.set('c', object(40))
  assert.deepEqual([cache.get('a')?.length, cache.get('b'), cache.get('c')?.length], [40, null, 40])
  cache.set('huge', object(101))
  assert.equal(cache.get('huge'), null)
  cache.set('a', object(90))
  assert.deepEqual([cache.get('a')?.length, cache.get('c')], [90, null])
})

test('a wake-up between looking and waiting is not lost; others’ chains wake nobody', async () => {
  const wake = new WakeUps()
  const never = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  const seen = wake.version('a')
  wake.notify('a', 1)
  await wake.wait('a', seen, never, signal)
  let woken = false
  const waitForA = async (): Promise<void> => {
    await wake.wait('a', wake.version('a'), never, signal)
    woken = true
  }
  const waiting = waitForA()
  wake.notify('b', 1)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(woken, false)
  wake.notify('a', 1)
  await waiting
  const controller = new AbortController()
  const stopped = wake.wait('a', wake.version('a'), never, controller.signal)
  controller.abort(new Error('enough'))
  await assert.rejects(stopped, /enough/)
})
