/**
 * What every command shares about talking to people and scripts: exit codes, colour, and how problems
 * and errors are printed. Results go to stdout, everything else to stderr.
 */
import { createColors } from 'picocolors'
import { formatProblem, type ConfigProblem, type Paint } from '../config/problem.ts'
import { isAbort, toSluiceError, type SluiceError } from '../core/errors/error.ts'
import { maskUrls } from '../core/observe/logger.ts'

/** 0 ok · 1 runtime · 2 the pipeline file or the command line is wrong · 3 the environment is. */
export const exitCode = { ok: 0, runtime: 1, invalid: 2, environment: 3 } as const
export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printError(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Colour where people look, unless NO_COLOR (https://no-color.org) or a dumb terminal says no. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  return createColors(wantsColor(stream))
}

export function wantsColor(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR: off, FORCE_COLOR: on, TERM: terminal } = process.env
  if (off !== undefined && off !== '') return false
  if (on !== undefined && on !== '' && on !== '0') return true
  return stream.isTTY && terminal !== 'dumb'
}

/** Problems in the order of the file, and the number of them. */
export function printProblems(problems: readonly ConfigProblem[]): void {
  if (problems.length === 0) return
  const paint = paintFor(process.stderr)
  printError(problems.map((problem) => formatProblem(problem, paint)).join('\n\n'))
  const errors = problems.filter((problem) => problem.severity === 'error').length
  const counts = [count(errors, 'error'), count(problems.length - errors, 'warning')]
  printError(`\n${counts.filter((text) => !text.startsWith('0 ')).join(', ')}`)
}

/** Values that are missing are the environment's fault, everything else is the file's. */
export function codeOf(problems: readonly ConfigProblem[]): ExitCode {
  const errors = problems.filter((problem) => problem.severity === 'error')
  if (errors.length === 0) return exitCode.ok
  return errors.every((problem) => problem.code === 'config.unresolved')
    ? exitCode.environment
    : exitCode.invalid
}

/** Code, message and remedy of anything thrown; the stack only of our own mistakes. */
export function printThrown(thrown: unknown): void {
  const error = toSluiceError(thrown)
  const paint = paintFor(process.stderr)
  printError(`${paint.red(error.code)}  ${maskUrls(error.message)}`)
  if (error.fault === 'bug') {
    const origin = error.cause instanceof Error ? error.cause : error
    printError(paint.dim(maskUrls(origin.stack ?? '')))
  }
  printError(paint.cyan(error.remedy))
}

/** The exit code of an error that ended a command. */
export function codeOfThrown(thrown: unknown): ExitCode {
  if (isAbort(thrown)) return exitCode.ok
  const error: SluiceError = toSluiceError(thrown)
  if (error.code.startsWith('config.') || error.code.startsWith('sql.')) return exitCode.invalid
  if (error.fault === 'config' || error.fault === 'transient') return exitCode.environment
  return exitCode.runtime
}

export function count(number: number, word: string): string {
  return `${number.toLocaleString('en-US')} ${word}${number === 1 ? '' : 's'}`
}
