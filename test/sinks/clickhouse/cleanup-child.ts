/** A process that delivers a deletion of long ago and dies while it is cleaned up; see cleanup.it.test.ts. */
import { makeSchema } from '../../../core/record/schema.ts'
import { batchOf } from '../../conformance/rows.ts'
import { keptContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'
import { openSink, send } from './harness.ts'

export const cleanedSchema = makeSchema(
  [{ name: 'k', type: { kind: 'int32' }, nullable: false }],
  [0],
  'upsert',
)
export const cleanup = { deleted_after: '30d', every: '1m' }
const longAgoUs = 1.5e15
export const oldRow = batchOf(cleanedSchema, [{ values: { k: 1 }, timeUs: longAgoUs }])
export const oldDeletion = batchOf(cleanedSchema, [
  { weight: -1, values: { k: 1 }, timeUs: longAgoUs },
])

const [, program, url, topic] = process.argv
if (program === import.meta.filename) {
  const context = keptContext()
  await using sink = await openSink({ url: url!, cleanup }, context)
  await send(sink, topic!, oldDeletion, { offset: 1 })
  await waitFor('the round', async () => context.hasLogged('removed'))
}
