/**
 * Tables that online schema changes make beside the real one: filled with its rows, kept up to date,
 * and put in its place by a RENAME. To the topic the table goes on, under another schema.
 *
 *   tool                          new table                old table
 *   gh-ost                        _t_gho                   _t_del, _t_20270301120000_del
 *   pt-online-schema-change       _t_new, __t_new, …       _t_old, __t_old, …
 *   Spirit                        _t_new                   _t_old, _t_old_20270301_120000
 *   LHM                           lhmn_t                   lhma_2027_03_01_12_00_00_000_t
 *   Facebook's OSC                __osc_new_t              __osc_old_t
 *
 * gh-ost also has its change log, _t_ghc, and Facebook's __osc_chg_t.
 */

import type { TableName } from './table-pattern.ts'

const ghost =
  /^(?:_.+_(?:gho|ghc|del|new|old)|_.+_old_\d+_\d+|lhm[na]_.+|__osc_(?:new|old|chg)_.+)$/

/** Whether a table looks like one that a tool made beside another; such names are shortened to 64 characters. */
export function isGhost(table: string): boolean {
  return ghost.test(table)
}

/** Whether `name` is what a tool calls the table that takes the place of `table`. */
export function isNewVersionOf(name: string, table: string): boolean {
  if (name === `lhmn_${table}` || name === `__osc_new_${table}`) return true
  const [, base] = /^_+(.+)_(?:gho|new)$/.exec(name) ?? []
  if (base === undefined) return false
  // Names have at most 64 characters; gh-ost cuts the table's name off to keep to it.
  return base === table || (name.length >= 60 && table.startsWith(base))
}

/** A part of a RENAME TABLE. */
export interface Move {
  readonly from: TableName
  readonly to: TableName
}

/** Whether a tool puts its table in place of the real one. */
export function isSwap({ from, to }: Move): boolean {
  return from.database === to.database && isNewVersionOf(from.table, to.table)
}
