/**
 * What an earlier schema of a topic has for the fields of a later one: pure. Rows of then that are sent again
 * find their values under the names of now, and have in columns that were added since what the source
 * has in them: what a target that followed the changes shows of them.
 *
 * A rename is the guess that it was for the target too (core/record/schema-change.ts).
 */
import type { Schema } from '../record/schema.ts'
import { renameBetween } from '../record/schema-change.ts'

export interface Then {
  /** By the name of now the name of then, where they differ; null: what has that name now was not there. */
  readonly names: ReadonlyMap<string, string | null>
  /** By the name of now what rows of then have in a field that was added since; see `Field.oldRows`. */
  readonly added: ReadonlyMap<string, string>
}

export type Past = (schema: Schema) => Then

const same: Then = { names: new Map(), added: new Map() }

/** `history`: the topic's schemas in their order; `now`: the id of the one that fields are asked for. */
export function pastOf(history: readonly Schema[], now: string): Past {
  const end = history.findIndex(({ id }) => id === now)
  const known = new Map<string, Then>()
  return ({ id }) => {
    const found = known.get(id)
    if (found !== undefined) return found
    const start = history.findIndex((schema) => schema.id === id)
    const then =
      start < 0 || end < 0
        ? same
        : { names: namesBetween(history, start, end), added: addedBetween(history, start, end) }
    known.set(id, then)
    return then
  }
}

/** Also back in time: a table may have got a schema again that it had before. */
function namesBetween(history: readonly Schema[], start: number, end: number): Then['names'] {
  const step = start < end ? 1 : -1
  let now = new Map(history[start]!.fields.map(({ name }) => [name, name]))
  for (let at = start; at !== end; at += step) {
    const { fields } = history[at + step]!
    const renamed = renameBetween(history[at]!.fields, fields)
    const kept = new Set(fields.map(({ name }) => name))
    const next = [...now].flatMap(([then, name]): [string, string][] => {
      const after = name === renamed?.from.name ? renamed.to.name : name
      return kept.has(after) ? [[then, after]] : []
    })
    now = new Map(next)
  }
  const names = new Map<string, string | null>()
  for (const [then, name] of now) if (then !== name) names.set(name, then)
  // A name that was given away or dropped, and is another field's since.
  const reached = new Set(now.values())
  const before = new Set(history[start]!.fields.map(({ name }) => name))
  for (const { name } of history[end]!.fields) {
    if (before.has(name) && !reached.has(name)) names.set(name, null)
  }
  return names
}

/** Each field of now is followed back to where it was new. */
function addedBetween(history: readonly Schema[], start: number, end: number): Then['added'] {
  const added = new Map<string, string>()
  for (const now of history[end]!.fields) {
    let field = now
    for (let at = end; at > start; at--) {
      const { fields } = history[at - 1]!
      const renamed = renameBetween(fields, history[at]!.fields)
      const name = renamed?.to.name === field.name ? renamed.from.name : field.name
      const before = fields.find((other) => other.name === name)
      if (before === undefined) {
        if (field.oldRows !== undefined) added.set(now.name, field.oldRows)
        break
      }
      field = before
    }
  }
  return added
}
