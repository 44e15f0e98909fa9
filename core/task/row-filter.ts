/**
 * A condition that a user writes (`--where "status = 'paid' AND amount > 10"`), over the columns of
 * rows: the WHERE of a query that the SQL engine runs on one batch after the other. What cannot be
 * decided (NULL, an expression that fails) does not match, as in any WHERE; failures are told.
 */
import { SluiceError } from '../errors/error.ts'
import { makeBatch, type Batch } from '../record/batch.ts'
import { NumberBuilder } from '../record/builder.ts'
import { makeSchema, type Schema } from '../record/schema.ts'
import { numberAt } from '../record/value.ts'
import { compile, type Execution } from '../sql/compile.ts'
import { parseQuery, type ParsedQuery } from '../sql/parse/parse.ts'

const topic = 'rows'
/** No column of a source is called so: ClickHouse refuses it, and nobody would. */
const place = '_sluice_row'
const head = `SELECT ${place} FROM ${topic} WHERE (`

/** Indexes of rows, ascending. */
export interface Matches {
  readonly rows: Int32Array
  /** Rows for which the condition failed, as in a division by zero. */
  readonly failed: Int32Array
}

export class RowFilter {
  readonly #query: ParsedQuery
  readonly #running = new Map<
    Schema['id'],
    { readonly execution: Execution; readonly schema: Schema }
  >()

  private constructor(query: ParsedQuery) {
    this.#query = query
  }

  /** Throws the engine's errors of syntax; names and types are checked by `check` and `matching`. */
  static async parse(where: string): Promise<RowFilter> {
    // On a line of its own: a comment at its end must not take the parenthesis away.
    const query = await parseQuery(`${head}${where}\n)`)
    // A parenthesis too many may have made it another query than one row in, one row or none out.
    if (query.query.kind === 'select' && query.query.groupBy.length === 0)
      return new RowFilter(query)
    throw new SluiceError('sql.syntax', { message: `"${where}" is not one condition` })
  }

  /** Throws where the condition does not fit rows of the schema. */
  check(schema: Schema): void {
    this.#executionOf(schema)
  }

  matching(batch: Batch): Matches {
    const { execution, schema } = this.#executionOf(batch.schema)
    const places = new NumberBuilder()
    for (let row = 0; row < batch.rows; row++) places.append(row)
    const columns = [...batch.columns, places.finish()]
    // A row that goes matches or not as one that comes does.
    const weights = new Int32Array(batch.rows).fill(1)
    execution.push(topic, makeBatch(schema, columns, weights, batch.ops, batch.timesUs))
    const found: number[] = []
    for (const output of execution.step()) {
      for (let row = 0; row < output.rows; row++)
        found.push(Number(numberAt(output.columns[0]!, row)))
    }
    // Each row once, in however many places of the condition it failed.
    const failed = new Set(execution.rowErrors().map(({ row }) => row))
    return { rows: Int32Array.from(found).sort(), failed: Int32Array.from(failed).sort() }
  }

  #executionOf(schema: Schema): { readonly execution: Execution; readonly schema: Schema } {
    const known = this.#running.get(schema.id)
    if (known !== undefined) return known
    const field = { name: place, type: { kind: 'int64' }, nullable: false } as const
    const numbered = makeSchema([...schema.fields, field], [], 'append')
    const execution = compile(this.#query, new Map([[topic, numbered]])).start()
    const running = { execution, schema: numbered }
    this.#running.set(schema.id, running)
    return running
  }
}
