/**
 * Whether a table that exists can take a plan's rows without losing or changing one, and what has to
 * change: pure. A wrong engine or sorting key is not an error that a server would ever report: rows
 * of different keys would replace each other, or deleted rows live on, in silence.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { createTable, definitionsOf, type Change } from './ddl.ts'
import type { TableDescription } from './describe.ts'
import { qualified, quoteIdentifier } from './identifiers.ts'
import type { TablePlan } from './plan.ts'
import { unwrap, widens, withNull } from './widen.ts'

/**
 * Columns to add and to widen. Throws `sink.clickhouse.table_shape`, with the statements that cure it,
 * when the table cannot be brought into shape by these.
 */
export function changesFor(
  database: string,
  plan: TablePlan,
  table: TableDescription,
): readonly Change[] {
  checkEngine(database, plan, table)
  checkSorting(database, plan, table)
  const changes: Change[] = []
  for (const wanted of definitionsOf(plan)) {
    const actual = table.columns.find(({ name }) => name === wanted.name)
    if (actual === undefined) changes.push({ kind: 'add', ...wanted })
    else if (!accepts(actual.type, wanted.type)) {
      const both = bothHold(actual.type, wanted.type)
      if (both === null || actual.inSortingKey || actual.inPartitionKey) {
        throw unfit(
          database,
          plan,
          `column ${JSON.stringify(wanted.name)} is ${actual.type}, and ${wanted.type} is needed`,
        )
      }
      changes.push({ kind: 'modify', ...wanted, type: both })
    }
  }
  return changes
}

/**
 * Whether a column takes what is written for another type. A document goes as JSON or as its text:
 * the server would write it anew into a String.
 */
function accepts(actual: string, wanted: string): boolean {
  return unwrap(wanted).name === 'JSON'
    ? unwrap(actual).name === 'JSON' && widens(wanted, actual)
    : widens(wanted, actual)
}

/** Whether every column is written in the very type that the table has, so that nothing is converted. */
export function isAsPlanned(plan: TablePlan, { columns }: TableDescription): boolean {
  const types = new Map(columns.map(({ name, type }) => [name, type]))
  // The server takes the plain type for its own dictionary-coded one, whatever it may convert.
  const taken = (name: string): string | undefined =>
    types.get(name)?.replace(/^LowCardinality\((.*)\)$/, '$1')
  return (
    plan.columns.every(({ name, type }) => taken(name) === type.wire) &&
    plan.service.every(({ name, type }) => taken(name) === type)
  )
}

/** The type that holds the values of both, or null: Int64 and Nullable(Int32) → Nullable(Int64). */
function bothHold(actual: string, wanted: string): string | null {
  if (widens(actual, wanted)) return wanted
  const both = [withNull(actual), withNull(wanted)]
  return both.find((type) => widens(actual, type) && accepts(type, wanted)) ?? null
}

function checkEngine(database: string, plan: TablePlan, { engine, engineFull }: TableDescription) {
  const kind = engine.replace(/^(Replicated|Shared)/, '')
  if (plan.mode === 'append') {
    if (kind === 'MergeTree') return
    throw unfit(database, plan, `its engine is ${engine}, and MergeTree is needed`)
  }
  const versioned = /_sluice_version`?, `?_sluice_deleted`?\)/.test(engineFull)
  if (kind === 'ReplacingMergeTree' && versioned) return
  throw unfit(
    database,
    plan,
    `its engine is ${engine}, and ReplacingMergeTree(_sluice_version, _sluice_deleted) is needed`,
  )
}

function checkSorting(database: string, plan: TablePlan, table: TableDescription): void {
  if (plan.mode === 'append') return
  const key = plan.columns.filter(({ isKey }) => isKey).map(({ name }) => name)
  const alone = plainItems(table.sortingKey)
  const missing = key.find((name) => !alone.has(name) && !alone.has(quoteIdentifier(name)))
  const foreign = table.columns.find(
    ({ name, inSortingKey, inPartitionKey }) =>
      (inSortingKey || inPartitionKey) && !key.includes(name),
  )
  if (missing === undefined && foreign === undefined) return
  throw unfit(
    database,
    plan,
    missing === undefined
      ? `it is sorted or partitioned by ${JSON.stringify(foreign!.name)}, which is not in the key (${key.join(', ')}); with whole old rows from the source (REPLICA IDENTITY FULL), order_by may name it`
      : `it is not sorted by the key column ${JSON.stringify(missing)}`,
  )
}

/** The items of `a, f(b, c), \`d, e\`` that stand between top-level commas; one alone may be `(a)`. */
function plainItems(text: string): ReadonlySet<string> {
  const alone = /^\((?:[^`()]|`(?:[^`\\]|\\.)*`)*\)$/.test(text)
  const sortingKey = alone ? text.slice(1, -1) : text
  const items = new Set<string>()
  let depth = 0
  let quoted = false
  let item = ''
  for (let at = 0; at < sortingKey.length; at++) {
    const char = sortingKey[at]!
    if (char === '\\' && quoted) item += char + (sortingKey[++at] ?? '')
    else if (char === ',' && depth === 0 && !quoted) {
      items.add(item.trim())
      item = ''
    } else {
      if (char === '`') quoted = !quoted
      else if (!quoted && char === '(') depth++
      else if (!quoted && char === ')') depth--
      item += char
    }
  }
  return items.add(item.trim())
}

export function unfit(database: string, plan: TablePlan, why: string): SluiceError {
  const old = qualified(database, plan.table)
  const kept = qualified(database, `${plan.table}_before`)
  return new SluiceError('sink.clickhouse.table_shape', {
    message: `Table ${plan.table} cannot take topic ${plan.topic}: ${why}.`,
    remedy:
      `Let a new table take over from here: ` +
      `RENAME TABLE ${old} TO ${kept}; ${createTable(database, plan).replaceAll(/\s+/g, ' ')}. ` +
      `Or give the topic another table: tables: {…}. Rows that were delivered before stay in the old one; ` +
      'to have them in the new one too, copy them, or the source’s table once more (`resnapshot`).',
  })
}

/** The DDL that is missing when Sluice may not run it. */
export function ddlForbidden(topic: string, statement: string): SluiceError {
  return new SluiceError('sink.clickhouse.ddl_needed', {
    message: `Topic ${topic} needs a change in ClickHouse, and create_tables is false.`,
    remedy: `Run: ${statement}`,
  })
}
