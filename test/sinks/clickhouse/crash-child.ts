/** A process that delivers one batch and dies by a failpoint; see exactly-once.it.test.ts. */
import { makeSchema } from '../../../core/record/schema.ts'
import { batchOf } from '../../conformance/rows.ts'
import { openSink, send } from './harness.ts'

export const crashSchema = makeSchema(
  [{ name: 'n', type: { kind: 'int64' }, nullable: false }],
  [],
  'append',
)
export const crashBatch = batchOf(
  crashSchema,
  Array.from({ length: 50 }, (_, n) => ({ values: { n } })),
)

const url = process.argv[2]
if (url !== undefined && process.argv[1] === import.meta.filename) {
  const sink = await openSink({ url })
  await send(sink, 'src.crash', crashBatch, { id: 'crash-0' })
}
