/**
 * Dead letters: rows set aside with their reason, in the topic `<task>.dead_letters` of the chain of
 * the task that met them. Append rows tell a letter's story: it opens, is refused again, is retried or
 * dropped. A letter's number is the offset of its first row in that topic.
 *
 * The row itself is kept twice: as JSON for people and for SQL, and as exact bytes with their schema,
 * so that it can be sent again although the log has forgotten it:
 *
 *   bytes  = slot*                        one per field of the schema (core/record/value-bytes.ts)
 *   schema = {"fields": […], "key": […], "changelog": …}
 *
 * Letters from before the columns behind `at` were added have none of them; dead-letter-entry.ts reads
 * both.
 */
import { opNames, type Batch } from '../record/batch.ts'
import { jsonRows } from '../record/json.ts'
import { optional, RecordTable, required } from '../record/records.ts'
import type { Schema } from '../record/schema.ts'
import { ValueWriter } from '../record/value-bytes.ts'

/** A row where it stands; a letter copies it when it is committed. */
export interface RowPlace {
  readonly batch: Batch
  readonly row: number
}

/** What a task knows of a row that it sets aside. */
export interface DeadLetter {
  readonly topic: string
  /** Of the row in its topic; null where it is not known. */
  readonly offset: number | null
  readonly code: string
  readonly message: string
  readonly attempts: number
  /** null where it is not at hand. */
  readonly row: RowPlace | null
  /** It is sent again by itself. */
  readonly waits?: LetterWait
}

/** Until when a row waits, behind what, and for whom; see core/connector/waiting.ts. */
export interface LetterWait {
  readonly dueUs: number
  readonly lane: string
  readonly group: string
}

/** `waiting`: not delivered yet, and tried again by itself. */
export type LetterState = 'open' | 'waiting' | 'retried' | 'dropped'

/** Whether nothing more is to be done about a letter. */
export function isOver(state: LetterState): boolean {
  return state === 'retried' || state === 'dropped'
}

/** One row of the topic. */
export interface LetterRow extends DeadLetter {
  /** Number of the letter that this row goes on with; null in a letter's first row. */
  readonly letter: number | null
  readonly state: LetterState
  /** When it was refused first, and when this happened. */
  readonly firstUs: number
  readonly atUs: number
  /** What asked for this (requests.ts); null when nobody did. */
  readonly request: string | null
}

const table = new RecordTable<LetterRow>(
  [
    required('topic', 'text', ({ topic }) => topic),
    optional('offset', 'int64', ({ offset }) => offset),
    required('code', 'text', ({ code }) => code),
    required('message', 'text', ({ message }) => message),
    required('attempts', 'int32', ({ attempts }) => attempts),
    optional('row', 'json', ({ row }) => row && rowText(row.batch, row.row)),
    required('at', 'timestamptz', ({ atUs }) => atUs),
    optional('letter', 'int64', ({ letter }) => letter),
    optional('state', 'text', ({ state }) => state),
    optional('first_at', 'timestamptz', ({ firstUs }) => firstUs),
    optional('op', 'text', ({ row }) => row && (opNames[row.batch.ops[row.row]!] ?? null)),
    optional('weight', 'int32', ({ row }) => row && row.batch.weights[row.row]!),
    optional('time', 'timestamptz', ({ row }) => row && row.batch.timesUs[row.row]!),
    optional('key', 'json', ({ row }) => row && keyText(row)),
    optional('schema', 'json', ({ row }) => row && schemaText(row.batch.schema)),
    optional('bytes', 'bytes', ({ row }) => row && rowBytes(row)),
    optional('request', 'text', ({ request }) => request),
    optional('due_at', 'timestamptz', ({ waits }) => waits?.dueUs ?? null),
    optional('lane', 'text', ({ waits }) => waits?.lane ?? null),
    optional('wait_group', 'text', ({ waits }) => waits?.group ?? null),
  ],
  ({ atUs }) => atUs,
)

export function deadLetterBatch(letters: readonly LetterRow[]): Batch {
  return table.batch(letters)
}

/** The first row of a letter. */
export function newLetter(letter: DeadLetter, nowMs: number): LetterRow {
  const atUs = nowMs * 1000
  const state = letter.waits === undefined ? 'open' : 'waiting'
  return { ...letter, letter: null, state, firstUs: atUs, atUs, request: null }
}

/** A row as JSON; null where a text in it is not UTF-8, which JSON cannot hold: its bytes are kept still. */
function rowText(batch: Batch, row: number, fields?: readonly number[]): string | null {
  try {
    return jsonRows(batch, fields)(row)
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
}

function keyText({ batch, row }: RowPlace): string | null {
  const { key } = batch.schema
  return key.length === 0 ? null : rowText(batch, row, key)
}

/** All values of a row, one slot a field. */
export function rowBytes({ batch, row }: RowPlace): Uint8Array {
  const writer = new ValueWriter(256)
  batch.schema.fields.forEach(({ type }, i) => writer.slot(type, batch.columns[i]!, row))
  return writer.since(0)
}

const schemaTexts = new WeakMap<Schema, string>()

export function schemaText(schema: Schema): string {
  const { fields, key, changelog } = schema
  const known = schemaTexts.get(schema)
  if (known !== undefined) return known
  const text = JSON.stringify({ fields, key, changelog })
  schemaTexts.set(schema, text)
  return text
}
