/** Dead letters: rows set aside with their reason, a topic of the chain of the task that met them. */
import { makeBatch, Op, type Batch } from '../record/batch.ts'
import { BytesBuilder } from '../record/bytes-builder.ts'
import { Int32Builder, NumberBuilder } from '../record/builder.ts'
import { jsonRows } from '../record/json.ts'
import { makeSchema } from '../record/schema.ts'

export interface DeadLetter {
  readonly topic: string
  /** Of the row in its topic; null where it is not known. */
  readonly offset: number | null
  readonly code: string
  readonly message: string
  readonly attempts: number
  /** The row as JSON text; null where it is not at hand. */
  readonly row: string | null
}

export const deadLetterSchema = makeSchema(
  [
    { name: 'topic', type: { kind: 'text' }, nullable: false },
    { name: 'offset', type: { kind: 'int64' }, nullable: true },
    { name: 'code', type: { kind: 'text' }, nullable: false },
    { name: 'message', type: { kind: 'text' }, nullable: false },
    { name: 'attempts', type: { kind: 'int32' }, nullable: false },
    { name: 'row', type: { kind: 'json' }, nullable: true },
    { name: 'at', type: { kind: 'timestamptz' }, nullable: false },
  ],
  [],
  'append',
)

export function deadLetterBatch(letters: readonly DeadLetter[], nowMs: number): Batch {
  const topics = new BytesBuilder()
  const offsets = new NumberBuilder()
  const codes = new BytesBuilder()
  const messages = new BytesBuilder()
  const attempts = new Int32Builder()
  const rows = new BytesBuilder()
  const times = new NumberBuilder()
  for (const letter of letters) {
    topics.appendString(letter.topic)
    if (letter.offset === null) offsets.appendNull()
    else offsets.append(letter.offset)
    codes.appendString(letter.code)
    messages.appendString(letter.message)
    attempts.append(letter.attempts)
    if (letter.row === null) rows.appendNull()
    else rows.appendString(letter.row)
    times.append(nowMs * 1000)
  }
  const columns = [topics, offsets, codes, messages, attempts, rows, times].map((b) => b.finish())
  const count = letters.length
  return makeBatch(
    deadLetterSchema,
    columns,
    new Int32Array(count).fill(1),
    new Uint8Array(count).fill(Op.insert),
    new Float64Array(count).fill(nowMs * 1000),
  )
}

/** A row as JSON; null where a text in it is not UTF-8, which JSON cannot hold: the letter still tells its offset. */
export function rowText(batch: Batch, row: number): string | null {
  try {
    return jsonRows(batch)(row)
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
}
