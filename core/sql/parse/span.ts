/**
 * Where in the user's query an error is: character offsets into the text as the user wrote it, so
 * that the config layer can print the lines around it. The span travels beside the error and not in
 * it, because SluiceError is one class for all areas.
 */
import { SluiceError, type ErrorDetails } from '../../errors/error.ts'
import type { Code } from '../../errors/codes.ts'

/** Half open: the first character and the one after the last. */
export interface Span {
  readonly start: number
  readonly end: number
}

const spans = new WeakMap<Error, Span>()

/** An error at a place in the query. */
export function sqlError(
  code: Code,
  span: Span | null,
  message: string,
  more: Omit<ErrorDetails, 'message'> = {},
): SluiceError {
  const error = new SluiceError(code, { message, ...more })
  if (span !== null) spans.set(error, span)
  return error
}

/** The place that an error of this engine points at; null when it has none. */
export function sqlSpan(error: unknown): Span | null {
  return error instanceof Error ? (spans.get(error) ?? null) : null
}
