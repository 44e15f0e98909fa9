/**
 * Readers beside their writer: right behind it the store is not asked, and yet a chain that another
 * process took over is followed. Attacks invariant 5.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLog, type Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { openStore } from '../../../core/store/open.ts'

const { signal } = new AbortController()

/** A process's log on a store of that name; its sleeps end at once and are counted. */
async function processOn(
  name: string,
): Promise<{ readonly log: Log; readonly slept: () => number }> {
  let sleeps = 0
  const sleep = async (_: number, abort: AbortSignal): Promise<void> => {
    sleeps++
    await new Promise((resolve) => setImmediate(resolve))
    abort.throwIfAborted()
  }
  const store = openStore(`memory://wake-${name}-${process.pid}`)
  return { log: await openLog(store, { signal, sleep }), slept: () => sleeps }
}

test('right behind its writer a reader waits without a look at the store', async () => {
  const { log } = await processOn('near')
  await using writer = await ChainWriter.open(log, 'a', { writer: 'one', signal })
  await using reader = ChainReader.open(log, 'a', 1)
  await reader.next(signal)
  const gets: string[] = []
  const get = log.store.get.bind(log.store)
  log.store.get = async (key, ...rest) => {
    gets.push(key)
    return get(key, ...rest)
  }
  // What the sleep would end in is a look; the writer is earlier.
  const next = reader.next(signal)
  await writer.commit({ entries: [] }, signal)
  assert.equal((await next).seq, 2)
  assert.deepEqual(
    gets.filter((key) => key.endsWith('2')),
    [],
  )
})

test('a chain that another process took over is followed, commit after commit (invariant 5)', async () => {
  const here = await processOn('taken')
  const there = await processOn('taken')
  await using old = await ChainWriter.open(here.log, 'a', { writer: 'one', signal })
  await old.commit({ entries: [] }, signal)
  await using reader = ChainReader.open(here.log, 'a', 1)
  await reader.next(signal)
  await reader.next(signal)
  await using successor = await ChainWriter.open(there.log, 'a', { writer: 'two', signal })
  for (let i = 0; i < 10; i++) await successor.commit({ entries: [] }, signal)
  for (let seq = 3; seq <= 13; seq++) assert.equal((await reader.next(signal)).seq, seq)
  // One sleep before the first commit of the other process is noticed; those after it are there.
  assert.equal(here.slept(), 1)
})
