/** The writers of the relations that rows come for, onto the rows gathered for their topics. Hot: one `writer` a row. */
import { Gathered } from '../../core/connector/gathered.ts'
import type { RelationPlan } from './relations.ts'
import { TableWriter } from './table-writer.ts'
import type { ValueDecoder } from './value-decoder.ts'
import { valueDecoder } from './values.ts'

export class TableWriters {
  readonly gathered = new Gathered<ValueDecoder>((topic) =>
    topic.schema.fields.map((field) => valueDecoder(field.type)),
  )
  readonly #writers = new Map<number, TableWriter>()
  #last: TableWriter | null = null
  #version = 0

  /** The writer for a row of the open transaction. */
  writer(plan: RelationPlan): TableWriter {
    const { gathered } = this
    const last = this.#last
    if (last !== null && last.plan === plan && this.#version === gathered.version) {
      gathered.enter(last.rows)
      return last
    }
    const rows = gathered.rowsOf(plan.topic)
    let writer = this.#writers.get(plan.oid)
    // Two relations that write to one topic under two schemas take turns.
    if (writer === undefined || writer.plan !== plan || writer.rows !== rows) {
      writer = new TableWriter(plan, rows)
      this.#writers.set(plan.oid, writer)
    }
    this.#version = gathered.version
    this.#last = writer
    return writer
  }
}
