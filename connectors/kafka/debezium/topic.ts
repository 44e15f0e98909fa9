/**
 * DebeziumTopic: what is known of one topic of change events, shared by all its decoders: the settings, and
 * what was learned of columns and key, so that a record decoded once more finds what the stream has.
 */
import { plansUnit, type EpochUnits } from './settings.ts'
import { parseColumnType } from '../../../core/connector/format/schema-text.ts'
import type { Field } from '../../../core/record/schema.ts'
import { holdsType } from '../../../core/record/type-order.ts'
import { sameType } from '../../../core/record/types.ts'
import type { Dialect } from './meaning.ts'
import { Placeholder, usualPlaceholder } from './placeholder.ts'
import { looseShape, type ColumnOverride, type ColumnShape } from './readers.ts'
import { shapeOfColumns, type MetaNames, type RowShape, type ShapeOptions } from './row-shape.ts'
import type { DebeziumSettings } from './settings.ts'

export class DebeziumTopic {
  /** Without the source's name. */
  readonly name: string
  readonly settings: DebeziumSettings
  readonly placeholder: Placeholder
  /** Of rows that come without a schema; null: the pipeline file has none. */
  readonly given: RowShape | null
  /** All columns that any schema had, in the order in which they came. */
  fields: readonly Field[] = []
  /** null: not known yet; none: the rows have no key. */
  key: readonly string[] | null
  /** Counts changes of the two. */
  version = 0
  readonly #overrides: ReadonlyMap<string, ColumnOverride>
  readonly #admitted = new WeakSet<RowShape>()

  constructor(name: string, settings: DebeziumSettings) {
    this.name = name
    this.settings = settings
    this.placeholder = new Placeholder(settings.placeholder ?? usualPlaceholder)
    this.key = settings.key
    this.#overrides = overridesOf(settings.schema, settings.epoch)
    const columns = [...this.#overrides.values()].map((each) => looseShape(each, settings.decimals))
    this.given = columns.length === 0 ? null : shapeOfColumns(columns, this.meta)
  }

  get meta(): MetaNames | null {
    const { unwrapped, opField, deletedField } = this.settings
    return unwrapped ? { op: opField, deleted: deletedField } : null
  }

  shapeOptions(dialect: Dialect): ShapeOptions {
    return { topic: this.name, dialect, overrides: this.#overrides, meta: this.meta }
  }

  /** What the pipeline file says of the column. */
  override(name: string): ColumnOverride | null {
    return this.#overrides.get(name) ?? null
  }

  /** Rows of this shape have their columns from now on. */
  admit(shape: RowShape): void {
    if (this.#admitted.has(shape)) return
    this.#admitted.add(shape)
    const fields = mergedFields(this.fields, shape.columns)
    if (fields === this.fields) return
    this.fields = fields
    this.version++
  }

  setKey(names: readonly string[]): void {
    const { key } = this
    if (key?.length === names.length && key.every((name, i) => name === names[i])) return
    this.key = names
    this.version++
  }
}

function overridesOf(
  schema: Readonly<Record<string, string>>,
  units: EpochUnits | null,
): ReadonlyMap<string, ColumnOverride> {
  const found = new Map<string, ColumnOverride>()
  for (const [name, text] of Object.entries(schema)) {
    const parsed = parseColumnType(text)
    if ('mistake' in parsed) continue
    found.set(name, { field: { name, ...parsed }, unit: plansUnit(units, name) })
  }
  return found
}

/**
 * The columns of a topic after a shape was met: nothing that a record holds has no column. One that two
 * shapes have is of the type that holds the values of both, and else of the newer one, when older values
 * are converted one by one; one that a shape lacks is null in its rows.
 */
function mergedFields(known: readonly Field[], met: readonly ColumnShape[]): readonly Field[] {
  if (known.length === 0) return met.map(({ field }) => field)
  let isSame = true
  const merged = known.map((field) => {
    const other = met.find((column) => column.field.name === field.name)?.field
    const nullable = field.nullable || other === undefined || other.nullable
    const isHeld = other === undefined || holdsType(field.type, other.type)
    const type = isHeld ? field.type : other.type
    if (nullable === field.nullable && sameType(type, field.type)) return field
    isSame = false
    return { name: field.name, type, nullable }
  })
  const fresh = met.filter(({ field }) => !known.some(({ name }) => name === field.name))
  if (isSame && fresh.length === 0) return known
  // Rows from before do not have them: the database gave them the default, and sent none of them.
  const later = fresh.map(({ field, default: oldRows }): Field => {
    const open = { ...field, nullable: true }
    return oldRows === undefined ? open : { ...open, oldRows }
  })
  return [...merged, ...later]
}
