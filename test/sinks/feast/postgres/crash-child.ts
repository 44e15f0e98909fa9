/** A process that delivers a few batches and dies by a failpoint; see crash.it.test.ts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeSchema } from '../../../../core/record/schema.ts'
import { feast as connector } from '../../../../sinks/feast/connector.ts'
import { batchOf, type Row } from '../../../conformance/rows.ts'
import { quietContext } from '../../../support/context.ts'
import { step } from '../../../support/schema-step.ts'

const schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'score', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)

export const crashRows = 200
const batchRows = 50

/** User of a row, and whether it is a deletion. */
export function crashRow(offset: number): { readonly id: number; readonly gone: boolean } {
  return { id: offset % 23, gone: offset % 11 === 10 }
}

export function offlineOf(folder: string): string {
  return join(folder, 'offline')
}

/** Goes on behind what it had done: the folder has the offline log, and the cursor beside it. */
export async function deliver(url: string, folder: string): Promise<void> {
  const cursor = join(folder, 'cursor')
  const config = connector.config.parse({
    project: 'shop',
    target: { type: 'postgres', url },
    views: { users: {} },
    offline: { url: `file://${offlineOf(folder)}`, compaction: false },
  })
  const { signal } = new AbortController()
  await using sink = await connector.open(config, [], quietContext())
  await sink.evolve('t', step(null, schema), signal)
  const done = existsSync(cursor) ? Number(readFileSync(cursor, 'utf8')) : 0
  for (let offset = done; offset < crashRows; offset += batchRows) {
    const rows = Array.from({ length: batchRows }, (_, i): Row => {
      const { id, gone } = crashRow(offset + i)
      const timeUs = 1_767_225_600_000_000 + (offset + i) * 1_000_000
      return gone
        ? { timeUs, weight: -1, values: { user_id: id } }
        : { timeUs, values: { user_id: id, score: offset + i } }
    })
    const batch = batchOf(schema, rows)
    await sink.write({ id: `b${offset}`, topic: 't', batch, offset, attempt: 1 }, signal)
    writeFileSync(cursor, String(offset + batchRows))
  }
}

const [, program, url, folder] = process.argv
if (program === import.meta.filename && url !== undefined && folder !== undefined) {
  await deliver(url, folder)
}
