/**
 * Columns that change while a table is copied (invariants 5 and 9): rows before and after a change never
 * stand in one batch, a chunk with the old ones is read again, and whether a column may be null is no
 * difference.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { snapshotBeside } from '../../../../core/connector/snapshot/beside.ts'
import { LateRows } from '../../../../core/connector/snapshot/late-rows.ts'
import { nothingCopied } from '../../../../core/connector/snapshot/progress.ts'
import type { SnapshotReader, SnapshotTable } from '../../../../core/connector/snapshot/reader.ts'
import { weave } from '../../../../core/connector/snapshot/weave.ts'
import { systemClock } from '../../../../core/connector/context.ts'
import { position, type SourceBatch } from '../../../../core/connector/source.ts'
import { Op, type Batch } from '../../../../core/record/batch.ts'
import { rowKey } from '../../../../core/record/key.ts'
import { makeSchema, type Schema } from '../../../../core/record/schema.ts'
import { keptContext } from '../../../support/context.ts'
import { rowsBatch, schemaOf } from './database.ts'

const none = schemaOf(true, 'upsert')

function withFields(change: (name: string) => object): Schema {
  return makeSchema(
    none.fields.map((field) => ({ ...field, ...change(field.name) })),
    none.key,
    none.changelog,
  )
}
const vRequired = withFields((name) => (name === 'v' ? { nullable: false } : {}))
const eRequired = withFields((name) => (name === 'e' ? { nullable: false } : {}))
const renamed = withFields((name) => (name === 'v' ? { name: 'w' } : {}))

const row = (k: number, s: number) => ({ k, s, v: `v${s}`, e: `"e${s}"` })

function lateOf(...batches: readonly Batch[]): LateRows {
  const late = new LateRows(1 << 20)
  for (const batch of batches) {
    late.add(
      { topic: 't', batch },
      Int32Array.from({ length: batch.rows }, (_, i) => i),
    )
  }
  return late
}

test('columns that may be null and those that may not are the same columns', () => {
  const chunk = rowsBatch(vRequired, [row(1, 1), row(2, 2)], Op.snapshot)
  const late = lateOf(rowsBatch(eRequired, [row(2, 3)], Op.update))
  const woven = weave([chunk], late, eRequired)
  assert.deepEqual(woven?.unknown, [])
  for (const batch of woven!.batches) assert.equal(batch.schema.id, none.id, 'all may be null')
  const keys = woven!.batches.flatMap((batch) =>
    Array.from({ length: batch.rows }, (_, i) => rowKey(batch, i)),
  )
  assert.equal(new Set(keys).size, 2)
})

test('rows of other columns are not put together', () => {
  const chunk = rowsBatch(none, [row(1, 1)], Op.snapshot)
  const other = rowsBatch(renamed, [row(2, 2)], Op.update)
  assert.equal(weave([chunk], lateOf(other), renamed), null)
  assert.equal(weave([chunk], lateOf(), renamed), null, 'nor handed out after newer ones')
  assert.equal(weave([], lateOf(other, rowsBatch(none, [row(3, 3)], Op.update)), null), null)
})

test('a chunk read before a change of the columns that the stream brings meanwhile is read again', async () => {
  const stop = new AbortController()
  let reads = 0
  let isChanged = (): void => {}
  const changed = new Promise<void>((resolve) => (isChanged = resolve))
  const reader: SnapshotReader = {
    describe: async (topic) => ({ topic, id: '1', key: ['k int'] }),
    split: async () => null,
    read: async (_table: SnapshotTable, _rows, from) => {
      const old = reads++ === 0
      // The first read has its snapshot before the change, and its answer after it.
      if (old) isChanged()
      const batch = rowsBatch(old ? none : renamed, [row(1, 1)], Op.snapshot)
      return { batches: [batch], isPassed: (at) => Number(at) >= (old ? 1 : Number(from)) }
    },
    isUpTo: (_table, _batch, rows) => new Uint8Array(rows.length),
  }
  async function* stream(): AsyncGenerator<SourceBatch> {
    await changed
    const batch = rowsBatch(renamed, [row(2, 2)], Op.insert)
    const changes = [{ topic: 't', batch }]
    yield { changes, transaction: null, end: null, position: position('1') }
    for (;;) {
      await systemClock.sleep(1, stop.signal)
      yield { changes: [], transaction: null, end: null, position: position('1') }
    }
  }
  const context = keptContext()
  const beside = snapshotBeside(
    {
      stream,
      reader,
      tables: ['t'],
      progress: nothingCopied,
      position: position('0'),
      join: (at) => at,
      ctx: context,
    },
    stop.signal,
  )
  const schemas = new Set<string>()
  for await (const { changes } of beside) {
    for (const change of changes) if ('batch' in change) schemas.add(change.batch.schema.id)
    if (beside.isDone) break
  }
  assert.deepEqual([...schemas], [renamed.id])
  assert.equal(reads, 2)
  assert.ok(context.hasLogged('the columns of the table changed meanwhile'))
})
