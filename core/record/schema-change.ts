/**
 * What makes a schema another one, as single changes that a policy can judge.
 *
 * A schema names its fields and nothing else, so that a rename is a guess: exactly one field gone and
 * exactly one new at its place, of the same type. Two renames at once are drops and adds.
 */
import type { Field } from './schema.ts'

export type SchemaChange =
  /** A field that was not there before. */
  | { readonly kind: 'add'; readonly to: Field }
  /** The new type, or NULL allowed now, holds every value of the old one. */
  | { readonly kind: 'widen'; readonly from: Field; readonly to: Field }
  /** Some values of the old type have no place in the new one. */
  | { readonly kind: 'narrow'; readonly from: Field; readonly to: Field }
  | { readonly kind: 'rename'; readonly from: Field; readonly to: Field }
  | { readonly kind: 'drop'; readonly from: Field }
  /** Other key fields, or another order of them. `from` and `to` are names. */
  | { readonly kind: 'key'; readonly from: readonly string[]; readonly to: readonly string[] }
