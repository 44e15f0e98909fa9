/**
 * Which fields of a topic were dropped, and when: rows from before do not have a field that comes
 * later under the same name. What is on disk knows it by itself once `applied`.
 */
import type { Schema } from '../record/schema.ts'

interface Dropped {
  /** Rows up to this number (recent-rows.ts) do not have the field. */
  readonly number: number
  waits: boolean
}

const none: ReadonlySet<string> = new Set()

export class TopicFields {
  readonly #schemas = new Map<string, Schema>()
  readonly #dropped = new Map<string, Map<string, Dropped>>()

  /** The topic's schema from `number` on; returns the names it has no more. `kept`: those on disk at the start. */
  seen(
    topic: string,
    schema: Schema,
    number: number,
    kept: () => ReadonlySet<string>,
  ): ReadonlySet<string> {
    const before = this.#schemas.get(topic)
    if (before?.id === schema.id) return none
    this.#schemas.set(topic, schema)
    const now = new Set(schema.fields.map(({ name }) => name))
    const old = before === undefined ? kept() : new Set(before.fields.map(({ name }) => name))
    const gone = new Set([...old].filter((name) => !now.has(name)))
    if (gone.size === 0) return none
    let dropped = this.#dropped.get(topic)
    if (dropped === undefined) this.#dropped.set(topic, (dropped = new Map<string, Dropped>()))
    for (const name of gone) dropped.set(name, { number, waits: true })
    return gone
  }

  /** Whether a row has lost the field. `number` 0: a row on disk. */
  isDropped(topic: string, name: string, number: number): boolean {
    const dropped = this.#dropped.get(topic)?.get(name)
    if (dropped === undefined) return false
    return number === 0 ? dropped.waits : number <= dropped.number
  }

  /** What is on disk has lost them. */
  applied(topic: string, names: ReadonlySet<string>): void {
    for (const name of names) {
      const dropped = this.#dropped.get(topic)?.get(name)
      if (dropped !== undefined) dropped.waits = false
    }
  }
}
