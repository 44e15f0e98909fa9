/**
 * The streaming SQL engine's front door: a parsed query and the schemas of its inputs become a typed,
 * optimised plan, which can be explained and started. parse/ → plan/ → operators/ → state/.
 */
import { createHash } from 'node:crypto'
import { SluiceError } from '../errors/error.ts'
import { makeSchema, type Schema } from '../record/schema.ts'
import { Execution } from './execution.ts'
import type { ParsedQuery } from './parse/parse.ts'
import { bindQuery, checkOutputNames } from './plan/bind-select.ts'
import { explainPlan } from './plan/explain.ts'
import { optimise } from './plan/optimise.ts'
import { scansOf } from './plan/plan.ts'

export type { Execution } from './execution.ts'

export interface CompiledQuery {
  /** Topics it reads, each once, in the order of the query. */
  readonly inputs: readonly string[]
  readonly output: Schema
  /** The plan as text, for people. */
  explain(): string
  /** A new run with empty state. */
  start(): Execution
}

/**
 * Binds names and types. `inputs` holds at least the topics the query reads; their schemas are those
 * of now, see `Execution.evolve`. Throws SluiceErrors of fault `config` with a span.
 */
export function compile(parsed: ParsedQuery, inputs: ReadonlyMap<string, Schema>): CompiledQuery {
  const bound = bindQuery(parsed.query, inputs)
  checkOutputNames(bound, parsed.query)
  const query = optimise(bound)
  // The names are those of the query as written; optimising keeps their order.
  const fields = bound.fields.map((field, i) => ({
    name: field.name,
    type: query.plan.fields[i]!.type,
    nullable: query.plan.fields[i]!.nullable,
  }))
  const output = makeSchema(fields, query.key, query.changelog)
  const text = explainPlan(query)
  const fingerprint = createHash('sha256').update(text).digest('hex').slice(0, 16)
  const topics = [...new Set(scansOf(query.plan).map((scan) => scan.topic))]
  if (topics.length === 0)
    throw new SluiceError('internal.bug', { message: 'A plan reads no topic' })
  return {
    inputs: topics,
    output,
    explain: () => text,
    start: () => new Execution(query.plan, output, fingerprint),
  }
}
