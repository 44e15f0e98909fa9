/** What every ObjectStore must do; each store's test file calls it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectStore } from '../../../core/store/store.ts'
import { failsWith } from '../../support/fails-with.ts'

export interface StoreUnderTest {
  /** A store on an empty place. */
  open(): ObjectStore
  /** Creators of one key that race; few where a contended key takes seconds. */
  readonly racers: number
  readonly rounds: number
}

const signal = new AbortController().signal
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

async function read(store: ObjectStore, key: string): Promise<string | null> {
  const found = await store.get(key, signal)
  return found === null ? null : new TextDecoder().decode(found.bytes)
}

export function storeContract(name: string, start: () => StoreUnderTest | null): void {
  /** Runs with a fresh store, or not at all where the service is missing (said once, loudly). */
  const check = (
    what: string,
    body: (store: ObjectStore, options: StoreUnderTest) => Promise<void>,
  ): void => {
    test(`${name}: ${what}`, async (t) => {
      const options = start()
      if (options === null) return t.skip('service missing')
      await using store = options.open()
      await body(store, options)
    })
  }

  check('what was put is got, whole and in ranges, with its size', async (store) => {
    const bytes = new Uint8Array(100_000).map((_, i) => i * 31 + (i >> 8))
    await store.put('a/b', bytes, signal)
    const parts = [
      [undefined, 0, 100_000],
      [{ start: 5, end: 17 }, 5, 17],
      [{ start: 99_990, end: 200_000 }, 99_990, 100_000],
      [{ start: 100_000, end: 100_010 }, 100_000, 100_000],
      [{ suffix: 10 }, 99_990, 100_000],
      [{ suffix: 1_000_000 }, 0, 100_000],
    ] as const
    for (const [range, start, end] of parts) {
      const found = await store.get('a/b', signal, range)
      assert.equal(found?.size, 100_000)
      assert.deepEqual(Buffer.from(found.bytes), Buffer.from(bytes.subarray(start, end)))
    }
  })

  check('what is not there is null', async (store) => {
    assert.equal(await store.get('nothing', signal), null)
    assert.equal(await store.get('no/folder/either', signal, { suffix: 5 }), null)
  })

  check('put replaces; empty objects exist', async (store) => {
    await store.put('x', bytesOf('one'), signal)
    await store.put('x', bytesOf('two'), signal)
    assert.equal(await read(store, 'x'), 'two')
    await store.put('empty', new Uint8Array(0), signal)
    const empty = await store.get('empty', signal, { suffix: 10 })
    assert.deepEqual([empty?.size, empty?.bytes.length], [0, 0])
  })

  check('invariant 4: create never replaces', async (store) => {
    assert.equal(await store.create('c/1', bytesOf('first'), signal), 'created')
    assert.equal(await store.create('c/1', bytesOf('second'), signal), 'exists')
    assert.equal(await read(store, 'c/1'), 'first')
    await store.put('c/2', bytesOf('put'), signal)
    assert.equal(await store.create('c/2', bytesOf('created'), signal), 'exists')
    assert.equal(await read(store, 'c/2'), 'put')
  })

  check('invariant 4: of racing creators exactly one wins', async (store, { racers, rounds }) => {
    for (let round = 0; round < rounds; round++) {
      const key = `race/${round}`
      const outcomes = await Promise.all(
        Array.from({ length: racers }, (_, racer) =>
          store.create(key, bytesOf(`${racer}`.padEnd(5000, '.')), signal),
        ),
      )
      const winners = outcomes.flatMap((outcome, racer) => (outcome === 'created' ? [racer] : []))
      assert.equal(winners.length, 1)
      assert.equal(await read(store, key), `${winners[0]}`.padEnd(5000, '.'))
    }
  })

  check('list: by prefix, in order, after a key, up to a limit', async (store) => {
    const keys = ['l/3', 'l/a', 'l/b/c', 'l/b/d', 'l/e', 'm/1', 'l0']
    for (const key of keys) await store.put(key, bytesOf(key), signal)
    const list = (prefix: string, limit: number, after?: string): Promise<string[]> =>
      store.list(prefix, { limit, ...(after === undefined ? {} : { after }) }, signal)
    assert.deepEqual(await list('l/', 100), ['l/3', 'l/a', 'l/b/c', 'l/b/d', 'l/e'])
    assert.deepEqual(await list('l/b/', 100), ['l/b/c', 'l/b/d'])
    assert.deepEqual(await list('l/b/c', 100), ['l/b/c'])
    assert.deepEqual(await list('l/', 2, 'l/a'), ['l/b/c', 'l/b/d'])
    assert.deepEqual(await list('l/', 9, 'l/b/c'), ['l/b/d', 'l/e'])
    assert.deepEqual(await list('l/', 9, 'l/e'), [])
    assert.deepEqual(await list('none/', 9), [])
  })

  check('remove: gone is gone, and removing nothing is no error', async (store) => {
    const keys = Array.from({ length: 20 }, (_, i) => `r/${i}`)
    for (const key of keys) await store.put(key, bytesOf(key), signal)
    await store.remove([...keys, 'r/never'], signal)
    assert.deepEqual(await store.list('r/', { limit: 100 }, signal), [])
    assert.equal(await store.get('r/3', signal), null)
    // A deleted name is free again; the log's floor exists because of it.
    assert.equal(await store.create('r/3', bytesOf('again'), signal), 'created')
  })

  check('a signal that is aborted ends each verb with its reason', async (store) => {
    const reason = new Error('stopped')
    const aborted = AbortSignal.abort(reason)
    const verbs = [
      () => store.get('a', aborted),
      () => store.create('a', bytesOf('a'), aborted),
      () => store.put('a', bytesOf('a'), aborted),
      () => store.list('a', { limit: 1 }, aborted),
      () => store.remove(['a'], aborted),
    ]
    for (const verb of verbs) await assert.rejects(verb, reason)
    assert.equal(await store.get('a', signal), null)
  })

  check('keys that leave the store are refused', async (store) => {
    for (const key of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', '.', 'a/.', 'ä', 'a b']) {
      const refused = failsWith('store.key_invalid')
      await assert.rejects(store.get(key, signal), refused, JSON.stringify(key))
      await assert.rejects(store.put(key, bytesOf('x'), signal), refused, JSON.stringify(key))
    }
  })
}
