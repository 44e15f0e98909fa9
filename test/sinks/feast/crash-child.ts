/**
 * A process that delivers a few batches and dies by a failpoint; see crash.it.test.ts of the targets postgres
 * and push, and below what of them a test looks at.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeSchema } from '../../../core/record/schema.ts'
import { openStore } from '../../../core/store/open.ts'
import { feast as connector } from '../../../sinks/feast/connector.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { quietContext } from '../../support/context.ts'
import { step } from '../../support/schema-step.ts'
import { storedRows } from './offline/support.ts'

const schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'score', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)

const crashRows = 200
const batchRows = 50
const users = 23

/** All that a run depends on: plain data, since a child gets it as a word. */
export interface CrashRun {
  readonly target: Readonly<Record<string, unknown>>
  readonly onDelete: 'remove' | 'null'
  /** Has the offline log, and the cursor beside it. */
  readonly folder: string
  /** The users are this and those after it. */
  readonly firstUser: number
}

/** What a child is started with. */
export function wordsOf(run: CrashRun): readonly string[] {
  return [import.meta.filename, JSON.stringify(run)]
}

/** Goes on behind what it had done. */
export async function deliver({ target, onDelete, folder, firstUser }: CrashRun): Promise<void> {
  const cursor = join(folder, 'cursor')
  const config = connector.config.parse({
    project: 'shop',
    target,
    on_delete: onDelete,
    views: { users: {} },
    offline: { url: offlineOf(folder), compaction: false },
  })
  const { signal } = new AbortController()
  await using sink = await connector.open(config, [], quietContext())
  await sink.evolve('t', step(null, schema), signal)
  const done = existsSync(cursor) ? Number(readFileSync(cursor, 'utf8')) : 0
  for (let offset = done; offset < crashRows; offset += batchRows) {
    const rows = Array.from({ length: batchRows }, (_, i): Row => {
      const { user, gone } = rowAt(offset + i)
      const timeUs = 1_767_225_600_000_000 + (offset + i) * 1_000_000
      const values = { user_id: firstUser + user }
      return gone
        ? { timeUs, weight: -1, values }
        : { timeUs, values: { ...values, score: offset + i } }
    })
    const batch = batchOf(schema, rows)
    const sent = await sink.write(
      { id: `b${offset}`, topic: 't', batch, offset, attempt: 1 },
      signal,
    )
    assert.deepEqual(sent.rejected, [])
    writeFileSync(cursor, String(offset + batchRows))
  }
}

/** By user, from the first one: the score that is to be seen at the end, null of one that is gone. */
export function wantedScores(): readonly (number | null)[] {
  const wanted: (number | null)[] = Array.from({ length: users }, () => null)
  for (let offset = 0; offset < crashRows; offset++) {
    const { user, gone } = rowAt(offset)
    wanted[user] = gone ? null : offset
  }
  return wanted
}

/** Every row is in the offline log, once. */
export async function assertLogged({ folder }: CrashRun, where: string): Promise<void> {
  const logged = await storedRows(openStore(offlineOf(folder)))
  assert.deepEqual(
    logged.map(({ offset }) => offset),
    Array.from({ length: crashRows }, (_, i) => i),
    where,
  )
}

function rowAt(offset: number): { readonly user: number; readonly gone: boolean } {
  return { user: offset % users, gone: offset % 11 === 10 }
}

function offlineOf(folder: string): string {
  return `file://${join(folder, 'offline')}`
}

const [, program, run] = process.argv
if (program === import.meta.filename && run !== undefined)
  await deliver(JSON.parse(run) as CrashRun)
