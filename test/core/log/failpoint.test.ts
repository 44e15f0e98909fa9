/**
 * A writer killed (SIGKILL) at each durable step, over and over on one folder: invariants 1 (what was
 * acknowledged is there) and 2 (rows and position agree). What it leaves behind harms nobody.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openLog } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { openStore } from '../../../core/store/open.ts'
import { tempDir } from '../../support/env.ts'
import { signal } from './support.ts'

const child = fileURLToPath(new URL('failpoint-child.ts', import.meta.url))

/** Runs the child until it ends or is killed; the last position that it acknowledged. */
async function live(folder: string, failpoints: string, commits: number) {
  const process_ = spawn(process.execPath, [child, folder, `${commits}`], {
    env: { ...process.env, SLUICE_FAILPOINTS: failpoints },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code, killedBy]] = await Promise.all([
    text(process_.stdout),
    once(process_, 'exit') as Promise<[number | null, string | null]>,
  ])
  return { last: Number(output.trim().split('\n').at(-1)), code, killedBy }
}

/** Rows 0 … position − 1 of topic `a`, each once and in order. */
async function judge(folder: string, acknowledged: number): Promise<number> {
  await using store = openStore(`file://${folder}`)
  const log = await openLog(store, { signal })
  await using writer = await ChainWriter.open(log, 'c', { writer: 'judge', signal })
  const position = Number(writer.head.position ?? '0')
  assert.ok(position >= acknowledged, `${acknowledged} was acknowledged, ${position} is there`)
  await using reader = ChainReader.open(log, 'c', 1)
  let expected = 0
  for (let commit = await reader.tryNext(signal); commit !== null;) {
    for (let i = 0; i < commit.blocks.length; i++) {
      const batch = await reader.readBlock(commit, i, signal)
      if (commit.blocks[i]?.topic !== 'a') continue
      const [ids] = batch?.columns ?? []
      assert.ok(ids?.encoding === 'float64')
      for (const id of ids.values) assert.equal(id, expected++)
    }
    commit = await reader.tryNext(signal)
  }
  assert.equal(expected, position)
  return position
}

test('invariants 1, 2: killed at any durable step, the chain holds what was acknowledged', async () => {
  using folder = tempDir('failpoints')
  const kills = [
    'log.fence.after_create=1',
    'log.commit.before_create=1',
    'log.commit.before_create=4',
    'log.commit.after_create=1',
    'log.commit.after_create=5',
    'log.segment.after_put=1',
    'log.snapshot.after_put=1',
    'log.commit.before_create=2',
  ]
  let position = 0
  for (const kill of kills) {
    const snapshot = kill.startsWith('log.snapshot')
    const { last, killedBy } = await live(folder.path, kill, snapshot ? 300 : 12)
    assert.equal(killedBy, 'SIGKILL', `${kill} was passed`)
    position = await judge(folder.path, Math.max(position, Number.isNaN(last) ? 0 : last))
  }
  const { last, code } = await live(folder.path, '', 5)
  assert.equal(code, 0)
  assert.equal(await judge(folder.path, last), position + 15)
})
