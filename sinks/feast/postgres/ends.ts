/** How far the store has come in each view's log (other-log.ts): in the state of the view (state.ts). */
import type { QueryResult } from 'pg'
import type { ViewEnds } from '../target.ts'
import type { FeatureView } from '../view.ts'
import { stateEnd, stateOf } from './state.ts'
import { quoted, raiseEndStatement, viewStateStatement } from './statements.ts'
import { tableName } from './table.ts'

export type AskState = (
  view: FeatureView,
  query: { readonly text: string; readonly values?: unknown[] },
  signal: AbortSignal,
) => Promise<QueryResult<{ value: Buffer }>>

export class PostgresEnds implements ViewEnds {
  readonly #ask: AskState
  readonly #schema: string
  readonly #where: string

  constructor(ask: AskState, schema: string, where: string) {
    this.#ask = ask
    this.#schema = schema
    this.#where = where
  }

  async read(view: FeatureView, signal: AbortSignal): Promise<number> {
    const text = viewStateStatement(tableName(this.#schema, view))
    const { rows } = await this.#ask(view, { text }, signal)
    return rows[0] === undefined ? 0 : stateEnd(rows[0].value)
  }

  async raise(view: FeatureView, end: number, signal: AbortSignal): Promise<void> {
    const text = raiseEndStatement(tableName(this.#schema, view))
    // Its last row is the one before its end.
    await this.#ask(view, { text, values: [stateOf(end - 1, -1)] }, signal)
  }

  describe(view: FeatureView): { readonly store: string; readonly emptying: string } {
    const table = quoted(tableName(this.#schema, view))
    return {
      store: `PostgreSQL at ${this.#where}`,
      emptying: `empty the view (TRUNCATE TABLE ${table}).`,
    }
  }
}
