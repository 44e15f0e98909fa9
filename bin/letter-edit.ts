/** What a user changes in the row of a dead letter: `--set column=value`, `--json '{…}'`. */
import { parseJson, type JsonInput } from '../core/task/value-edit.ts'
import { WrongArgument } from './letter-filter.ts'

/** By column. `--set` takes everything behind the first `=` as it is; `null` is NULL. */
export function changesFrom(
  set: readonly string[],
  json: string | undefined,
): ReadonlyMap<string, JsonInput> {
  const changes = new Map<string, JsonInput>(json === undefined ? [] : objectOf(json, '--json'))
  for (const text of set) {
    const at = text.indexOf('=')
    if (at < 1) throw new WrongArgument(`"${text}" is not column=value`)
    const value = text.slice(at + 1)
    changes.set(text.slice(0, at), value === 'null' ? null : value)
  }
  return changes
}

/** The entries of a JSON object. */
export function objectOf(json: string, what: string): [string, JsonInput][] {
  try {
    const value = parseJson(json)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.entries(value)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new WrongArgument(`${what} is no JSON: ${error.message}`)
  }
  throw new WrongArgument(`${what} is no JSON object`)
}
