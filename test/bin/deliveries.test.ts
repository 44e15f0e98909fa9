/** `deliveries` searches what came of attempts in the log of a sink, the newest first. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'node:test'
import { openLog } from '../../core/log/log.ts'
import { ChainWriter } from '../../core/log/writer.ts'
import { openStore } from '../../core/store/open.ts'
import { deliveryBatch, type DeliveryRow } from '../../sinks/webhook/deliveries.ts'
import { tempDir } from '../support/env.ts'
import { sluice } from './support.ts'

const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  pg: { type: postgres, url: 'postgres://u:p@127.0.0.1:1/x', tables: [public.orders] }
sinks:
  hooks: { type: webhook, url: \${env.NOT_SET}, secret: \${env.NOT_SET}, from: orders }
`
const startMs = Date.UTC(2026, 0, 1)

/** Longer than a cell of a table is. */
const idOf = (n: number): string => `shop_${'orders-'.repeat(10)}_${n}`

/** Attempt n, n minutes after the year began. */
function attempt(n: number, status: number | null): DeliveryRow {
  return {
    atMs: startMs + n * 60_000,
    topic: 'pg.public.orders',
    offset: n,
    id: idOf(n),
    endpoint: `hooks.example.com/t${n % 2}`,
    attempt: 1,
    status,
    ms: 12,
    outcome: status === 200 ? 'delivered' : 'retry',
    error: status === 200 ? null : 'failed',
    bytes: 100,
  }
}

test('deliveries: by endpoint, status, time and id; in three forms', async () => {
  using dir = tempDir('deliveries')
  const file = join(dir.path, 'shop.yaml')
  writeFileSync(file, yaml)
  const { signal } = new AbortController()
  {
    await using store = openStore(pathToFileURL(join(dir.path, 'log')).href)
    const log = await openLog(store, { signal })
    await using writer = await ChainWriter.open(log, 'shop.sink.hooks', { writer: 'test', signal })
    const statuses = [200, 500, 503, null, 200, 500]
    for (const [n, status] of statuses.entries()) {
      const batch = deliveryBatch([attempt(n, status)])
      await writer.commit({ entries: [{ kind: 'rows', topic: 'hooks.deliveries', batch }] }, signal)
    }
  }
  const found = async (...args: string[]): Promise<unknown[]> => {
    const { stdout, code } = await sluice(['deliveries', file, '--format', 'jsonl', ...args])
    assert.equal(code, 0)
    const lines = stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => (JSON.parse(line) as { offset: number }).offset)
  }
  assert.deepEqual(await found(), [5, 4, 3, 2, 1, 0])
  assert.deepEqual(await found('--status', '5xx'), [5, 2, 1])
  assert.deepEqual(await found('--status', 'none'), [3])
  assert.deepEqual(await found('--endpoint', '/t0', '--outcome', 'retry'), [2])
  assert.deepEqual(await found('--since', '2026-01-01T00:03:00Z', '--limit', '2'), [5, 4])
  assert.deepEqual(await found('--id', idOf(1)), [1])
  const table = await sluice(['deliveries', file, '--status', '503'])
  assert.match(table.stdout, /hooks\.example\.com\/t0 +503 +retry/)
  assert.match(table.stdout, /^2026-01-01T00:02:00Z /m)
  assert.ok(table.stdout.includes(`${idOf(2)}  failed`), 'an id is there to be copied')
  const none = await sluice(['deliveries', file, '--endpoint', 'nowhere'])
  assert.deepEqual([none.code, none.stdout], [0, ''])
  assert.match(none.stderr, /no attempt matches/)
  const wrong = await sluice(['deliveries', file, '--status', 'bad'])
  assert.equal(wrong.code, 2)
})
