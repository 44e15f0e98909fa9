/**
 * The judge: what a reader of the log would have, and whether each key's history is one that the table
 * can have had. Resolves unsent values as ingest does, from its own rows.
 */
import type { SourceBatch, TopicChange } from '../../../../core/connector/source.ts'
import { Op } from '../../../../core/record/batch.ts'
import { bitAt } from '../../../../core/record/bitmap.ts'
import { textAt } from '../../../../core/record/value.ts'
import type { Row } from './database.ts'

export class Ledger {
  /** By topic: rows by k, or, of a table without a key, by s. */
  readonly topics: Map<string, Map<number, Row>>
  #open: TopicChange[] = []

  constructor(topics: ReadonlyMap<string, ReadonlyMap<number, Row>> = new Map()) {
    this.topics = new Map([...topics].map(([topic, rows]) => [topic, new Map(rows)]))
  }

  copy(): Ledger {
    return new Ledger(this.topics)
  }

  /** `isMove`: whether change number s gave its row another key. */
  take(batch: SourceBatch, isMove: (s: number) => boolean): void {
    if (batch.transaction === null) {
      for (const change of batch.changes) this.#apply(change, isMove)
      return
    }
    this.#open.push(...batch.changes)
    if (batch.end === 'abort') this.#open = []
    if (batch.end !== 'commit') return
    for (const change of this.#open) this.#apply(change, isMove)
    this.#open = []
  }

  rowsOf(topic: string): Row[] {
    return [...(this.topics.get(topic)?.values() ?? [])].sort((a, b) => a.k - b.k || a.s - b.s)
  }

  #apply(change: TopicChange, isMove: (s: number) => boolean): void {
    const { topic } = change
    let rows = this.topics.get(topic)
    if (rows === undefined) this.topics.set(topic, (rows = new Map<number, Row>()))
    if ('truncate' in change) {
      rows.clear()
      return
    }
    const { batch, unchanged, previous, edits } = change
    const isKeyed = batch.schema.key.length > 0
    const went = new Map<number, Row>()
    for (let row = 0; row < batch.rows; row++) {
      const text = (field: number): string | null =>
        textAt(batch.schema.fields[field]!.type, batch.columns[field]!, row)
      const s = Number(text(0))
      const k = Number(text(1))
      const id = isKeyed ? k : s
      const present = rows.get(id)
      if (batch.weights[row]! < 0) {
        if (present === undefined) throw new Error(`${topic}: ${id} goes and was not there (${s})`)
        if (batch.schema.changelog === 'retract' && present.s !== s) {
          throw new Error(`${topic}: ${id} goes as ${s} and was ${present.s}`)
        }
        went.set(row, present)
        rows.delete(id)
        continue
      }
      const op = batch.ops[row]!
      const isNew = op !== Op.update || batch.schema.changelog === 'retract' || isMove(s)
      if (isNew === (present !== undefined)) {
        throw new Error(`${topic}: ${id} comes as ${s} (op ${op}) and was ${present?.s}`)
      }
      const from = previous?.[row] ?? -1
      const before = from >= 0 ? went.get(from) : present
      const value = (field: number, of: (row: Row) => string | null): string | null => {
        const bits = unchanged?.[field] ?? null
        if (bits === null || !bitAt(bits, row)) return text(field)
        if (before === undefined) throw new Error(`${topic}: ${id} has unsent values of no row`)
        const edit = edits?.[field]?.get(row)
        const old = of(before)
        return edit === undefined
          ? old
          : Buffer.from(edit(old === null ? null : Buffer.from(old))!).toString()
      }
      rows.set(id, { k, s, v: value(2, (row) => row.v), e: value(3, (row) => row.e)! })
    }
  }
}
