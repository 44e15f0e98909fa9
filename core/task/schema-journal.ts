/**
 * What was decided about changes of a topic's shape, as rows of the topic `<sink>.schema_changes`: in the
 * chain of the sink's task, in the commit that uses the decision, readable by `sluice tap` and by sinks.
 */
import type { SchemaAction } from '../connector/schema-policy.ts'
import type { Batch } from '../record/batch.ts'
import { optional, RecordTable, required } from '../record/records.ts'
import type { Field } from '../record/schema.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import { typeName } from '../record/types.ts'

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

interface Decided extends DecisionAt {
  readonly nowMs: number
}

const table = new RecordTable<Decided>(
  [
    required('topic', 'text', ({ topic }) => topic),
    required('offset', 'int64', ({ offset }) => offset),
    required('change', 'text', ({ change }) => change.kind),
    optional('column', 'text', ({ change }) => names(change)),
    optional('from', 'text', ({ change }) => ('from' in change ? said(change.from) : null)),
    optional('to', 'text', ({ change }) => ('to' in change ? said(change.to) : null)),
    required('action', 'text', ({ action }) => action),
    required('why', 'text', ({ why }) => why),
    required('at', 'timestamptz', ({ nowMs }) => nowMs * 1000),
  ],
  ({ nowMs }) => nowMs * 1000,
)

export function schemaChangesBatch(rows: readonly DecisionAt[], nowMs: number): Batch {
  return table.batch(rows.map((row) => ({ ...row, nowMs })))
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
