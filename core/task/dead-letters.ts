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
import { makeBatch, Op, opNames, type Batch } from '../record/batch.ts'
import { builderFor, type AnyBuilder } from '../record/builder.ts'
import { BytesBuilder } from '../record/bytes-builder.ts'
import { jsonRows } from '../record/json.ts'
import { makeSchema, type Field, type Schema } from '../record/schema.ts'
import type { SimpleKind } from '../record/types.ts'
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

type Put = (builder: AnyBuilder, letter: LetterRow) => void

interface Column extends Field {
  readonly put: Put
}

const columns: readonly Column[] = [
  column('topic', 'text', false, ({ topic }) => topic),
  column('offset', 'int64', true, ({ offset }) => offset),
  column('code', 'text', false, ({ code }) => code),
  column('message', 'text', false, ({ message }) => message),
  column('attempts', 'int32', false, ({ attempts }) => attempts),
  column('row', 'json', true, ({ row }) => row && rowText(row.batch, row.row)),
  column('at', 'timestamptz', false, ({ atUs }) => atUs),
  column('letter', 'int64', true, ({ letter }) => letter),
  column('state', 'text', true, ({ state }) => state),
  column('first_at', 'timestamptz', true, ({ firstUs }) => firstUs),
  column('op', 'text', true, ({ row }) => row && (opNames[row.batch.ops[row.row]!] ?? null)),
  column('weight', 'int32', true, ({ row }) => row && row.batch.weights[row.row]!),
  column('time', 'timestamptz', true, ({ row }) => row && row.batch.timesUs[row.row]!),
  column('key', 'json', true, ({ row }) => row && keyText(row)),
  column('schema', 'json', true, ({ row }) => row && schemaText(row.batch.schema)),
  column('bytes', 'bytes', true, ({ row }) => row && rowBytes(row)),
  column('request', 'text', true, ({ request }) => request),
  column('due_at', 'timestamptz', true, ({ waits }) => waits?.dueUs ?? null),
  column('lane', 'text', true, ({ waits }) => waits?.lane ?? null),
  column('wait_group', 'text', true, ({ waits }) => waits?.group ?? null),
]

export const deadLetterSchema = makeSchema(
  columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
  [],
  'append',
)

function column(
  name: string,
  kind: SimpleKind,
  nullable: boolean,
  value: (letter: LetterRow) => string | number | Uint8Array | null,
): Column {
  const put: Put = (builder, letter) => {
    const found = value(letter)
    if (found === null) builder.appendNull()
    else if (builder instanceof BytesBuilder) {
      if (typeof found === 'string') builder.appendString(found)
      else if (typeof found !== 'number') builder.append(found, 0, found.length)
    } else if ('append' in builder) builder.append(Number(found))
  }
  return { name, type: { kind }, nullable, put }
}

export function deadLetterBatch(letters: readonly LetterRow[]): Batch {
  const built = columns.map(({ type, put }) => {
    const builder = builderFor(type)
    for (const letter of letters) put(builder, letter)
    return builder.finish()
  })
  const count = letters.length
  return makeBatch(
    deadLetterSchema,
    built,
    new Int32Array(count).fill(1),
    new Uint8Array(count).fill(Op.insert),
    Float64Array.from(letters, ({ atUs }) => atUs),
  )
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
