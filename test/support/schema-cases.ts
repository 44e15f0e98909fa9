/**
 * The cases of docs/schema-changes.md: for each kind of change a topic before it and after it, and what
 * a target shows for each action. The expectations are written by hand, for any target alike.
 */
import type { ChangeKind, SchemaAction } from '../../core/connector/schema-policy.ts'
import type { LogEntry } from '../../core/log/types.ts'
import { makeSchema, type Field } from '../../core/record/schema.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { batchOf, type Value } from '../conformance/rows.ts'

/** What a reader of a target sees: rows by their `k`, values as text, null where there is none. */
export type SeenRows = Readonly<Record<string, Readonly<Record<string, string | null>>>>

export interface Expected {
  readonly rows: SeenRows
  /** Columns that the target has, or must not have. */
  readonly has?: readonly string[]
  readonly lacks?: readonly string[]
  /** Rows set aside. */
  readonly letters?: number
}

export interface SchemaCase {
  readonly name: string
  readonly kind: ChangeKind
  /** Of a `narrow`: whether the old type holds every new value. */
  readonly holds: boolean
  readonly entries: (topic: string) => readonly LogEntry[]
  /** Offset after the last row. */
  readonly end: number
  /** After `apply`, `keep` or `ignore`; `absorbs`: old rows have the shape that they had. */
  readonly expected: (action: SchemaAction, absorbs: boolean) => Expected
}

type Fields = Readonly<Record<string, LogicalType | null>>
type Values = Readonly<Record<string, Value>>

const int32: LogicalType = { kind: 'int32' }
const int64: LogicalType = { kind: 'int64' }
const float64: LogicalType = { kind: 'float64' }
const text: LogicalType = { kind: 'text' }
const large = 2 ** 40

function entry(fields: Fields, key: readonly string[], given: readonly Values[]) {
  return (topic: string): LogEntry => {
    const list = Object.entries(fields).map(([name, type]): Field => {
      return { name, type: type ?? int32, nullable: !key.includes(name) && type !== null }
    })
    const places = key.map((name) => list.findIndex((field) => field.name === name))
    const rows = given.map((values) => ({ values }))
    return { kind: 'rows', topic, batch: batchOf(makeSchema(list, places, 'upsert'), rows) }
  }
}

/** Rows with the key `k` alone. */
const rows = (fields: Fields, ...given: readonly Values[]) =>
  entry({ k: null, ...fields }, ['k'], given)

function change(
  kind: ChangeKind,
  steps: readonly ((topic: string) => LogEntry)[],
  expected: SchemaCase['expected'],
  rest: Partial<SchemaCase> = {},
): SchemaCase {
  const end = steps.reduce((sum, step) => {
    const made = step('t')
    return sum + (made.kind === 'rows' ? made.batch.rows : 1)
  }, 0)
  const entries = (topic: string): readonly LogEntry[] => steps.map((step) => step(topic))
  return { name: kind, kind, holds: true, entries, end, expected, ...rest }
}

export const schemaCases: readonly SchemaCase[] = [
  change(
    'add',
    [rows({ a: int32 }, { k: 1, a: 1 }), rows({ a: int32, b: text }, { k: 2, a: 2, b: 'y' })],
    (action) =>
      action === 'apply'
        ? { rows: { 1: { a: '1', b: null }, 2: { a: '2', b: 'y' } }, has: ['b'] }
        : { rows: { 1: { a: '1' }, 2: { a: '2' } }, lacks: ['b'] },
  ),
  change(
    'widen',
    [
      rows({ a: int32 }, { k: 1, a: 1 }),
      rows({ a: int64 }, { k: 2, a: 2 }, { k: 3, a: large }, { k: 4, a: null }),
    ],
    (action) => {
      const kept = { 1: { a: '1' }, 2: { a: '2' }, 4: { a: null } }
      return action === 'apply'
        ? { rows: { ...kept, 3: { a: String(large) } } }
        : { rows: kept, letters: 1 }
    },
  ),
  change(
    'narrow',
    [rows({ a: int64 }, { k: 1, a: 1 }), rows({ a: int32 }, { k: 2, a: 2 })],
    () => ({ rows: { 1: { a: '1' }, 2: { a: '2' } } }),
    { name: 'narrow_held' },
  ),
  change(
    'narrow',
    [rows({ a: int64 }, { k: 1, a: 1 }), rows({ a: float64 }, { k: 2, a: 2 }, { k: 3, a: 0.5 })],
    (action) => {
      const kept = { 1: { a: '1' }, 2: { a: '2' } }
      return action === 'apply'
        ? { rows: { ...kept, 3: { a: '0.5' } } }
        : { rows: kept, letters: 1 }
    },
    { name: 'narrow_other', holds: false },
  ),
  change(
    'rename',
    [rows({ b: text }, { k: 1, b: 'x' }), rows({ c: text }, { k: 2, c: 'y' })],
    (action, absorbs) => {
      if (action === 'ignore') return { rows: { 1: { b: 'x' }, 2: { b: 'y' } }, lacks: ['c'] }
      if (action === 'keep') {
        const both = { 1: { b: 'x', c: null }, 2: { b: null, c: 'y' } }
        return { rows: both, has: ['b', 'c'] }
      }
      const first = absorbs ? { b: 'x' } : { c: 'x' }
      return { rows: { 1: first, 2: { c: 'y' } }, has: ['c'], lacks: ['b'] }
    },
  ),
  change(
    'drop',
    [rows({ a: int32, b: text }, { k: 1, a: 1, b: 'x' }), rows({ a: int32 }, { k: 2, a: 2 })],
    (action, absorbs) => {
      const first = action === 'apply' && !absorbs ? { a: '1' } : { a: '1', b: 'x' }
      const second = action === 'apply' ? { a: '2' } : { a: '2', b: null }
      const column = ['b']
      return {
        rows: { 1: first, 2: second },
        ...(action === 'apply' ? { lacks: column } : { has: column }),
      }
    },
  ),
  change(
    'key',
    [
      entry({ k: null, r: null }, ['k'], [{ k: 1, r: 1 }]),
      entry({ k: null, r: null }, ['k', 'r'], [{ k: 2, r: 2 }]),
    ],
    () => ({ rows: { 1: { r: '1' }, 2: { r: '2' } } }),
  ),
  change(
    'truncate',
    [
      rows({ a: int32 }, { k: 1, a: 1 }),
      (topic) => ({ kind: 'truncate', topic }),
      rows({ a: int32 }, { k: 2, a: 2 }),
    ],
    (action) => {
      const after = { 2: { a: '2' } }
      return { rows: action === 'apply' ? after : { 1: { a: '1' }, ...after } }
    },
  ),
]
