/**
 * Source → log → sink with the toy connectors: the loops of core/task on a real log.
 * Attacks invariants 1, 2, 5 and 6: what a stopped and restarted pipeline delivers.
 */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Log } from '../../../core/log/log.ts'
import { readHead } from '../../../core/log/head.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { file } from '../../toy/file/connector.ts'
import { lines } from '../../toy/lines/connector.ts'

const flush = { bytesMax: 1 << 20, intervalMs: 5, intervalMsMax: 50 }

async function ingest(log: Log, path: string, folder: string, signal: AbortSignal): Promise<void> {
  const config = lines.config.parse({ path })
  const stateDir = join(folder, 'state')
  await runIngest(
    { connector: lines, config, flush, openBytesMax: 1 << 20, stateDir },
    taskContext(log, 'toy'),
    signal,
  )
}

async function deliver(log: Log, folder: string, signal: AbortSignal): Promise<void> {
  const task = { connector: file, config: { folder }, from: ['toy.*'], chains: ['p.source.toy'] }
  await runDeliver(task, taskContext(log, 'files'), signal)
}

/** Rows of the sink's file, offsets first; the ids of batches left out. */
function delivered(folder: string): string[] {
  const text = readFileSync(join(folder, 'toy.lines.txt'), 'utf8')
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

async function startAndStop(log: Log, path: string, folder: string, want: number): Promise<void> {
  const stop = new AbortController()
  const tasks = [ingest(log, path, folder, stop.signal), deliver(log, folder, stop.signal)]
  await waitFor(`${want} rows`, () => delivered(folder).length >= want)
  stop.abort()
  await Promise.all(tasks)
}

test('rows go through once and in order, also over restarts at any time (invariants 5, 6)', async () => {
  using dir = tempDir('loops')
  const path = join(dir.path, 'in.txt')
  const log = await testLog()
  writeFileSync(path, '')
  for (let round = 1; round <= 5; round++) {
    for (let i = 0; i < 20; i++)
      appendFileSync(path, `[[${i},"round ${round}"],[${i + 100},null]]\n`)
    await startAndStop(log, path, dir.path, round * 40)
  }
  const rows = delivered(dir.path)
  assert.equal(rows.length, 200)
  rows.forEach((row, offset) => assert.match(row, new RegExp(`^${offset} `)))
})

test('the position in the log is the one of the rows beside it (invariant 2)', async () => {
  using dir = tempDir('loops')
  const path = join(dir.path, 'in.txt')
  writeFileSync(path, '[[1,"a"]]\n[[2,"b"]]\n[[3,"c"]]\n')
  const log = await testLog()
  await startAndStop(log, path, dir.path, 3)
  const head = await readHead(log, 'p.source.toy', AbortSignal.timeout(60_000))
  assert.equal(head?.position, '3')
  assert.equal(head?.topics.get('toy.lines')?.nextOffset, 3)
})

test('an idle pipeline writes nothing', async () => {
  using dir = tempDir('loops')
  const path = join(dir.path, 'in.txt')
  writeFileSync(path, '[[1,"a"]]\n')
  const log = await testLog()
  const stop = new AbortController()
  const tasks = [ingest(log, path, dir.path, stop.signal), deliver(log, dir.path, stop.signal)]
  await waitFor('the row', () => delivered(dir.path).length === 1)
  const seqs = async (): Promise<(number | undefined)[]> => {
    const signal = AbortSignal.timeout(60_000)
    const heads = ['p.source.toy', 'p.sink.files'].map((chain) => readHead(log, chain, signal))
    return (await Promise.all(heads)).map((head) => head?.seq)
  }
  await waitFor('the delivery to be recorded', async () => (await seqs())[1]! >= 3)
  const before = await seqs()
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.deepEqual(await seqs(), before)
  stop.abort()
  await Promise.all(tasks)
})
