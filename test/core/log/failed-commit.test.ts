/**
 * What becomes of a chain when its store fails in the middle: a commit that failed is not passed over by the
 * ones behind it, a fence whose answer was lost fences nobody of its own process, and whoever waits for a
 * store that does not answer can stop.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { commitKey } from '../../../core/log/keys.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { failsWith } from '../../support/fails-with.ts'
import { bulk, chain, openWriter, readFrom, rows, signal, testLog } from './support.ts'

const away = new SluiceError('store.unavailable', { message: 'away' })

test('invariant 5: behind a commit that failed none gets into the chain, whenever it was called', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const { store } = world.log
  const create = store.create.bind(store)
  store.create = async (key, bytes, abort) => {
    if (key.startsWith('seg/')) throw away
    return create(key, bytes, abort)
  }
  const large = {
    entries: [{ kind: 'rows', topic: 'a', batch: bulk(5000, 1000) }],
    position: '1',
  } as const
  const small = {
    entries: [{ kind: 'rows', topic: 'a', batch: rows(0, 1) }],
    position: '2',
  } as const
  const outcomes = await Promise.allSettled([
    writer.commit(large, signal),
    writer.commit(small, signal),
  ])
  store.create = create
  outcomes.push(...(await Promise.allSettled([writer.commit(small, signal)])))
  for (const outcome of outcomes) {
    assert.ok(outcome.status === 'rejected' && failsWith('store.unavailable')(outcome.reason))
  }
  assert.equal((await readFrom(world, 1)).length, 1, 'the fence alone')
  await using next = await openWriter(world)
  assert.equal((await next.commit(small, signal)).position, '2')
})

test('invariant 4: a fence of this process that arrives late fences nobody of this process', async () => {
  const world = await testLog()
  const { store } = world.log
  const create = store.create.bind(store)
  let fence: Uint8Array | null = null
  store.create = async (_key, bytes) => {
    fence = bytes
    throw away
  }
  await assert.rejects(openWriter(world, 'lost'), failsWith('log.commit_unresolved'))
  store.create = async (key, bytes, abort) => {
    // Only now, between the look at the chain and the next fence.
    if (fence !== null) world.bucket.objects.set(commitKey(chain, 1), fence)
    fence = null
    return create(key, bytes, abort)
  }
  await using writer = await openWriter(world)
  const { seq } = await writer.commit({ entries: [] }, signal)
  assert.deepEqual(
    (await readFrom(world, 1)).map(({ writer: by, epoch }) => [by, epoch]),
    [
      ['lost', 1],
      ['w', 2],
      ['w', 2],
    ],
  )
  assert.equal(seq, 3)
})

test('invariant 8: who waits for a commit that was asked for ahead can stop', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  for (let i = 0; i < 3; i++) await writer.commit({ entries: [] }, signal)
  const other = await testLog(world.bucket)
  const { store } = other.log
  const get = store.get.bind(store)
  store.get = async (key, abort, range) => {
    if (key !== commitKey(chain, 3)) return get(key, abort, range)
    return new Promise((_, reject) => {
      abort.addEventListener('abort', () => reject(abort.reason as Error))
    })
  }
  await using reader = ChainReader.open(other.log, chain, 1)
  await reader.next(signal)
  await reader.next(signal)
  const controller = new AbortController()
  const waiting = reader.next(controller.signal)
  controller.abort(new Error('enough'))
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('it goes on waiting')), 5000).unref()
  })
  await assert.rejects(Promise.race([waiting, late]), /enough/)
})
