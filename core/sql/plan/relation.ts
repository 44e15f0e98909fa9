/** The columns that names in one SELECT can mean. */
import { sqlError, type Span } from '../parse/span.ts'
import type { ColumnExpr } from './expr.ts'
import { suggestions } from './names.ts'
import type { PlanField } from './plan.ts'

export class Relation {
  /** The names by which columns may be qualified: the alias, or the dotted table name. */
  readonly #qualifiers: readonly string[]
  readonly fields: readonly PlanField[]

  constructor(qualifiers: readonly string[], fields: readonly PlanField[]) {
    this.#qualifiers = qualifiers
    this.fields = fields
  }

  /** Whether `qualifier.column` may mean a column of this relation. */
  isCalled(qualifier: string): boolean {
    return this.#qualifiers.includes(qualifier)
  }

  /** Index of the only field of that name, −1 when there is none. */
  find(name: string, span: Span): number {
    const found = this.fields.findIndex((field) => field.name === name)
    if (found >= 0 && this.fields.findIndex((field, i) => i > found && field.name === name) >= 0)
      throw sqlError('sql.ambiguous_column', span, `Several columns are called "${name}"`)
    return found
  }

  resolve(path: readonly string[], span: Span): ColumnExpr {
    const name = path.at(-1) ?? ''
    const qualifier = path.slice(0, -1).join('.')
    if (qualifier !== '' && !this.isCalled(qualifier))
      throw sqlError('sql.unknown_column', span, `There is no table "${qualifier}" in FROM`, {
        remedy: `The columns can be qualified with ${this.#qualifiers.map((q) => `"${q}"`).join(', ')}.`,
      })
    const index = this.find(name, span)
    const field = this.fields[index]
    if (field === undefined) throw this.#unknown(name, span)
    return { op: 'column', index, type: field.type, nullable: field.nullable, span }
  }

  #unknown(name: string, span: Span): Error {
    const names = this.fields.map((field) => field.name)
    const near = suggestions(name, names)
    const shown = near.length > 0 ? near : names.slice(0, 20)
    return sqlError('sql.unknown_column', span, `There is no column "${name}"`, {
      remedy: `${near.length > 0 ? 'Did you mean' : 'The columns are'} ${shown.map((n) => `"${n}"`).join(', ')}${near.length > 0 ? '?' : '.'}`,
    })
  }
}
