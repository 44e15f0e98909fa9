/** A pipeline file loaded, with its SQL checked: what `validate`, `doctor`, `run` and `tap` begin with. */
import type { Pipeline, PipelineOutline } from '../config/pipeline.ts'
import type { ConfigProblem } from '../config/problem.ts'
import { loadPipeline } from '../config/load.ts'
import type { ParsedQuery } from '../core/sql/parse/parse.ts'
import { checkSql } from './check-sql.ts'

export interface Loaded {
  readonly pipeline: Pipeline | null
  readonly outline: PipelineOutline | null
  readonly queries: ReadonlyMap<string, ParsedQuery>
  readonly problems: readonly ConfigProblem[]
}

export async function loadChecked(file: string, offline: boolean): Promise<Loaded> {
  const { pipeline, outline, problems } = await loadPipeline(file, { env: process.env, offline })
  if (outline === null) return { pipeline, outline, queries: new Map(), problems }
  const sql = await checkSql(outline)
  const all = [...problems, ...sql.problems].sort((a, b) => a.line - b.line || a.col - b.col)
  const failed = sql.problems.length > 0
  return { pipeline: failed ? null : pipeline, outline, queries: sql.queries, problems: all }
}
