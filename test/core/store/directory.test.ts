/** The directory store: the contract, and what only a folder can go through. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../../core/store/open.ts'
import { probeStore } from '../../../core/store/probe.ts'
import { tempDir } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { storeContract } from './contract.ts'

const signal = new AbortController().signal
const root = tempDir('store')
process.once('exit', () => root[Symbol.dispose]())
let stores = 0

storeContract('directory', () => ({
  open: () => openStore(`file://${root.path}/${stores++}`),
  racers: 16,
  rounds: 10,
}))

test('the race probe passes and leaves nothing behind', async () => {
  const folder = `${root.path}/probe`
  await using store = openStore(`file://${folder}`)
  const result = await probeStore(store, signal)
  assert.ok(result.racers > 1)
  assert.deepEqual(await store.list('', { limit: 10 }, signal), [])
  assert.deepEqual(readdirSync(join(folder, '.tmp')), [])
})

test('invariant 4: of processes that race for the same keys, one wins each', async () => {
  const folder = join(root.path, 'processes')
  const racer = fileURLToPath(new URL('race-child.ts', import.meta.url))
  const children = Array.from({ length: 3 }, () => fork(racer, [folder, '40']))
  const won = await Promise.all(children.map((child) => wins(child)))
  const all = won.flat().sort((a, b) => a - b)
  assert.deepEqual(
    all,
    Array.from({ length: 40 }, (_, i) => i),
  )
})

async function wins(child: ChildProcess): Promise<number[]> {
  const [message] = (await once(child, 'message')) as [number[]]
  await once(child, 'exit')
  return message
}

test('temporary files of killed processes are removed, fresh ones are not', async () => {
  const folder = join(root.path, 'stale')
  mkdirSync(join(folder, '.tmp'), { recursive: true })
  const old = join(folder, '.tmp', 'old')
  const fresh = join(folder, '.tmp', 'fresh')
  writeFileSync(old, 'x')
  writeFileSync(fresh, 'x')
  const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000)
  utimesSync(old, longAgo, longAgo)
  await using store = openStore(`file://${folder}`)
  await store.put('a', new Uint8Array(1), signal)
  assert.deepEqual([existsSync(old), existsSync(fresh)], [false, true])
  assert.deepEqual(await store.list('', { limit: 10 }, signal), ['a'])
})

test('a folder that cannot be used is the user’s to mend, and says so', async () => {
  writeFileSync(join(root.path, 'file'), 'x')
  await using store = openStore(`file://${root.path}/file/log`)
  await assert.rejects(
    store.put('a', new Uint8Array(1), signal),
    failsWith('store.folder_unusable'),
  )
})
