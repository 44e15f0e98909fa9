/** The offline log's reader: pages of entities as of a time are what the rules give, whatever was merged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openStore } from '../../../../core/store/open.ts'
import { mergeGroups } from '../../../../sinks/feast/offline/compactor.ts'
import { listFiles } from '../../../../sinks/feast/offline/day-files.ts'
import { OfflineLog } from '../../../../sinks/feast/offline/log.ts'
import { mergeFiles } from '../../../../sinks/feast/offline/merge.ts'
import { fileName, type LogFile } from '../../../../sinks/feast/offline/names.ts'
import { latestAsOf, type KeyPlace } from '../../../../sinks/feast/offline/read.ts'
import { newYearUs, signal, userRows, userView, type UserRow } from './support.ts'
import { quietContext } from '../../../support/context.ts'

const dayUs = 86_400_000_000
let stores = 0

/** Newest row of each user by the rules of target.ts; users whose last word is a deletion are null. */
function model(rows: readonly UserRow[], asOfUs: number, order: 'time' | 'log') {
  const left = new Map<number, number | null>()
  for (const id of new Set(rows.map((row) => row.id))) {
    const own = rows
      .map((row, offset) => ({ ...row, offset }))
      .filter((row) => row.id === id && row.at <= asOfUs)
    if (own.length === 0) continue
    const gone = Math.max(-1, ...own.filter((row) => row.score === null).map((row) => row.offset))
    const since = own.filter((row) => row.score !== null && row.offset > gone)
    since.sort((a, b) => (order === 'time' ? a.at - b.at : 0) || a.offset - b.offset)
    left.set(id, since.at(-1)?.score ?? null)
  }
  return left
}

const row = fc.record({
  id: fc.integer({ min: 0, max: 12 }),
  at: fc.integer({ min: 0, max: 3 * 24 }).map((hour) => newYearUs + (hour * dayUs) / 24),
  score: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: null, freq: 3 }),
})

test('pages of any size together are all entities, each with its newest row', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 15 }),
      fc.integer({ min: 0, max: 3 * 24 }),
      fc.constantFrom('time' as const, 'log' as const),
      fc.boolean(),
      async (rows, limit, asOfHour, order, merged) => {
        const files = openStore(`memory://read-${process.pid}-${++stores}`)
        const log = new OfflineLog(files, null, quietContext())
        await log.evolve(userView, signal)
        for (let from = 0; from < rows.length; from += 7) {
          await log.append('users', userRows(from, rows.slice(from, from + 7)), signal)
        }
        if (merged) await merge(files)
        const asOfUs = newYearUs + (asOfHour * dayUs) / 24
        const found = new Map<number, number | null>()
        let after: KeyPlace | null = null
        do {
          const page = await latestAsOf(
            files,
            userView,
            { asOfUs: BigInt(asOfUs), order, seed: 42, limit, after },
            signal,
          )
          assert.ok(page.count <= limit)
          const ids = page.entities[0]!.column
          const scores = page.features[0]!.column
          assert.ok(ids.encoding === 'float64' && scores.encoding === 'float64')
          for (let i = 0; i < page.count; i++) {
            assert.ok(!found.has(ids.values[i]!), 'an entity is on one page')
            found.set(ids.values[i]!, page.deleted[i] === 1 ? null : scores.values[i]!)
          }
          after = page.next
        } while (after !== null)
        const sorted = (map: Map<number, number | null>) => [...map].sort(([a], [b]) => a - b)
        assert.deepEqual(sorted(found), sorted(model(rows, asOfUs, order)))
      },
    ),
    { numRuns: 60 },
  )
})

async function merge(files: ReturnType<typeof openStore>): Promise<void> {
  const folders = new Map<string, LogFile[]>()
  for await (const { path, file } of listFiles(files, 'users/', signal)) {
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    folders.set(folder, [...(folders.get(folder) ?? []), file])
  }
  for (const [folder, found] of folders) {
    for (const group of mergeGroups(found)) {
      const merged = await mergeFiles(files, folder, group, signal)
      if (merged === null) continue
      await files.remove(
        merged.inputs.map((file) => folder + fileName(file)),
        signal,
      )
    }
  }
}
