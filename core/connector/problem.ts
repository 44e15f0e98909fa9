import type { Code } from '../errors/codes.ts'

/** One finding of a preflight. An `error` keeps the source or sink from starting. */
export interface Problem {
  readonly code: Code
  readonly severity: 'error' | 'warning'
  /** What is wrong with which object. */
  readonly message: string
  /** The statement or step that cures it, ready to copy. */
  readonly remedy: string
}
