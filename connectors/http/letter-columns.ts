/** Columns beside the body, as a dead letter keeps them: one JSON object, by column. */
import type { Extras } from './gathering.ts'

export function lettersText(names: readonly string[], extras: Extras): string {
  return JSON.stringify(Object.fromEntries(names.map((name, at) => [name, extras[at]])))
}

/** What `lettersText` wrote; columns that did not exist then are NULL. */
export function parseLettersText(names: readonly string[], text: string): Extras {
  const values = JSON.parse(text) as Readonly<Record<string, string | null>>
  return names.map((name) => values[name] ?? null)
}
