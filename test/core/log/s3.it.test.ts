/**
 * A chain on a real S3 server (SeaweedFS) whose answers get lost, and which dies and comes back:
 * invariants 1 (durable before acknowledged) and 4 (one writer).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readHead } from '../../../core/log/head.ts'
import { openLog } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { openStore } from '../../../core/store/open.ts'
import { startLossyProxy } from '../../services/lossy-proxy.ts'
import { startS3 } from '../../services/s3.ts'
import { waitFor } from '../../support/env.ts'
import { assertSameBatch } from '../../support/same-batch.ts'
import { startOrSkip } from '../../support/service.ts'
import { failsWith } from '../../support/fails-with.ts'
import { bulk, rows, signal } from './support.ts'

const chain = 'shop/ingest'

test('a chain on S3: lost answers, two writers, a server that is killed', async (t) => {
  await using server = await startOrSkip(t, 'SeaweedFS', () => startS3())
  if (server === null) return
  await using proxy = await startLossyProxy(server.endpoint)
  const url = `s3://${server.bucket}/log`
  await using store = openStore(url, { ...server.options, endpoint: proxy.url })
  await using direct = openStore(url, server.options)
  const log = await openLog(store, { signal })
  const other = await openLog(direct, { signal })

  await t.test('each commit is there once, whatever answers got lost', async () => {
    await using writer = await ChainWriter.open(log, chain, { writer: 'w', signal })
    let requests = 0
    // The repetition of a PUT whose answer got lost is told 412: the object is ours all the same.
    proxy.lose = (method, path) => method === 'PUT' && path.includes('/c/') && requests++ % 3 === 0
    for (let i = 0; i < 12; i++) {
      const batch = rows(i * 2, 2)
      const commit = await writer.commit(
        { entries: [{ kind: 'rows', topic: 'a', batch }], position: `${i}` },
        signal,
      )
      assert.equal(commit.seq, i + 2)
    }
    assert.ok(proxy.lost >= 4)
    proxy.lose = () => false
    const head = await readHead(other, chain, signal)
    assert.deepEqual([head?.seq, head?.topics.get('a')?.nextOffset], [13, 24])
    await using reader = ChainReader.open(other, chain, 2)
    for (let i = 0; i < 12; i++) {
      const commit = await reader.next(signal)
      assertSameBatch((await reader.readBlock(commit, 0, signal))!, rows(i * 2, 2))
    }
  })

  await t.test('large commits are read in ranges', async () => {
    await using writer = await ChainWriter.open(log, chain, { writer: 'big', signal })
    const batch = bulk(5000, 1000)
    const inline = bulk(2000, 1000)
    await writer.commit(
      {
        entries: [
          { kind: 'rows', topic: 'big', batch },
          { kind: 'rows', topic: 'a', batch: rows(24, 2) },
        ],
      },
      signal,
    )
    const entry = { kind: 'rows', topic: 'big', batch: inline } as const
    const second = await writer.commit({ entries: [entry, { ...entry, topic: 'big2' }] }, signal)
    const fresh = await openLog(direct, { signal })
    await using reader = ChainReader.open(fresh, chain, second.seq - 1)
    const first = await reader.next(signal)
    assertSameBatch((await reader.readBlock(first, 1, signal))!, rows(24, 2))
    assertSameBatch((await reader.readBlock(first, 0, signal))!, batch)
    const next = await reader.next(signal)
    assertSameBatch((await reader.readBlock(next, 0, signal))!, inline)
    assertSameBatch((await reader.readBlock(next, 1, signal))!, inline)
  })

  await t.test('the later of two writers wins, also over a server that was killed', async () => {
    await using old = await ChainWriter.open(log, chain, { writer: 'old', signal })
    await old.commit({ entries: [], position: 'before' }, signal)
    await server.restart()
    // SeaweedFS answers 500 until all its parts found each other again: tried again, as a task does.
    await using young = await waitFor('the server to serve again', async () =>
      ChainWriter.open(other, chain, { writer: 'young', signal }),
    )
    assert.equal(young.head.position, 'before', 'what was acknowledged survived the kill')
    await assert.rejects(
      old.commit({ entries: [], position: 'after' }, signal),
      failsWith('log.fenced'),
    )
    await young.commit({ entries: [], position: 'young' }, signal)
    assert.equal((await readHead(other, chain, signal))?.position, 'young')
  })
})
