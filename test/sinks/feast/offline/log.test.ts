/** The offline log: each row once, whatever is repeated, cut off or merged (invariants 5 and 6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FileStore } from '../../../../core/connector/file-store.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { openStore } from '../../../../core/store/open.ts'
import { Compactor, mergeGroups } from '../../../../sinks/feast/offline/compactor.ts'
import { DayFiles, listFiles } from '../../../../sinks/feast/offline/day-files.ts'
import { DayLocks } from '../../../../sinks/feast/offline/day-locks.ts'
import { OfflineLog } from '../../../../sinks/feast/offline/log.ts'
import { latestAsOf } from '../../../../sinks/feast/offline/read.ts'
import type { ScalarName } from '../../../../sinks/feast/types.ts'
import type { LogicalType } from '../../../../core/record/types.ts'
import { textAt } from '../../../../core/record/value.ts'
import { mergeFiles } from '../../../../sinks/feast/offline/merge.ts'
import { quietContext } from '../../../support/context.ts'
import { waitFor } from '../../../support/env.ts'
import { newYearUs, signal, storedRows, userRows, userView, type UserRow } from './support.ts'

let stores = 0
const newStore = (): FileStore => openStore(`memory://offline-${process.pid}-${++stores}`)
const dayUs = 86_400_000_000

function rowsOf(from: number, to: number): UserRow[] {
  return Array.from({ length: to - from }, (_, i) => ({
    id: (from + i) % 7,
    // Three days, in turns.
    at: newYearUs + ((from + i) % 3) * dayUs + from + i,
    score: (from + i) % 5 === 4 ? null : from + i,
  }))
}

function expected(from: number, to: number) {
  return rowsOf(from, to).map((row, i) => ({ ...row, offset: from + i }))
}

async function openLog(files: FileStore): Promise<OfflineLog> {
  const log = new OfflineLog(files, null, quietContext())
  await log.evolve(userView, signal)
  return log
}

async function names(files: FileStore): Promise<string[]> {
  const found: string[] = []
  for await (const { path } of listFiles(files, 'users/', signal)) found.push(path)
  return found
}

/** Merges every day once, as the compactor does. */
async function mergeAll(files: FileStore): Promise<void> {
  const days = new Set<number>()
  for await (const { day } of listFiles(files, 'users/', signal)) days.add(day)
  const dayFiles = new DayFiles(files)
  for (const day of days) {
    for (const group of mergeGroups(await dayFiles.list('users', day, signal))) {
      const folder = (await names(files))
        .map((name) => name.slice(0, name.lastIndexOf('/') + 1))
        .find((one) => one.includes(new Date(day * 86_400_000).toISOString().slice(0, 10)))!
      const merged = await mergeFiles(files, folder, group, signal)
      if (merged === null) continue
      const gone = merged.inputs.map(
        (file) =>
          `${folder}${file.topic}-${String(file.from).padStart(16, '0')}-${String(file.to).padStart(16, '0')}-${file.rows}-${file.content}.parquet`,
      )
      await files.remove(gone, signal)
    }
  }
}

test('a batch repeated by another process writes the same bytes to the same names', async () => {
  const files = newStore()
  await (await openLog(files)).append('users', userRows(0, rowsOf(0, 30)), signal)
  const before = await names(files)
  const bytes = await Promise.all(
    before.map(async (name) => (await files.get(name, signal))!.bytes),
  )
  await (await openLog(files)).append('users', userRows(0, rowsOf(0, 30)), signal)
  assert.deepEqual(await names(files), before)
  const after = await Promise.all(
    before.map(async (name) => (await files.get(name, signal))!.bytes),
  )
  assert.deepEqual(after, bytes)
  assert.deepEqual(await storedRows(files), expected(0, 30))
})

test('rows sliced otherwise by a replay are there once, also after a merge', async () => {
  const files = newStore()
  const log = await openLog(files)
  for (let from = 0; from < 60; from += 20) {
    await log.append('users', userRows(from, rowsOf(from, from + 20)), signal)
  }
  await log.append('users', userRows(5, rowsOf(5, 50)), signal)
  assert.deepEqual(await storedRows(files), expected(0, 60))
  await mergeAll(files)
  const again = await openLog(files)
  await again.append('users', userRows(10, rowsOf(10, 75)), signal)
  await again.append('users', userRows(75, rowsOf(75, 80)), signal)
  assert.deepEqual(await storedRows(files), expected(0, 80))
})

test('a row that was left out of its batch can come later, inside a merged file’s offsets', async () => {
  const files = newStore()
  const log = await openLog(files)
  const all = userRows(0, rowsOf(0, 30))
  const kept = all.rows.filter((row) => row !== 11)
  await log.append(
    'users',
    {
      ...all,
      rows: kept,
      deleted: Uint8Array.from(kept, (row) => all.deleted[row]!),
      seconds: Float64Array.from(kept, (row) => all.seconds[row]!),
      nanos: Int32Array.from(kept, (row) => all.nanos[row]!),
    },
    signal,
  )
  await log.append('users', userRows(30, rowsOf(30, 40)), signal)
  await mergeAll(files)
  assert.equal((await storedRows(files)).length, 39)
  await log.append('users', userRows(11, rowsOf(11, 12)), signal)
  assert.deepEqual(await storedRows(files), expected(0, 40))
})

test('a log begun anew counts its offsets from 0 again, and its rows are new ones', async () => {
  const files = newStore()
  await (await openLog(files)).append('users', userRows(0, rowsOf(0, 9)), signal)
  const later = userRows(0, rowsOf(0, 9))
  const anew = {
    ...later,
    batch: { ...later.batch, timesUs: later.batch.timesUs.map((us) => us + 1) },
  }
  const log = await openLog(files)
  await log.append('users', anew, signal)
  await log.append('users', anew, signal)
  assert.equal((await storedRows(files)).length, 18)
  await mergeAll(files)
  assert.equal((await storedRows(files)).length, 18)
})

/** Counts its calls that change something, and from the given one on fails them all: the process is dead. */
function dyingStore(files: FileStore, diesAt: number): FileStore {
  let calls = 0
  const step = async (body: () => Promise<void>): Promise<void> => {
    if (++calls > diesAt) throw new SluiceError('store.unavailable', { message: 'dead' })
    await body()
  }
  return {
    url: files.url,
    get: (name, s) => files.get(name, s),
    list: (prefix, options, s) => files.list(prefix, options, s),
    put: (name, bytes, s) => step(() => files.put(name, bytes, s)),
    // One at a time: a crash may come between two.
    remove: async (gone, s) => {
      for (const name of gone) await step(() => files.remove([name], s))
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

test('a process that dies between any two steps loses nothing and doubles nothing', async () => {
  let finished = false
  for (let diesAt = 0; !finished; diesAt++) {
    assert.ok(diesAt < 200)
    const files = newStore()
    const dying = dyingStore(files, diesAt)
    let delivered = 0
    try {
      const log = await openLog(dying)
      for (let from = 0; from < 40; from += 10) {
        await log.append('users', userRows(from, rowsOf(from, from + 10)), signal)
        delivered = from + 10
        if (from === 20) await mergeAll(dying)
      }
      await mergeAll(dying)
      finished = true
    } catch (error) {
      assert.ok(error instanceof SluiceError && error.message === 'dead', String(error))
    }
    const found = new Set((await storedRows(files)).map(({ offset }) => offset))
    for (let offset = 0; offset < delivered; offset++) assert.ok(found.has(offset), `${diesAt}`)
    const log = await openLog(files)
    for (let from = delivered; from < 40; from += 10) {
      await log.append('users', userRows(from, rowsOf(from, from + 10)), signal)
    }
    await mergeAll(files)
    await mergeAll(files)
    assert.deepEqual(await storedRows(files), expected(0, 40), `died at ${diesAt}`)
    assert.equal((await names(files)).length, 3)
  }
})

test('days that are over are merged in the background, and what an earlier process left', async () => {
  const files = newStore()
  const first = await openLog(files)
  for (let from = 0; from < 50; from += 10) {
    await first.append('users', userRows(from, rowsOf(from, from + 10)), signal)
  }
  assert.equal((await names(files)).length, 15)
  const parts = { files, days: new DayFiles(files), locks: new DayLocks() }
  const compactor = new Compactor(parts, { filesMax: 100, quietMs: 0 }, quietContext())
  compactor.watch('users')
  await waitFor('the merge', async () => (await names(files)).length === 3)
  await compactor[Symbol.asyncDispose]()
  assert.deepEqual(await storedRows(files), expected(0, 50))
})

test('a truncate deletes every entity that has values from before it, once', async () => {
  const files = newStore()
  const log = await openLog(files)
  await log.append('users', userRows(0, rowsOf(0, 30)), signal)
  await log.append('users', userRows(31, [{ id: 3, at: newYearUs + 99 * dayUs, score: 1 }]), signal)
  const truncate = { offset: 30, order: 'log' } as const
  await log.truncate('users', truncate, signal)
  const once = await storedRows(files)
  await (await openLog(files)).truncate('users', truncate, signal)
  assert.deepEqual(await storedRows(files), once, 'told again')
  const gone = once.filter(({ offset }) => offset === 30)
  const alive = new Set<number>()
  for (const { id, score } of rowsOf(0, 30)) {
    if (score === null) alive.delete(id)
    else alive.add(id)
  }
  // The row at 31 is newer than the truncate.
  alive.delete(3)
  const sorted = (ids: Iterable<number>) => [...ids].sort((a, b) => a - b)
  assert.deepEqual(sorted(gone.map(({ id }) => id)), sorted(alive))
  assert.ok(gone.every(({ score }) => score === null))
  await mergeAll(files)
  assert.equal((await storedRows(files)).length, once.length)
  await (await openLog(files)).truncate('users', truncate, signal)
  assert.equal((await storedRows(files)).length, once.length)
})

test('files of other columns are not put together, and stay readable', async () => {
  const files = newStore()
  const log = await openLog(files)
  await log.append('users', userRows(0, rowsOf(0, 3)), signal)
  await log.evolve(
    {
      ...userView,
      features: [
        {
          name: 'renamed',
          index: 1,
          logical: { kind: 'int64' },
          type: { kind: 'scalar', name: 'int64' },
        },
      ],
    },
    signal,
  )
  await log.append('users', userRows(3, rowsOf(3, 6)), signal)
  await mergeAll(files)
  assert.equal((await names(files)).length, 6)
})

test('values from before a column was widened are the same values in its new type', async () => {
  const files = newStore()
  const log = await openLog(files)
  await log.append('users', userRows(0, [{ id: 1, at: newYearUs, score: 7 }]), signal)
  const types: readonly (readonly [LogicalType, ScalarName, string])[] = [
    [{ kind: 'decimal', precision: 12, scale: 2 }, 'decimal', '7.00'],
    [{ kind: 'decimal', precision: 30, scale: 3 }, 'decimal', '7.000'],
    [{ kind: 'decimal', precision: null, scale: null }, 'decimal', '7'],
    [{ kind: 'text' }, 'string', '7'],
    [{ kind: 'int64' }, 'int64', '7'],
  ]
  for (const [logical, name, text] of types) {
    const feature = { name: 'score', index: 1, logical, type: { kind: 'scalar', name } as const }
    const page = await latestAsOf(
      files,
      { ...userView, features: [feature] },
      { asOfUs: 1n << 62n, order: 'time', seed: 0, limit: 5, after: null },
      signal,
    )
    const [score] = page.features
    assert.equal(textAt(score!.logical, score!.column, 0), text, name)
  }
})

test('what stands in a file is not believed: a damaged one is named', async () => {
  const files = newStore()
  const log = await openLog(files)
  await log.append('users', userRows(0, rowsOf(0, 3)), signal)
  const [name] = await names(files)
  await files.put(name!, Buffer.from('PAR1 nonsense PAR1'), signal)
  await assert.rejects(
    (await openLog(files)).append('users', userRows(0, rowsOf(0, 3)), signal),
    (error) =>
      error instanceof SluiceError &&
      error.code === 'sink.feast.offline_file_damaged' &&
      error.message.includes(name!),
  )
})
