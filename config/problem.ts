/**
 * ConfigProblem: one finding about a pipeline file, with its place. Problems are collected, never
 * thrown, so that a user sees all of them at once. `formatProblem` is the text for people; the JSON
 * form is the object itself.
 */
import type { Code } from '../core/errors/codes.ts'

export interface ConfigProblem {
  readonly file: string
  /** Both count from 1; columns count UTF-16 units, as editors do. */
  readonly line: number
  readonly col: number
  readonly severity: 'error' | 'warning'
  readonly code: Code
  /** Place in the document: `sources.shop.tables.0`; empty for the file as a whole. */
  readonly path: string
  /** What is wrong with it. */
  readonly message: string
  /** The cure where one can be guessed (`did you mean "tables"?`), else null. */
  readonly suggestion: string | null
  /** The lines around it, the place underlined; secrets masked. Empty when there is nothing to show. */
  readonly frame: string
}

/** Paint functions, so that colour is the caller's decision. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

const same = (text: string): string => text
export const noPaint: Paint = { bold: same, dim: same, red: same, yellow: same, cyan: same }

/** `shop.yaml:7:5  config.unknown_key  sources.shop.tabels  did you mean "tables"?` and the frame. */
export function formatProblem(problem: ConfigProblem, paint: Paint = noPaint): string {
  const place = paint.bold(`${problem.file}:${problem.line}:${problem.col}`)
  const code = (problem.severity === 'error' ? paint.red : paint.yellow)(
    problem.severity === 'error' ? problem.code : `warning ${problem.code}`,
  )
  const words = [place, code]
  if (problem.path !== '') words.push(problem.path)
  words.push(problem.message)
  if (problem.suggestion !== null) words.push(paint.cyan(problem.suggestion))
  const head = words.join('  ')
  return problem.frame === '' ? head : `${head}\n${paint.dim(problem.frame)}`
}
