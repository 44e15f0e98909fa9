/** Records that were set aside, decoded once more: nothing of the request they came in is lost (invariant 5). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import type { RejectedRecords } from '../../../core/connector/format/format.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { HttpServer } from '../../../core/hub/http-server.ts'
import { textAt } from '../../../core/record/value.ts'
import { quietContext } from '../../support/context.ts'
import { orders, serverSettings } from './support.ts'

const beside = {
  path: '/in/:region',
  columns: { region: 'path.region', at: 'received', k: 'idempotency_key' },
  idempotency: { from: 'header.k' },
  on_bad_row: 'dead_letter',
}

function rowsOf(batches: Pick<SourceBatch, 'changes'>): (string | null)[][] {
  return batches.changes.flatMap((change) => {
    if (change.topic !== 'orders' || !('batch' in change)) return []
    const { columns, schema, rows } = change.batch
    return Array.from({ length: rows }, (_, row) =>
      columns.map((column, i) => textAt(schema.fields[i]!.type, column, row)),
    )
  })
}

test('a letter keeps the columns of its request, and a wider schema reads it', async () => {
  await using server = new HttpServer(serverSettings, quietContext().logger)
  const ctx = { ...quietContext(), http: server }
  const narrow = http.config.parse(orders({ ...beside, schema: { id: 'int16', note: 'text?' } }))
  await using source = await http.open(narrow, ctx)
  const batches = source.read(null, new AbortController().signal)[Symbol.asyncIterator]()
  await batches.next()
  const next = batches.next()
  while (server.port === null) await new Promise((resolve) => setTimeout(resolve, 5))
  const asked = fetch(`http://127.0.0.1:${server.port}/in/eu`, {
    method: 'POST',
    headers: { k: 'K', 'content-type': 'application/json' },
    body: '[{"id":1},{"id":70000,"note":"ä"}]',
  })
  const { value } = (await next) as { readonly value: SourceBatch }
  const [letters] = value.rejected as readonly RejectedRecords[]
  assert.equal(letters!.batch.rows, 1)
  assert.match(letters!.errors[0]!.message, /id: expected int16/)
  await source.ack(value.position!)
  assert.deepEqual(await (await asked).json(), { accepted: 1, set_aside: 1 })
  const [first] = rowsOf(value)

  const wide = http.config.parse(orders({ ...beside, schema: { id: 'int64', note: 'text?' } }))
  await using again = await http.open(wide, ctx)
  const signal = new AbortController().signal
  const decoded = (await again.decodeAgain!('orders', letters!.batch, signal))!
  assert.deepEqual(decoded.rejected, [])
  // The time is that of the request too.
  assert.deepEqual(rowsOf(decoded), [['70000', 'ä', 'eu', first![3]!, 'K']])

  await using still = await http.open(narrow, ctx)
  const refused = (await still.decodeAgain!('orders', letters!.batch, signal))!
  assert.equal(await still.decodeAgain!('others', letters!.batch, signal), null)
  assert.deepEqual(
    refused.rejected[0]!.errors.map(({ message }) => message),
    letters!.errors.map(({ message }) => message),
  )
  assert.deepEqual(rowsOf(refused), [])
})
