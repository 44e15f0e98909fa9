/**
 * The SQL of a pipeline's transforms, checked offline: its syntax, the topics its FROM clauses name,
 * and that no transform reads itself in a circle. What is wrong is reported at its place in the YAML.
 */
import type { ConfigProblem } from '../config/problem.ts'
import type { PipelineOutline, PipelineTransform } from '../config/pipeline.ts'
import { toSluiceError } from '../core/errors/error.ts'
import { parseQuery, type ParsedQuery } from '../core/sql/parse/parse.ts'
import { sqlSpan, type Span } from '../core/sql/parse/span.ts'
import { resolveTopic, tablesOf } from '../core/sql/plan/topics.ts'

export interface CheckedSql {
  /** By transform; only those that parse. */
  readonly queries: ReadonlyMap<string, ParsedQuery>
  readonly problems: readonly ConfigProblem[]
}

export async function checkSql(outline: PipelineOutline): Promise<CheckedSql> {
  const problems: ConfigProblem[] = []
  const queries = new Map<string, ParsedQuery>()
  const reads = new Map<string, readonly Read[]>()
  for (const transform of outline.transforms) {
    try {
      const query = await parseQuery(transform.sql)
      queries.set(transform.name, query)
      reads.set(transform.name, readsOf(transform, query, outline, problems))
    } catch (error) {
      problems.push(thrownProblem(transform, error))
    }
  }
  addCycles(outline.transforms, reads, problems)
  return { queries, problems }
}

interface Read {
  readonly topic: string
  readonly span: Span
}

/** The topics that a query's tables mean, as far as they are known without asking a source. */
function readsOf(
  transform: PipelineTransform,
  query: ParsedQuery,
  { topics: { topics, open } }: PipelineOutline,
  problems: ConfigProblem[],
): readonly Read[] {
  const found: Read[] = []
  const others = topics.filter((topic) => topic !== transform.name)
  for (const { name, span } of tablesOf(query)) {
    if (name.length === 1 && name[0] === transform.name) {
      found.push({ topic: transform.name, span })
      continue
    }
    try {
      found.push({ topic: resolveTopic(name, others, span), span })
    } catch (error) {
      // A table that is not known here may be one that only the source knows.
      const unknown = toSluiceError(error).code !== 'sql.ambiguous_table'
      if (unknown && mayBeOpen(name, open)) continue
      problems.push(thrownProblem(transform, error, span))
    }
  }
  return found
}

/** A one-part or two-part name may be the tail of any topic; a full one names its source. */
function mayBeOpen(name: readonly string[], open: readonly string[]): boolean {
  return name.length < 3 ? open.length > 0 : open.includes(`${name[0]}.`)
}

/** One problem a circle, at the table name that closes it. */
function addCycles(
  transforms: readonly PipelineTransform[],
  reads: ReadonlyMap<string, readonly Read[]>,
  problems: ConfigProblem[],
): void {
  const done = new Set<string>()
  const byName = new Map(transforms.map((transform) => [transform.name, transform]))
  const visit = (name: string, trail: readonly string[]): void => {
    if (done.has(name)) return
    for (const { topic, span } of reads.get(name) ?? []) {
      const transform = byName.get(name)
      if (transform === undefined || !byName.has(topic)) continue
      const at = [...trail, name].indexOf(topic)
      if (at < 0) visit(topic, [...trail, name])
      else {
        const circle = [...[...trail, name].slice(at), topic].join(' → ')
        const message = topic === name ? 'reads itself' : `reads itself in a circle: ${circle}`
        problems.push(problemAt(transform, 'config.transform_cycle', message, null, span))
      }
    }
    done.add(name)
  }
  for (const { name } of transforms) visit(name, [])
}

function thrownProblem(
  transform: PipelineTransform,
  thrown: unknown,
  fallback: Span = { start: 0, end: 1 },
): ConfigProblem {
  const error = toSluiceError(thrown)
  const span = sqlSpan(error) ?? fallback
  return problemAt(transform, error.code, error.message, error.remedy, span)
}

function problemAt(
  transform: PipelineTransform,
  code: ConfigProblem['code'],
  message: string,
  suggestion: string | null,
  span: Span,
): ConfigProblem {
  const range = transform.sqlRange(span.start, span.end)
  const path = `transforms.${transform.name}.sql`
  return { ...range, severity: 'error', code, path, message, suggestion }
}
