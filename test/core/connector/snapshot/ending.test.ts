/**
 * How the reading of a copy beside a stream ends: whoever stops, and a table that cannot be read, do not
 * wait for a stream that brings nothing (invariant 8: every wait by a signal).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { snapshotBeside } from '../../../../core/connector/snapshot/beside.ts'
import { nothingCopied } from '../../../../core/connector/snapshot/progress.ts'
import type { Chunk } from '../../../../core/connector/snapshot/reader.ts'
import { position, type SourceBatch } from '../../../../core/connector/source.ts'
import { quietContext } from '../../../support/context.ts'

/** Reads until the first batch; returns how many of the streams that were begun are over. */
async function readOne(read: () => Promise<Chunk>): Promise<number> {
  let ended = 0
  const beside = snapshotBeside(
    {
      async *stream(signal): AsyncGenerator<SourceBatch> {
        try {
          await new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error))
          })
          yield { changes: [], transaction: null, end: null, position: position('1') }
        } finally {
          ended++
        }
      },
      reader: {
        describe: async (topic) => ({ topic, id: '1', key: ['k int'] }),
        split: async () => null,
        read,
        isUpTo: (_table, _batch, rows) => new Uint8Array(rows.length),
      },
      tables: ['t'],
      progress: nothingCopied,
      position: position('0'),
      join: (at) => at,
      ctx: quietContext(),
    },
    new AbortController().signal,
  )
  // Nothing but the end of the reading aborts what the stream was given.
  for await (const _ of beside) break
  return ended
}

test(
  'the stream of an idle server has ended when the reading stops',
  { timeout: 60_000 },
  async () => {
    assert.equal(await readOne(async () => ({ batches: [], isPassed: () => true })), 1)
  },
)

test(
  'a table that cannot be read is said while the server is idle',
  { timeout: 60_000 },
  async () => {
    const refused = new Error('permission denied')
    await assert.rejects(
      readOne(() => Promise.reject(refused)),
      refused,
    )
  },
)
