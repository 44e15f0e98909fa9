/**
 * Finds, for each row of a batch that has unchanged slots, the row it was before: in the batch itself,
 * in memory, or on disk. What memory answers costs no promise; the disk is asked once a batch.
 */
import type { RowsChange } from '../connector/source.ts'
import { bitAt } from '../record/bitmap.ts'
import type { OpenRows } from './open-rows.ts'
import type { Block, Place, RecentRows } from './recent-rows.ts'
import { BatchRows, layoutIdOf, type LayoutRows, type RowSource } from './row-layout.ts'
import type { FoundRow, RowMemory } from './row-memory.ts'
import type { Origins } from './unchanged-fill.ts'

/** Where rows may be. */
export interface Known {
  readonly topic: string
  readonly recent: RecentRows
  /** null: the topic is not remembered; only rows of the batch itself can answer. */
  readonly memory: RowMemory | null
  /** The transaction of the batch, while it is open. */
  readonly own: OpenRows | null
  /** Transactions that are whole, with rows of the topic on disk that are not merged yet; newest first. */
  readonly pending: () => readonly OpenRows[]
  /** Whether a row's value of a field is from before the field was dropped. */
  readonly isDropped: (name: string, blockNumber: number) => boolean
}

/** A key that the disk is asked for; what memory says of it counts unless the disk knows better. */
interface Question {
  readonly key: string
  place: Place | undefined
}

const unknown = -1

/** Per row, whether any field is marked; null = none is, or only rows that go. */
export function markedRows({ batch, unchanged }: RowsChange): Uint8Array | null {
  let marked: Uint8Array | null = null
  for (const bits of unchanged ?? []) {
    if (bits === null) continue
    marked ??= new Uint8Array(bits.length)
    for (let i = 0; i < bits.length; i++) marked[i]! |= bits[i]!
  }
  if (marked === null) return null
  for (let row = 0; row < batch.rows; row++) {
    if (batch.weights[row]! > 0 && bitAt(marked, row)) return marked
  }
  return null
}

/** Whether each marked row follows its full old row in the batch: a retract topic needs no memory for it. */
export function answersItself({ batch, previous }: RowsChange, marked: Uint8Array): boolean {
  if (batch.schema.changelog !== 'retract' || previous === undefined) return false
  for (let row = 0; row < batch.rows; row++) {
    if (batch.weights[row]! > 0 && bitAt(marked, row) && !hasWhole(previous, marked, row))
      return false
  }
  return true
}

function hasWhole(previous: Int32Array, marked: Uint8Array, row: number): boolean {
  const old = previous[row]!
  return old >= 0 && !bitAt(marked, old)
}

/** `keys`: of the batch's rows; none when the topic is not remembered. */
export async function findOrigins(
  known: Known,
  change: RowsChange,
  marked: Uint8Array,
  keys: readonly string[],
): Promise<Origins> {
  const search = new Search(known, change, marked, keys)
  search.inMemory()
  await search.onDisk()
  return search.origins
}

class Search {
  readonly #known: Known
  readonly #change: RowsChange
  readonly #marked: Uint8Array
  readonly #keys: readonly string[]
  readonly #pending: readonly OpenRows[]
  readonly #sources: RowSource[]
  readonly #blocks = new Map<Block, number>()
  readonly #from: Int32Array
  readonly #rows: Int32Array
  readonly #questions: Question[] = []
  /** The newest row of each key in the batch so far. */
  readonly #newest = new Map<string, number>()

  constructor(known: Known, change: RowsChange, marked: Uint8Array, keys: readonly string[]) {
    this.#known = known
    this.#change = change
    this.#marked = marked
    this.#keys = keys
    this.#pending = known.pending()
    this.#sources = [new BatchRows(change.batch)]
    this.#from = new Int32Array(change.batch.rows).fill(unknown)
    this.#rows = new Int32Array(change.batch.rows)
  }

  get origins(): Origins {
    return { sources: this.#sources, from: this.#from, rows: this.#rows }
  }

  inMemory(): void {
    const { batch, previous } = this.#change
    const marked = this.#marked
    const keyed = this.#known.memory !== null
    const retract = batch.schema.changelog === 'retract'
    for (let row = 0; row < batch.rows; row++) {
      const goes = batch.weights[row]! < 0
      const old = goes || previous === undefined ? -1 : previous[row]!
      if (goes) {
        // A row to come may have been this one: what it was is known only until it is gone.
        if (previous !== undefined && keyed) this.#locate(row)
      } else if (bitAt(marked, row)) {
        if (old >= 0 && retract && !bitAt(marked, old)) this.#place(row, 0, old)
        else if (old >= 0) this.#place(row, this.#from[old]!, this.#rows[old]!)
        else if (keyed) this.#locate(row)
      }
      if (keyed) this.#newest.set(this.#keys[row]!, row)
    }
  }

  #place(row: number, source: number, at: number): void {
    this.#from[row] = source
    this.#rows[row] = at
  }

  #locate(row: number): void {
    const key = this.#keys[row]!
    const { batch } = this.#change
    const inBatch = this.#newest.get(key)
    if (inBatch !== undefined) {
      if (batch.weights[inBatch]! > 0) this.#place(row, 0, inBatch)
      return
    }
    const { topic, own, recent } = this.#known
    const pending = this.#pending
    const mine = own?.find(topic, key)
    if (mine !== undefined) return this.#placeAt(row, mine)
    const place = recent.find(topic, key)
    const onDisk =
      own?.spilled.has(topic) === true ||
      (place === undefined
        ? pending.length > 0 || !recent.isEmptied(topic)
        : pending.some((scope) => scope.number > place.block.number))
    if (!onDisk) {
      if (place !== undefined) this.#placeAt(row, place)
      return
    }
    // Index of the question below −1, until it is answered.
    this.#from[row] = unknown - this.#questions.push({ key, place })
  }

  #placeAt(row: number, { block, row: at }: Place): void {
    if (block.batch.weights[at]! > 0) this.#place(row, this.#sourceOf(block), at)
  }

  #sourceOf(block: Block): number {
    let source = this.#blocks.get(block)
    if (source === undefined) {
      const { isDropped } = this.#known
      source = this.#sources.push(hiding(new BatchRows(block.batch), isDropped, block.number)) - 1
      this.#blocks.set(block, source)
    }
    return source
  }

  async onDisk(): Promise<void> {
    const { topic, memory, own, recent } = this.#known
    if (this.#questions.length === 0 || memory === null) return
    // Both are of this moment of the stream, whatever is applied to the disk while it is asked.
    const emptied = recent.isEmptied(topic)
    const keys = this.#questions.map(({ key }) => key)
    for (;;) {
      const { merges } = recent
      const pending = this.#known.pending()
      const scopes = own?.spilled.has(topic) === true ? [own, ...pending] : pending
      const found = await memory.find(topic, keys, scopes)
      if (recent.merges === merges) return this.#answer(memory, found, scopes, emptied)
      // A transaction was merged meanwhile: what memory has from before it does not count any more.
      for (const question of this.#questions) question.place = recent.find(topic, question.key)
    }
  }

  #answer(
    memory: RowMemory,
    found: readonly (FoundRow | null)[],
    scopes: readonly OpenRows[],
    emptied: boolean,
  ): void {
    const { own } = this.#known
    const answers = new Int32Array(found.length).fill(unknown)
    const rows = new Int32Array(found.length)
    const layouts = new Map<number, { readonly rows: LayoutRows; readonly source: number }>()
    for (const [i, { place }] of this.#questions.entries()) {
      const there = found[i] ?? null
      const committed = there?.from === scopes.length
      if (place !== undefined && !isNewer(scopes, there, place, own)) {
        if (place.block.batch.weights[place.row]! <= 0) continue
        answers[i] = this.#sourceOf(place.block)
        rows[i] = place.row
      } else if (there?.row != null && !(committed && emptied)) {
        ;[answers[i], rows[i]] = this.#fromDisk(memory, layouts, there.row)
      }
    }
    for (let row = 0; row < this.#from.length; row++) {
      const question = unknown - 1 - this.#from[row]!
      if (question < 0) continue
      this.#from[row] = answers[question]!
      this.#rows[row] = rows[question]!
    }
  }

  #fromDisk(
    memory: RowMemory,
    layouts: Map<number, { readonly rows: LayoutRows; readonly source: number }>,
    row: Uint8Array,
  ): [source: number, row: number] {
    const { topic, isDropped } = this.#known
    const id = layoutIdOf(row)
    let known = layouts.get(id)
    if (known === undefined) {
      const made = memory.layoutRows(topic, id)
      const source = this.#sources.push(hiding(made, isDropped, 0)) - 1
      known = { rows: made, source }
      layouts.set(id, known)
    }
    return [known.source, known.rows.add(row)]
  }
}

/** Whether what is on disk came after the row in memory. */
function isNewer(
  scopes: readonly OpenRows[],
  found: FoundRow | null,
  place: Place,
  own: OpenRows | null,
): boolean {
  if (found === null || found.from === scopes.length) return false
  const scope = scopes[found.from]!
  return scope === own || scope.number > place.block.number
}

/** Rows without the fields that were dropped since. */
function hiding(rows: RowSource, isDropped: Known['isDropped'], number: number): RowSource {
  return { field: (name) => (isDropped(name, number) ? null : rows.field(name)) }
}
