/**
 * What a reader of the log would hold: applies source batches as ingest does (transactions in progress
 * staged apart until they commit, aborted ones forgotten, unchanged values taken from the own state)
 * and keeps every topic as rows of exact texts. Fails where a batch breaks the contract.
 */
import assert from 'node:assert/strict'
import type { RowsChange, SourceBatch, TopicChange } from '../../core/connector/source.ts'
import { Op } from '../../core/record/batch.ts'
import { bitAt } from '../../core/record/bitmap.ts'
import type { Schema } from '../../core/record/schema.ts'
import { textAt } from '../../core/record/value.ts'

/** null = SQL null. */
export type Texts = readonly (string | null)[]

interface Row {
  readonly schema: Schema
  readonly row: Texts
  copies: number
}
interface Staged {
  readonly part: string
  readonly changes: readonly TopicChange[]
}

export class Fold {
  /** Per topic the rows by the text of their key, or of the whole row where there is no key. */
  readonly topics = new Map<string, Map<string, Row>>()
  readonly #newest = new Map<string, Schema>()
  readonly #staged = new Map<string, Staged[]>()
  /** Rows applied so far, of both weights. */
  rows = 0
  transactionsInParts = 0
  aborts = 0

  apply(batch: SourceBatch): void {
    const { transaction } = batch
    if (transaction === null) {
      assert.equal(batch.end, null)
      const isAnnouncement = batch.changes.every(
        (change) => 'batch' in change && change.batch.rows === 0,
      )
      assert.ok(
        batch.position !== null || isAnnouncement,
        'whole transactions come with their position',
      )
      this.#applyAll(batch.changes)
      return
    }
    const staged = this.#staged.get(transaction.id) ?? []
    if (batch.end === 'abort' && transaction.part !== '') {
      this.aborts++
      this.#staged.set(
        transaction.id,
        staged.filter(({ part }) => part !== transaction.part),
      )
      return
    }
    if (batch.end === 'abort') this.aborts++
    if (batch.end !== 'abort') staged.push({ part: transaction.part, changes: batch.changes })
    this.#staged.set(transaction.id, staged)
    if (batch.end === null) {
      assert.equal(batch.position, null, 'an open transaction has no position (invariant 3)')
      return
    }
    this.#staged.delete(transaction.id)
    if (batch.end === 'commit') {
      this.transactionsInParts++
      for (const { changes } of staged) this.#applyAll(changes)
    }
  }

  /** Of the topic's newest rows; undefined before there are any. */
  schemaOf(topic: string): Schema | undefined {
    return this.#newest.get(topic)
  }

  /** What a crash does: of transactions in progress nothing is left. */
  forgetStaged(): void {
    this.#staged.clear()
  }

  /** The source was opened anew: what had not ended will come again. */
  forgetOpen(): void {
    this.#staged.clear()
  }

  /** The rows of a topic, sorted, each as JSON of its texts under the topic's newest schema. */
  sorted(topic: string): string[] {
    const names = this.#newest.get(topic)?.fields.map((field) => field.name) ?? []
    const rows = [...(this.topics.get(topic)?.values() ?? [])]
    return rows
      .flatMap(({ schema, row, copies }) => {
        const places = names.map((name) => schema.fields.findIndex((field) => field.name === name))
        const text = JSON.stringify(places.map((place) => row[place] ?? null))
        return Array<string>(copies).fill(text)
      })
      .sort()
  }

  /** Fails unless the topic holds exactly these rows; shows the first that differ, cut short. */
  assertRows(topic: string, expected: readonly string[]): void {
    const found = this.sorted(topic)
    const [inFound, inExpected] = [new Set(found), new Set(expected)]
    const extra = found.filter((row) => !inExpected.has(row)).map((row) => row.slice(0, 200))
    const missing = expected.filter((row) => !inFound.has(row)).map((row) => row.slice(0, 200))
    assert.deepEqual(
      { extra: extra.slice(0, 3), missing: missing.slice(0, 3) },
      { extra: [], missing: [] },
      topic,
    )
    assert.equal(found.length, expected.length, topic)
  }

  #applyAll(changes: readonly TopicChange[]): void {
    for (const change of changes) {
      if ('truncate' in change) this.topics.get(change.topic)?.clear()
      else this.#applyRows(change)
    }
  }

  #applyRows(change: RowsChange): void {
    const { schema, weights, ops } = change.batch
    const rows = this.topics.get(change.topic) ?? new Map<string, Row>()
    this.topics.set(change.topic, rows)
    this.#newest.set(change.topic, schema)
    const olds = new Map<number, Texts | undefined>()
    for (let i = 0; i < change.batch.rows; i++) {
      const row = this.#rowOf(change, i, rows, olds)
      const keyed = schema.changelog === 'upsert'
      const key = JSON.stringify(keyed ? schema.key.map((field) => row[field]) : row)
      const known = rows.get(key)
      this.rows++
      if (weights[i] === 1) {
        const appears = ops[i] === Op.insert || ops[i] === Op.snapshot
        if (keyed && appears) assert.equal(known, undefined, `a row comes twice: ${key}`)
        rows.set(key, { schema, row, copies: keyed ? 1 : (known?.copies ?? 0) + 1 })
        continue
      }
      assert.equal(weights[i], -1)
      assert.notEqual(schema.changelog, 'append')
      olds.set(i, known?.row)
      if (schema.changelog === 'retract') assert.ok(known, `−1 of a row that is not there: ${key}`)
      if (known !== undefined && known.copies > 1) known.copies--
      else rows.delete(key)
    }
  }

  #rowOf(
    change: RowsChange,
    index: number,
    rows: ReadonlyMap<string, { readonly row: Texts }>,
    olds: ReadonlyMap<number, Texts | undefined>,
  ): Texts {
    const { schema, columns } = change.batch
    const row = schema.fields.map((field, i) => textAt(field.type, columns[i]!, index))
    const missing = schema.fields.flatMap((_, i) => {
      const bits = change.unchanged?.[i] ?? null
      return bits !== null && bitAt(bits, index) ? [i] : []
    })
    if (missing.length === 0) return row
    const old = change.previous?.[index] ?? -1
    const before =
      old === -1
        ? rows.get(JSON.stringify(schema.key.map((field) => row[field] ?? null)))?.row
        : olds.get(old)
    assert.ok(before, 'an unchanged value of a row that is not there')
    for (const i of missing) row[i] = before[i]!
    return row
  }
}
