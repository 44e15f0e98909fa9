/**
 * What makes a schema another one, as single changes that a policy can judge.
 *
 * A schema names its fields and nothing else, so that a rename is a guess: exactly one field gone and
 * exactly one new at its place, of the same type. Two renames at once are drops and adds.
 *
 * The order of the fields and the changelog are no changes: targets know columns by their names, and
 * what a −1 row holds is said by each batch.
 */
import type { Field, Schema } from './schema.ts'
import { holdsType } from './type-order.ts'
import { sameType } from './types.ts'

export type SchemaChange =
  /** A field that was not there before. */
  | { readonly kind: 'add'; readonly to: Field }
  /** The new type, or NULL allowed now, holds every value of the old one. */
  | { readonly kind: 'widen'; readonly from: Field; readonly to: Field }
  /** Some values of the old type have no place in the new one. */
  | { readonly kind: 'narrow'; readonly from: Field; readonly to: Field }
  | { readonly kind: 'rename'; readonly from: Field; readonly to: Field }
  | { readonly kind: 'drop'; readonly from: Field }
  /** Other key fields, or another order of them; not where one was renamed. `from` and `to` are names. */
  | { readonly kind: 'key'; readonly from: readonly string[]; readonly to: readonly string[] }

/**
 * What leads from one schema to the other, in an order in which it can be done: renames, types, drops,
 * adds, the key. None when the two have the same fields and the same key.
 */
export function schemaChanges(from: Schema, to: Schema): readonly SchemaChange[] {
  const changes: SchemaChange[] = []
  const renamed = renameBetween(from.fields, to.fields)
  for (const field of from.fields) {
    const target = field === renamed?.from ? renamed.to : named(to.fields, field.name)
    if (target !== undefined) changes.push(...fieldChanges(field, target))
  }
  for (const field of from.fields) {
    const gone = field !== renamed?.from && named(to.fields, field.name) === undefined
    if (gone) changes.push({ kind: 'drop', from: field })
  }
  for (const field of to.fields) {
    const fresh = field !== renamed?.to && named(from.fields, field.name) === undefined
    if (fresh) changes.push({ kind: 'add', to: field })
  }
  const before = keyNames(from)
  const followed = before.map((name) => (name === renamed?.from.name ? renamed.to.name : name))
  const after = keyNames(to)
  if (!sameNames(followed, after)) changes.push({ kind: 'key', from: before, to: after })
  return changes
}

/**
 * What makes one field the other: its name, then its type, then whether it takes NULL, each a change of
 * its own, so that a policy that refuses the one can allow the other.
 */
export function fieldChanges(from: Field, to: Field): SchemaChange[] {
  const changes: SchemaChange[] = []
  let at = from
  const step = (kind: 'rename' | 'widen' | 'narrow', next: Field): void => {
    changes.push({ kind, from: at, to: next })
    at = next
  }
  if (from.name !== to.name) step('rename', { ...at, name: to.name })
  if (!sameType(from.type, to.type)) {
    step(holdsType(to.type, from.type) ? 'widen' : 'narrow', { ...at, type: to.type })
  }
  if (from.nullable !== to.nullable) step(to.nullable ? 'widen' : 'narrow', { ...to })
  return changes
}

/** The one field that has another name in `to`, if it looks so. */
export function renameBetween(
  from: readonly Field[],
  to: readonly Field[],
): { readonly from: Field; readonly to: Field } | null {
  const gone = from.filter(({ name }) => named(to, name) === undefined)
  const fresh = to.filter(({ name }) => named(from, name) === undefined)
  const [before, after] = [gone[0], fresh[0]]
  if (before === undefined || after === undefined || gone.length + fresh.length > 2) return null
  if (from.indexOf(before) !== to.indexOf(after) || !sameType(before.type, after.type)) return null
  return { from: before, to: after }
}

/** The names of the key's fields, in key order. */
export function keyNames({ key, fields }: Schema): readonly string[] {
  return key.map((index) => fields[index]!.name)
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}

function named(fields: readonly Field[], name: string): Field | undefined {
  return fields.find((field) => field.name === name)
}
