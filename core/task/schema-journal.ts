/**
 * What was decided about changes of a topic's shape, as rows of the topic `<sink>.schema_changes`: in the
 * chain of the sink's task, in the commit that uses the decision, readable by `sluice tap` and by sinks.
 */
import type { SchemaAction } from '../connector/schema-policy.ts'
import { makeBatch, Op, type Batch } from '../record/batch.ts'
import { builderFor } from '../record/builder.ts'
import { BytesBuilder } from '../record/bytes-builder.ts'
import { makeSchema, type Field } from '../record/schema.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import { typeName, type SimpleKind } from '../record/types.ts'

export interface SchemaDecision {
  readonly change: SchemaChange | { readonly kind: 'truncate' }
  readonly action: SchemaAction
  readonly why: string
}

/** A decision with its place: the first row that comes after the change. */
export interface DecisionAt extends SchemaDecision {
  readonly topic: string
  readonly offset: number
}

interface Column {
  readonly name: string
  readonly kind: SimpleKind
  readonly nullable: boolean
  readonly value: (row: DecisionAt, nowMs: number) => string | number | null
}

const columns: readonly Column[] = [
  column('topic', 'text', false, ({ topic }) => topic),
  column('offset', 'int64', false, ({ offset }) => offset),
  column('change', 'text', false, ({ change }) => change.kind),
  column('column', 'text', true, ({ change }) => names(change)),
  column('from', 'text', true, ({ change }) => ('from' in change ? said(change.from) : null)),
  column('to', 'text', true, ({ change }) => ('to' in change ? said(change.to) : null)),
  column('action', 'text', false, ({ action }) => action),
  column('why', 'text', false, ({ why }) => why),
  column('at', 'timestamptz', false, (_, nowMs) => nowMs * 1000),
]

function column(name: string, kind: SimpleKind, nullable: boolean, value: Column['value']): Column {
  return { name, kind, nullable, value }
}

export const schemaChangesSchema = makeSchema(
  columns.map(({ name, kind, nullable }) => ({ name, type: { kind }, nullable })),
  [],
  'append',
)

export function schemaChangesBatch(rows: readonly DecisionAt[], nowMs: number): Batch {
  const built = columns.map(({ kind, value }) => {
    const builder = builderFor({ kind })
    for (const row of rows) {
      const found = value(row, nowMs)
      if (found === null) builder.appendNull()
      else if (builder instanceof BytesBuilder) builder.appendString(String(found))
      else if ('append' in builder) builder.append(Number(found))
    }
    return builder.finish()
  })
  return makeBatch(
    schemaChangesSchema,
    built,
    new Int32Array(rows.length).fill(1),
    new Uint8Array(rows.length).fill(Op.insert),
    new Float64Array(rows.length).fill(nowMs * 1000),
  )
}

/** The column that a change is about, under the name it had. */
function names(change: SchemaDecision['change']): string | null {
  if (change.kind === 'truncate' || change.kind === 'key') return null
  return change.kind === 'add' ? change.to.name : change.from.name
}

function said(side: Field | readonly string[]): string {
  if ('name' in side) return `${side.name} ${typeText(side)}`
  return `(${side.join(', ')})`
}

function typeText({ type, nullable }: Field): string {
  return `${typeName(type)}${nullable ? '' : ' not null'}`
}

/** The change as a phrase for messages: `column note (text) dropped`. */
export function describeChange(change: SchemaDecision['change']): string {
  switch (change.kind) {
    case 'add':
      return `column ${change.to.name} (${typeText(change.to)}) added`
    case 'drop':
      return `column ${change.from.name} (${typeText(change.from)}) dropped`
    case 'rename':
      return `column ${change.from.name} renamed to ${change.to.name}`
    case 'widen':
    case 'narrow':
      return `column ${change.from.name} is ${typeText(change.to)} instead of ${typeText(change.from)}`
    case 'key':
      return `the key is (${change.to.join(', ')}) instead of (${change.from.join(', ')})`
    case 'truncate':
      return 'all rows removed (truncate)'
  }
}
