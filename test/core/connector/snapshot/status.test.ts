/** What the status line says of a copy: how far of about how much, and what was not counted by this process. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { snapshotBeside } from '../../../../core/connector/snapshot/beside.ts'
import {
  nothingCopied,
  withTable,
  type SnapshotProgress,
} from '../../../../core/connector/snapshot/progress.ts'
import type { SnapshotReader } from '../../../../core/connector/snapshot/reader.ts'
import { position, type SourceBatch } from '../../../../core/connector/source.ts'
import { Op } from '../../../../core/record/batch.ts'
import { quietContext } from '../../../support/context.ts'
import { rowsBatch, schemaOf } from './database.ts'

const schema = schemaOf(true, 'upsert')

/** A table of four rows with the keys 1 to 4, in chunks of two. */
function readerOf(rowsEstimate: number): SnapshotReader {
  return {
    describe: (topic) => Promise.resolve({ topic, id: 'id', key: ['k int'], rowsEstimate }),
    split: (_table, after) => Promise.resolve(after === null ? ['2'] : null),
    read: (_table, rows) => {
      const first = 'after' in rows && rows.after === null ? 1 : 3
      const batch = rowsBatch(
        schema,
        [first, first + 1].map((k) => ({ k, s: 1, v: 'v', e: '"e"' })),
        Op.snapshot,
      )
      return Promise.resolve({ batches: [batch], isPassed: () => true })
    },
    isUpTo: (_table, _batch, rows) => new Uint8Array(rows.length),
  }
}

const idle: AsyncIterable<SourceBatch> = {
  [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
}

/** What is reported, and the fields of "the table is copied", until it is. */
async function told(rowsEstimate: number, progress: SnapshotProgress) {
  const details: string[] = []
  const copied: object[] = []
  const stop = new AbortController()
  const ctx = quietContext({
    logger: {
      ...quietContext().logger,
      info: (message, fields) => {
        if (message === 'the table is copied') copied.push({ ...fields })
      },
    },
    report: ({ state, detail }) => {
      details.push(`${state} ${detail}`)
      if (state === 'running') stop.abort()
    },
  })
  const beside = snapshotBeside(
    {
      stream: () => idle,
      reader: readerOf(rowsEstimate),
      tables: ['t'],
      progress,
      position: position('0'),
      join: (at) => at,
      ctx,
    },
    stop.signal,
  )
  // The stream brings nothing: nothing but the abort ends the reading.
  await assert.rejects(
    async () => {
      for await (const _ of beside);
    },
    { name: 'AbortError' },
  )
  return { details, copied }
}

test('rows of about so many; a guess that they have passed is left out', async () => {
  const { details, copied } = await told(3, nothingCopied)
  assert.deepEqual(details, [
    'snapshotting t: 2 of about 3 rows',
    'snapshotting t: 4 rows',
    'running ',
  ])
  assert.deepEqual(copied, [{ topic: 't', rows: 4, resumed: false }])
})

test('a copy that goes on after a restart counts what is more', async () => {
  const half = withTable(nothingCopied, 't', { id: 'id', key: ['k int'], upTo: ['2'] })
  const { details, copied } = await told(4, half)
  assert.deepEqual(details, ['snapshotting t: 2 more of about 4 rows', 'running '])
  assert.deepEqual(copied, [{ topic: 't', rows: 2, resumed: true }])
})
