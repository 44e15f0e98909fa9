/**
 * Schema changes: what is said leads from the one schema to the other, `widen` never loses a value,
 * and the order of types is one. Attacks invariant 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  fieldChanges,
  keyNames,
  schemaChanges,
  type SchemaChange,
} from '../../../core/record/schema-change.ts'
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import { holdsType } from '../../../core/record/type-order.ts'
import { sameType, typeName, type LogicalType } from '../../../core/record/types.ts'
import { anySchema, anyType } from '../../support/batches.ts'

/** As sets: the order of fields is no change. */
function content(fields: readonly Field[]): readonly string[] {
  return fields
    .map(({ name, type, nullable }) => `${name} ${typeName(type)} ${nullable}`)
    .toSorted()
}

/** What a target does that is told the changes one by one. */
function applied(
  from: Schema,
  changes: readonly SchemaChange[],
): { fields: Field[]; key: string[] } {
  let fields = [...from.fields]
  let key = [...keyNames(from)]
  for (const change of changes) {
    if (change.kind === 'add') fields.push(change.to)
    else if (change.kind === 'drop') {
      assert.ok(fields.some(({ name }) => name === change.from.name))
      fields = fields.filter(({ name }) => name !== change.from.name)
    } else if (change.kind === 'key') {
      assert.deepEqual(change.from, keyNames(from))
      key = [...change.to]
    } else {
      const at = fields.findIndex(({ name }) => name === change.from.name)
      assert.deepEqual(fields[at], change.from)
      fields[at] = change.to
      if (change.kind === 'rename')
        key = key.map((name) => (name === change.from.name ? change.to.name : name))
    }
  }
  return { fields, key }
}

/** Two schemas that have much in common. */
const related = anySchema(6).chain((from) =>
  fc
    .tuple(
      fc.shuffledSubarray([...from.fields]),
      fc.array(
        fc.record({
          at: fc.nat(6),
          type: fc.option(anyType, { nil: null }),
          name: fc.option(fc.string({ minLength: 1, maxLength: 5 }), { nil: null }),
          nullable: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
      fc.boolean(),
    )
    .map(([some, edits, shuffled]): readonly [Schema, Schema] => {
      const fields = shuffled ? [...some] : [...from.fields]
      for (const { at, type, name, nullable } of edits) {
        const old = fields[at]
        const edited = {
          name: name ?? old?.name ?? 'fresh',
          type: type ?? old?.type ?? { kind: 'int32' as const },
          nullable,
        }
        if (fields.some((field, i) => field.name === edited.name && i !== at)) continue
        fields[Math.min(at, fields.length)] = edited
      }
      return [from, makeSchema(fields, fields.length === 0 ? [] : [0], from.changelog)]
    }),
)

test('the changes lead from the one schema to the other', () => {
  fc.assert(
    fc.property(related, ([from, to]) => {
      const { fields, key } = applied(from, schemaChanges(from, to))
      assert.deepEqual(content(fields), content(to.fields))
      assert.deepEqual(key, keyNames(to))
    }),
  )
})

test('the same fields and key are no change, in whatever order', () => {
  fc.assert(
    fc.property(anySchema(), fc.gen(), (schema, gen) => {
      const fields = gen(() =>
        fc.shuffledSubarray([...schema.fields], { minLength: schema.fields.length }),
      )
      const key = keyNames(schema).map((name) => fields.findIndex((field) => field.name === name))
      assert.deepEqual(schemaChanges(schema, makeSchema(fields, key, 'append')), [])
    }),
  )
})

const ladder: readonly LogicalType[] = [
  ...(
    ['int16', 'int32', 'int64', 'uint64', 'float32', 'float64', 'text', 'json', 'uuid'] as const
  ).map((kind): LogicalType => ({ kind })),
  { kind: 'other', name: 'mood' },
  ...[4, 5, 9, 10, 18, 19, 20, 25].flatMap((precision) =>
    [0, 2, 5].map((scale): LogicalType => ({ kind: 'decimal', precision, scale })),
  ),
  { kind: 'decimal', precision: null, scale: null },
]
const orderedType = fc.oneof(fc.constantFrom(...ladder), anyType)

test('holding is a partial order: reflexive, antisymmetric, transitive', () => {
  for (const a of ladder) {
    for (const b of ladder) {
      for (const c of ladder) {
        if (holdsType(b, a) && holdsType(c, b)) {
          assert.ok(holdsType(c, a), `${typeName(a)} ≤ ${typeName(b)} ≤ ${typeName(c)}`)
        }
      }
    }
  }
  fc.assert(
    fc.property(orderedType, orderedType, (a, b) => {
      assert.ok(holdsType(a, a))
      if (holdsType(a, b) && holdsType(b, a)) assert.ok(sameType(a, b))
    }),
  )
})

test('every pair is as the table says', () => {
  const decimal = (precision: number | null, scale: number | null): LogicalType => ({
    kind: 'decimal',
    precision,
    scale,
  })
  const widens: [LogicalType, LogicalType][] = [
    [{ kind: 'int16' }, { kind: 'int32' }],
    [{ kind: 'int32' }, { kind: 'int64' }],
    [{ kind: 'int64' }, decimal(19, 0)],
    [{ kind: 'uint64' }, decimal(20, 0)],
    [{ kind: 'int32' }, decimal(12, 2)],
    [decimal(10, 2), decimal(12, 4)],
    [decimal(10, 2), decimal(null, null)],
    [{ kind: 'float32' }, { kind: 'float64' }],
    [{ kind: 'int32' }, { kind: 'float64' }],
    [{ kind: 'int64' }, { kind: 'text' }],
    [{ kind: 'other', name: 'mood' }, { kind: 'text' }],
    [
      { kind: 'list', element: { kind: 'int32' } },
      { kind: 'list', element: { kind: 'int64' } },
    ],
  ]
  const narrows: [LogicalType, LogicalType][] = [
    [{ kind: 'int64' }, { kind: 'int32' }],
    [{ kind: 'int64' }, { kind: 'uint64' }],
    [{ kind: 'int64' }, decimal(18, 0)],
    [{ kind: 'int64' }, { kind: 'float64' }],
    [{ kind: 'int32' }, { kind: 'float32' }],
    [decimal(10, 2), decimal(12, 1)],
    [decimal(10, 2), decimal(11, 4)],
    [decimal(10, 2), { kind: 'text' }],
    [{ kind: 'date' }, { kind: 'timestamp' }],
    [{ kind: 'timestamp' }, { kind: 'timestamptz' }],
    [{ kind: 'text' }, { kind: 'json' }],
    [{ kind: 'text' }, { kind: 'bytes' }],
    [{ kind: 'bool' }, { kind: 'int16' }],
  ]
  for (const [pairs, kind] of [
    [widens, 'widen'],
    [narrows, 'narrow'],
  ] as const) {
    for (const [from, to] of pairs) {
      const [change, ...others] = fieldChanges(
        { name: 'c', type: from, nullable: true },
        { name: 'c', type: to, nullable: true },
      )
      assert.equal(change?.kind, kind, `${typeName(from)} → ${typeName(to)}`)
      assert.deepEqual(others, [])
    }
  }
})

test('a type and its NULL are two changes, so that one can be refused', () => {
  const from: Field = { name: 'c', type: { kind: 'int32' }, nullable: true }
  const to: Field = { name: 'c', type: { kind: 'int64' }, nullable: false }
  assert.deepEqual(
    fieldChanges(from, to).map(({ kind }) => kind),
    ['widen', 'narrow'],
  )
})

test('a rename is one field gone and one new at its place; two are drops and adds', () => {
  const text = (name: string): Field => ({ name, type: { kind: 'text' }, nullable: true })
  const kinds = (before: string[], after: string[]): string[] =>
    schemaChanges(
      makeSchema(before.map(text), [0], 'upsert'),
      makeSchema(after.map(text), [0], 'upsert'),
    ).map(({ kind }) => kind)
  assert.deepEqual(kinds(['a', 'b'], ['a', 'c']), ['rename'])
  assert.deepEqual(
    kinds(['a', 'b'], ['c', 'b']),
    ['rename'],
    'of a key field: the key goes with it',
  )
  assert.deepEqual(kinds(['k', 'a', 'b'], ['k', 'c', 'd']), ['drop', 'drop', 'add', 'add'])
  assert.deepEqual(kinds(['k', 'a', 'b'], ['k', 'b', 'c']), ['drop', 'add'], 'not at its place')
  assert.deepEqual(kinds(['k', 'a'], ['k', 'b', 'a']), ['add'])
})
