/**
 * A database in memory, as a copy beside its stream sees one: transactions commit in an order, become
 * visible later and in another order (two that touch one row become visible one after the other), and
 * the stream brings them later still, or before they are visible.
 */
import { builderFor } from '../../../../core/record/builder.ts'
import { makeBatch, Op, type Batch } from '../../../../core/record/batch.ts'
import { bitmapBytes, setBit } from '../../../../core/record/bitmap.ts'
import { makeSchema, type Changelog, type Schema } from '../../../../core/record/schema.ts'
import type { RowsChange, TopicChange, ValueEdit } from '../../../../core/connector/source.ts'

/** `s`: number of the change that made the row as it is; `v` may be left unsent, `e` edited. */
export interface Row {
  readonly k: number
  readonly s: number
  readonly v: string | null
  readonly e: string
}

export interface Table {
  readonly topic: string
  /** Another one after the table was dropped and made again. */
  id: string
  readonly keyed: boolean
  readonly schema: Schema
}

/** One row's change. `unsent`: v does not come; `edit`: e comes as an edit; `before` null = insert, `after` null = delete. */
export interface Change {
  readonly topic: string
  readonly before: Row | null
  readonly after: Row | null
  readonly unsent: boolean
  readonly edit: boolean
}
type Entry = Change | { readonly topic: string; readonly truncate: true }

export interface Transaction {
  readonly entries: readonly Entry[]
  visible: boolean
}

export function schemaOf(keyed: boolean, changelog: Changelog): Schema {
  return makeSchema(
    [
      { name: 's', type: { kind: 'int64' }, nullable: false },
      { name: 'k', type: { kind: 'int32' }, nullable: false },
      { name: 'v', type: { kind: 'text' }, nullable: true },
      { name: 'e', type: { kind: 'json' }, nullable: true },
    ],
    keyed ? [1] : [],
    changelog,
  )
}

const edit: ValueEdit = (before) => Buffer.concat([before ?? Buffer.from(''), Buffer.from('+')])

export class Database {
  readonly tables: ReadonlyMap<string, Table>
  readonly log: Transaction[] = []
  /** Rows as of the last commit, by topic, by k. */
  readonly rows = new Map<string, Map<number, Row>>()
  /** Locks by topic: nobody may write to it meanwhile. */
  readonly #locks = new Map<string, number>()
  #changes = 0

  constructor(tables: readonly Table[]) {
    this.tables = new Map(tables.map((table) => [table.topic, table]))
    for (const { topic } of tables) this.rows.set(topic, new Map())
  }

  lock(topic: string): () => void {
    this.#locks.set(topic, this.lockCount(topic) + 1)
    let isHeld = true
    return () => {
      if (isHeld) this.#locks.set(topic, this.lockCount(topic) - 1)
      isHeld = false
    }
  }
  lockCount(topic: string): number {
    return this.#locks.get(topic) ?? 0
  }

  /** One change of some row of the topic, by a draw of numbers; null when it cannot be. */
  change(topic: string, draw: (below: number) => number): Entry | null {
    const rows = this.rows.get(topic)!
    const k = draw(12)
    const kind = draw(20)
    const before = rows.get(k) ?? null
    if (kind === 0) {
      rows.clear()
      return { topic, truncate: true }
    }
    const s = ++this.#changes
    const unsent = draw(2) === 0
    const base = { topic, unsent: false, edit: false }
    if (before === null) {
      const after = { k, s, v: `v${s}`, e: `"e${s}` }
      rows.set(k, after)
      return { ...base, before, after }
    }
    if (kind < 5) {
      rows.delete(k)
      return { ...base, before, after: null }
    }
    const to = kind < 9 ? draw(12) : k
    if (to !== k && rows.has(to)) return null
    const isEdit = kind > 15
    const after = {
      k: to,
      s,
      v: unsent ? before.v : draw(3) === 0 ? null : `v${s}`,
      e: isEdit ? `${before.e}+` : `"e${s}`,
    }
    rows.delete(k)
    rows.set(to, after)
    return { topic, before, after, unsent, edit: isEdit }
  }

  commit(entries: readonly Entry[]): void {
    if (entries.length > 0) this.log.push({ entries, visible: false })
  }

  /** Makes transaction `index` visible, and before it those that changed rows which it changes. */
  show(index: number): void {
    const transaction = this.log[index]!
    if (transaction.visible) return
    for (let i = 0; i < index; i++) {
      if (!this.log[i]!.visible && touchesSame(this.log[i]!, transaction)) this.show(i)
    }
    transaction.visible = true
  }

  /** How many transactions the stream must have brought so that it has brought all visible ones. */
  visibleEnd(): number {
    return this.log.findLastIndex((transaction) => transaction.visible) + 1
  }

  isShownUpTo(end: number): boolean {
    return this.log.slice(0, end).every((transaction) => transaction.visible)
  }

  /** The rows of a topic as a snapshot of now shows them. */
  snapshot(topic: string): Row[] {
    return rowsAfter(
      this.log.filter(({ visible }) => visible),
      topic,
    )
  }

  /** Changes after the first `count` transactions that are rolled back. */
  rolledBack(topic: string, count: number, draw: (below: number) => number): Entry[] {
    const s = 1_000_000
    const [row] = rowsAfter(this.log.slice(0, count), topic)
    const k = 12 + draw(3)
    const base = { topic, unsent: false, edit: false }
    const entries: Entry[] = [{ ...base, before: null, after: { k, s, v: 'never', e: '"never' } }]
    if (row === undefined) return entries
    const after = { ...row, k: draw(2) === 0 ? row.k : 15, s, v: 'never' }
    return [...entries, { ...base, before: row, after, unsent: draw(2) === 0 }]
  }
}

/** The rows of a topic after these transactions, in order of k. */
function rowsAfter(log: readonly Transaction[], topic: string): Row[] {
  const rows = new Map<number, Row>()
  for (const entry of log.flatMap(({ entries }) => entries)) {
    if (entry.topic !== topic) continue
    if ('truncate' in entry) rows.clear()
    else {
      if (entry.before !== null) rows.delete(entry.before.k)
      if (entry.after !== null) rows.set(entry.after.k, entry.after)
    }
  }
  return [...rows.values()].sort((a, b) => a.k - b.k)
}

function touchesSame(a: Transaction, b: Transaction): boolean {
  return a.entries.some((one) =>
    b.entries.some((other) => {
      if (one.topic !== other.topic) return false
      if ('truncate' in one || 'truncate' in other) return true
      const keys = [other.before?.k, other.after?.k]
      return [one.before?.k, one.after?.k].some((k) => k !== undefined && keys.includes(k))
    }),
  )
}

export function rowsBatch(schema: Schema, rows: readonly Row[], op: number): Batch {
  const images = rows.map((row) => ({
    row,
    weight: 1,
    op,
    unsent: false,
    edit: false,
    moved: false,
  }))
  return changeOf('', schema, images).batch
}

interface Image {
  readonly row: Row
  readonly weight: number
  readonly op: number
  readonly unsent: boolean
  readonly edit: boolean
  readonly moved: boolean
}

/** The entries of some transactions as the stream says them, in order within a topic. */
export function changesOf(
  entries: readonly Entry[],
  tables: ReadonlyMap<string, Table>,
): TopicChange[] {
  const changes: TopicChange[] = []
  const images = new Map<string, Image[]>()
  const finish = (topic: string): void => {
    const gathered = images.get(topic)
    images.delete(topic)
    if (gathered !== undefined) changes.push(changeOf(topic, tables.get(topic)!.schema, gathered))
  }
  for (const entry of entries) {
    const { topic } = entry
    if ('truncate' in entry) {
      finish(topic)
      changes.push(entry)
      continue
    }
    const list = images.get(topic) ?? []
    images.set(topic, list)
    list.push(...imagesOf(entry, tables.get(topic)!.schema.changelog))
  }
  for (const topic of images.keys()) finish(topic)
  return changes
}

function* imagesOf(
  { before, after, unsent, edit }: Change,
  changelog: Changelog,
): Generator<Image> {
  const sent = { unsent: false, edit: false, moved: false }
  const retract = changelog === 'retract'
  const op = before === null ? Op.insert : after === null ? Op.delete : Op.update
  const moves = before !== null && after !== null && before.k !== after.k
  if (before !== null && (after === null || moves || retract)) {
    yield { row: before, weight: -1, op, ...sent }
  }
  if (after === null) return
  const isPartial = unsent || edit
  if (retract) yield { row: after, weight: 1, op, ...sent }
  else yield { row: after, weight: 1, op, unsent, edit, moved: moves && isPartial }
}

function changeOf(topic: string, schema: Schema, images: readonly Image[]): RowsChange {
  const count = images.length
  const s = builderFor({ kind: 'int64' })
  const k = builderFor({ kind: 'int32' })
  const v = builderFor({ kind: 'text' })
  const e = builderFor({ kind: 'json' })
  if (!('append' in s) || !('append' in k) || !('appendString' in v) || !('appendString' in e)) {
    throw new Error('not the builders of these types')
  }
  const unsentV = new Uint8Array(bitmapBytes(count))
  const unsentE = new Uint8Array(bitmapBytes(count))
  const edits = new Map<number, ValueEdit>()
  const previous = new Int32Array(count).fill(-1)
  for (const [i, image] of images.entries()) {
    ;(s.append as (value: number) => void)(image.row.s)
    ;(k.append as (value: number) => void)(image.row.k)
    if (image.unsent || image.row.v === null) v.appendNull()
    else v.appendString(image.row.v)
    if (image.unsent) setBit(unsentV, i)
    if (image.edit) {
      setBit(unsentE, i)
      edits.set(i, edit)
      e.appendNull()
    } else e.appendString(image.row.e)
    if (image.moved) previous[i] = i - 1
  }
  const batch = makeBatch(
    schema,
    [s.finish(), k.finish(), v.finish(), e.finish()],
    Int32Array.from(images, ({ weight }) => weight),
    Uint8Array.from(images, ({ op }) => op),
    Float64Array.from(images, ({ row }) => row.s),
  )
  if (!images.some((image) => image.unsent || image.edit)) return { topic, batch }
  return {
    topic,
    batch,
    unchanged: [
      null,
      null,
      unsentV.some((byte) => byte !== 0) ? unsentV : null,
      unsentE.some((byte) => byte !== 0) ? unsentE : null,
    ],
    ...(edits.size === 0 ? {} : { edits: [null, null, null, edits] }),
    ...(images.some((image) => image.moved) ? { previous } : {}),
  }
}
