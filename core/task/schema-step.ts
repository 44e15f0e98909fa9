/**
 * From the shape that a target has to the one that it gets when the topic's schema has changed, or the
 * user's policy has: pure. Each difference is judged by itself (core/connector/schema-policy.ts); one
 * that has to stop stops them all.
 *
 * A difference that stood before (a column left out, a type held) is looked at again only when
 * something may have changed its verdict, and then only to let the target follow where nothing can be
 * lost: a yes to `drop` or `narrow` is about changes that come after it, or that the topic waits at.
 */
import {
  judge,
  type SchemaAction,
  type SchemaRules,
  type Verdict,
} from '../connector/schema-policy.ts'
import type { Field, Schema } from '../record/schema.ts'
import {
  fieldChanges,
  keyNames,
  renameBetween,
  sameNames,
  type SchemaChange,
} from '../record/schema-change.ts'
import { holdsType } from '../record/type-order.ts'
import { sameType } from '../record/types.ts'
import {
  shapeOf,
  targetOf,
  targetSchema,
  type ShapeColumn,
  type TopicShape,
} from './schema-shape.ts'

export interface Decision {
  readonly change: SchemaChange
  readonly action: SchemaAction
  readonly why: string
}

export interface ShapeStep {
  readonly shape: TopicShape
  /** Everything that was judged now, in order. */
  readonly decisions: readonly Decision[]
  /** Those that the target follows, for SchemaStep.agreed. */
  readonly agreed: readonly SchemaChange[]
}

export interface ShapeBefore {
  readonly shape: TopicShape
  /** The topic's schema that `shape` belongs to. */
  readonly topic: Schema
}

/** `shape` is not to be used when a decision says `stop`. */
export function nextShape(before: ShapeBefore, topic: Schema, rules: SchemaRules): ShapeStep {
  return new Step(before, topic, rules).run()
}

/** What a change that is not new may come to; the rest stays as it was. */
const mayChangeLater: ReadonlySet<SchemaAction> = new Set(['apply', 'keep'])

class Step {
  readonly #before: Schema
  readonly #topic: Schema
  readonly #rules: SchemaRules
  readonly #given: readonly ShapeColumn[]
  readonly #givenKey: readonly string[]
  readonly #renamed: ReturnType<typeof renameBetween>
  readonly #decisions: Decision[] = []
  readonly #agreed: SchemaChange[] = []
  /** By the topic's field. */
  readonly #columns = new Map<string, ShapeColumn>()
  readonly #kept: ShapeColumn[] = []
  /** Fields of the topic that are not new columns: those that columns had, and a name taken back. */
  readonly #taken = new Set<string>()

  constructor({ shape, topic: before }: ShapeBefore, topic: Schema, rules: SchemaRules) {
    const { schema, columns } = targetOf(shape, before)
    this.#before = before
    this.#topic = topic
    this.#rules = rules
    this.#given = columns ?? schema.fields.map((field) => ({ field, from: field.name }))
    this.#givenKey = keyNames(schema)
    this.#renamed = renameBetween(before.fields, topic.fields)
  }

  run(): ShapeStep {
    for (const column of this.#given) if (column.from !== null) this.#follow(column, column.from)
    for (const column of this.#given) if (column.from === null) this.#stay(column)
    for (const field of this.#topic.fields) {
      if (!this.#taken.has(field.name) && !this.#columns.has(field.name)) this.#add(field)
    }
    const columns = [...this.#inOrder(), ...this.#kept]
    this.#key(columns)
    const shape = shapeOf(columns, this.#topic)
    return { shape, decisions: this.#decisions, agreed: this.#agreed }
  }

  /** A column that had values: they go on, under another name perhaps, or end. */
  #follow(column: ShapeColumn, from: string): void {
    const same = named(this.#topic.fields, from)
    const to = same ?? (this.#renamed?.from.name === from ? this.#renamed.to : undefined)
    if (to === undefined) return this.#drop(column.field)
    this.#taken.add(to.name)
    const field = this.#rename(column.field, to, same !== undefined)
    if (field === null) return
    const past = named(this.#before.fields, from)!
    this.#columns.set(to.name, { field: this.#retype(field, to, past), from: to.name })
  }

  /** The field under the name that it gets; null when its column ends here and the name is a new one. */
  #rename(field: Field, to: Field, stood: boolean): Field | null {
    if (field.name === to.name) return field
    const change = { kind: 'rename', from: field, to: { ...field, name: to.name } } as const
    let { action, why } = judge('rename', this.#rules, true)
    if (action === 'apply' && this.#given.some((other) => other.field.name === to.name)) {
      action = 'keep'
      why = 'the target has a column of that name already'
    }
    if (stood && !mayChangeLater.has(action)) return field
    this.#decisions.push({ change, action, why })
    if (action === 'apply') {
      this.#agreed.push(change)
      return change.to
    }
    if (action !== 'keep') return field
    this.#kept.push({ field: { ...field, nullable: true }, from: null })
    if (!this.#bringBack(to)) {
      this.#columns.set(to.name, { field: to, from: to.name })
      this.#agreed.push({ kind: 'add', to })
    }
    return null
  }

  /** The field with the types and NULL of its source as far as the target follows. */
  #retype(field: Field, to: Field, past: Field | null): Field {
    const typed = fieldChanges(field, { ...field, type: to.type })
    const sameTypeAsBefore = past !== null && sameType(past.type, to.type)
    const followed = this.#judged(field, typed, sameTypeAsBefore)
    const nulls = fieldChanges(followed, { ...followed, nullable: to.nullable })
    return this.#judged(followed, nulls, past !== null && past.nullable === to.nullable)
  }

  #judged(field: Field, changes: readonly SchemaChange[], stood: boolean): Field {
    const [change] = changes
    if (change?.kind !== 'widen' && change?.kind !== 'narrow') return field
    const holds = holdsValues(field, change.to)
    const { action, why } = judge(change.kind, this.#rules, holds)
    if (stood && !(change.kind === 'widen' && action === 'apply')) return field
    this.#decisions.push({ change, action, why })
    if (action !== 'apply') return field
    this.#agreed.push(change)
    return change.to
  }

  #drop(field: Field): void {
    const change = { kind: 'drop', from: field } as const
    const { action, why } = judge('drop', this.#rules, true)
    this.#decisions.push({ change, action, why })
    if (action === 'apply') this.#agreed.push(change)
    else this.#kept.push({ field: { ...field, nullable: true }, from: null })
  }

  /** A column whose field is gone stays, unless a field of its name is there again. */
  #stay(column: ShapeColumn): void {
    if ([...this.#columns.values()].some(({ field }) => field.name === column.field.name)) return
    const again = named(this.#topic.fields, column.field.name)
    if (again === undefined || this.#taken.has(again.name)) {
      // With a yes to drops it is let go: nothing is written to it any more, and nothing taken away.
      const letGo = this.#rules.policy.drop === 'apply'
      if (!letGo) this.#kept.push(column)
      return
    }
    const { action, why, stood } = this.#judgeAdd(again)
    this.#taken.add(again.name)
    if (stood && action !== 'apply') return void this.#kept.push(column)
    this.#decisions.push({ change: { kind: 'add', to: again }, action, why })
    if (action === 'apply') {
      this.#columns.set(again.name, {
        field: this.#retype(column.field, again, null),
        from: again.name,
      })
    } else this.#kept.push(column)
  }

  /** A field that the target lacks; `stood`: it was there before, and was left out. */
  #judgeAdd({ name }: Field): Verdict & { readonly stood: boolean } {
    const stood = named(this.#before.fields, name) !== undefined
    const verdict = judge('add', this.#rules, true)
    const { action } = verdict
    const needed = keyNames(this.#topic).includes(name) && (stood || action === 'ignore')
    return needed && action !== 'apply'
      ? { action: 'apply', why: 'the key needs it', stood }
      : { ...verdict, stood }
  }

  /** Whether a kept column has that name, which then gets its values again. */
  #bringBack(to: Field): boolean {
    const old = this.#given.find(({ field, from }) => from === null && field.name === to.name)
    if (old === undefined) return false
    this.#columns.set(to.name, { field: this.#retype(old.field, to, null), from: to.name })
    return true
  }

  #add(field: Field): void {
    const change = { kind: 'add', to: field } as const
    let { action, why, stood } = this.#judgeAdd(field)
    if (stood && action !== 'apply') return
    if (action === 'apply' && this.#hasColumn(field.name)) {
      if (stood) return
      action = 'stop'
      why = 'the target has a column of that name, which holds the values of another one'
    }
    this.#decisions.push({ change, action, why })
    if (action !== 'apply') return
    // Rows that came while it was left out had values of their own, which nobody can tell the target now.
    const { oldRows: _, ...plain } = field
    this.#columns.set(field.name, { field: stood ? plain : field, from: field.name })
    this.#agreed.push(change)
  }

  #hasColumn(name: string): boolean {
    const columns = [...this.#columns.values(), ...this.#kept]
    return columns.some(({ field }) => field.name === name)
  }

  #key(columns: readonly ShapeColumn[]): void {
    const names = new Map<string, string>()
    for (const change of this.#agreed) {
      if (change.kind === 'rename') names.set(change.from.name, change.to.name)
    }
    const before = this.#givenKey.map((name) => names.get(name) ?? name)
    const lacks = this.#topic.key.some(
      (index) => !columns.some(({ from }) => from === this.#topic.fields[index]!.name),
    )
    const after = lacks ? keyNames(this.#topic) : keyNames(targetSchema(columns, this.#topic))
    if (sameNames(before, after)) return
    const change = { kind: 'key', from: this.#givenKey, to: after } as const
    const { action, why } = judge('key', this.#rules, true)
    this.#decisions.push({ change, action, why })
    if (action === 'apply') this.#agreed.push(change)
  }

  /** The columns in the order of the topic's fields. */
  #inOrder(): readonly ShapeColumn[] {
    return this.#topic.fields.flatMap(({ name }) => this.#columns.get(name) ?? [])
  }
}

/** Whether the column as it is holds every value of the new field; texts hold the text of anything. */
function holdsValues(column: Field, to: Field): boolean {
  return column.type.kind === 'text' || holdsType(column.type, to.type)
}

function named(fields: readonly Field[], name: string): Field | undefined {
  return fields.find((field) => field.name === name)
}
