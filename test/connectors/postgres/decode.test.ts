/**
 * The decoder against recorded bytes of real servers: the folded stream is the tables, however the
 * bytes are cut; and damaged bytes end in a typed error or a clean result.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseLsn } from '../../../connectors/postgres/lsn.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { textAt } from '../../../core/record/value.ts'
import { Fold } from '../../support/fold.ts'
import { decodeAll, recorded, type Recorded } from './recorded.ts'

/** Starts of the frames in a recording. */
function frames(bytes: Buffer): number[] {
  const starts: number[] = []
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) starts.push(at)
  return starts
}

function folded(batches: readonly SourceBatch[]): Fold {
  const fold = new Fold()
  for (const batch of batches) fold.apply(batch)
  return fold
}

function assertTables(fold: Fold, recording: Recorded): void {
  for (const [topic, rows] of Object.entries(recording.rows)) {
    fold.assertRows(topic, rows)
  }
}

for (const major of [18, 14] as const) {
  const recording = recorded(major)

  describe(`recorded stream of PostgreSQL ${major}`, () => {
    it('folds to the tables (invariants 3, 5, 9)', async () => {
      const fold = folded(await decodeAll(recording, recording.bytes))
      assertTables(fold, recording)
      assert.ok(fold.transactionsInParts >= 2, 'streamed transactions were recorded')
      assert.ok(fold.aborts >= 2, 'rolled back parts were recorded')
      assert.ok(!fold.topics.has('public.unrelated'))
    })

    it('folds to the tables wherever the chunks are cut', async () => {
      for (const chunkBytes of [[1], [7, 3, 5000], [65_536, 1]]) {
        assertTables(folded(await decodeAll(recording, recording.bytes, { chunkBytes })), recording)
      }
    })

    it('gives rising positions, and nothing of transactions before the one it starts at', async () => {
      const batches = await decodeAll(recording, recording.bytes)
      const positions = batches.flatMap(({ position }) =>
        position === null ? [] : [parseLsn(position)],
      )
      assert.ok(positions.length > 3)
      for (let i = 1; i < positions.length; i++) assert.ok(positions[i]! > positions[i - 1]!)
      const last = await decodeAll(recording, recording.bytes, { after: positions.at(-1)! })
      assert.equal(folded(last).rows, 0)
    })

    it('ends in a typed error or cleanly at every truncation', async () => {
      for (const start of frames(recording.bytes).filter((_, i) => i % 9 === 0)) {
        const batches = await decodeAll(recording, recording.bytes.subarray(0, start + 3))
        // Whole messages before the cut are whole; a cut one is waited for, not guessed at.
        assert.ok(folded(batches).rows >= 0)
      }
    })

    it('ends in a typed error or cleanly when a message is cut short or bits are flipped', async () => {
      const starts = frames(recording.bytes)
      let errors = 0
      let random = 12_345
      const next = (below: number): number => {
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
        return Math.floor((random / 2 ** 32) * below)
      }
      for (let round = 0; round < 400; round++) {
        const place = next(Math.min(starts.length - 1, 400))
        const [start, end] = [starts[place]!, starts[place + 1]!]
        const head = recording.bytes.subarray(0, starts[Math.min(place + 3, starts.length - 1)])
        const bytes = Buffer.from(head)
        if (round % 2 === 0) bytes[start + next(end - start)]! ^= 1 << next(8)
        else bytes.writeInt32BE(next(end - start), start + 1)
        try {
          folded(await decodeAll(recording, bytes))
        } catch (error) {
          if (error instanceof assert.AssertionError) continue
          assert.ok(error instanceof SluiceError, `seed 12345, round ${round}: ${String(error)}`)
          assert.match(error.code, /^source\.postgres\.(protocol|value)$/)
          errors++
        }
      }
      assert.ok(errors > 100, `only ${errors} of 400 damages were seen`)
    })
  })
}

describe('recorded stream, by message', () => {
  const recording = recorded(18)

  it('keeps sub-transactions apart, and drops exactly the one rolled back', async () => {
    const batches = await decodeAll(recording, recording.bytes)
    const parts = new Set(batches.flatMap(({ transaction }) => transaction?.part ?? []))
    assert.ok(parts.size >= 4, [...parts].join())
    const names = new Set(
      folded(batches)
        .sorted('public.items')
        .map((row) => (JSON.parse(row) as string[])[1]),
    )
    assert.ok(
      names.has('kept') && names.has('after') && !names.has('undone') && !names.has('never'),
    )
  })

  it('says of an update what changed: key changes take the old key away', async () => {
    const batches = await decodeAll(recording, recording.bytes)
    const rows = batches.flatMap(({ changes }) =>
      changes.flatMap((change) => {
        if ('truncate' in change || change.topic !== 'public.by_index') return []
        const { schema, columns, weights, ops } = change.batch
        assert.deepEqual(
          schema.key.map((i) => schema.fields[i]!.name),
          ['part', 'code'],
        )
        return Array.from(weights, (weight, i) => [
          weight,
          ops[i],
          ...schema.fields.map((field, c) => textAt(field.type, columns[c]!, i)),
        ])
      }),
    )
    const has = (row: unknown[]): boolean =>
      rows.some((r) => JSON.stringify(r) === JSON.stringify(row))
    assert.ok(has([1, 1, '1', 'code1', '1', null]), 'update of no key: one row')
    assert.ok(has([1, 1, '90', 'code2', '2', 'note']), 'the primary key is not the identity')
    assert.ok(has([-1, 1, null, 'code3', '0', null]) && has([1, 1, '3', 'moved', '0', 'note']))
    assert.ok(
      has([-1, 2, null, 'code4', '1', null]),
      'a delete has the index columns and no invented key',
    )
  })

  it('refuses messages it does not know, with type and offset', async () => {
    const bytes = Buffer.from(recording.bytes)
    const begin = frames(bytes).find((start) => bytes[start] === 0x64 && bytes[start + 5] === 0x77)!
    bytes[begin + 5 + 25] = 0x62
    await assert.rejects(decodeAll(recording, bytes), {
      code: 'source.postgres.protocol',
      message: /"b".* at byte 0/,
    })
  })

  it('drops what a filter says the snapshot has, on each side of a key change', async () => {
    const asked: string[] = []
    const tableOid = recording.tables[0]!.oid
    const batches = await decodeAll(recording, recording.bytes, {
      filter: {
        until: 1n << 62n,
        drops: (table, xid, key) => {
          assert.ok(xid > 0)
          if (table === tableOid) asked.push(key.join())
          return table !== tableOid || key[0] === '2'
        },
        dropsTruncate: (table) => table !== tableOid,
        orphan: () => assert.fail('the recording has no such change'),
      },
    })
    const fold = folded(batches)
    assert.deepEqual(fold.sorted('public.full_rows'), [])
    assert.ok(asked.includes('2') && asked.includes('102'))
    const ids = fold.sorted('public.items').map((row) => (JSON.parse(row) as string[])[0])
    assert.ok(ids.includes('102') && !ids.includes('2'))
  })
})
