/**
 * Unchanged values: a source may leave a large value out of an update because it did not change
 * (Postgres TOAST). Here such a slot gets the value the row had before, from our own state, so that
 * no placeholder is ever visible to a reader of the log.
 *
 * A topic costs nothing until its first unchanged value. Then its history is read from the log into
 * the row memory, and every later row is remembered, in the layers in which it becomes durable:
 * open transaction → ready for the next commit → being committed → committed.
 */
import { existsSync } from 'node:fs'
import type { RowsChange } from '../connector/source.ts'
import { SluiceError } from '../errors/error.ts'
import { makeBatch, type Batch } from '../record/batch.ts'
import { bitAt } from '../record/bitmap.ts'
import { BytesBuilder } from '../record/bytes-builder.ts'
import { isNull, type Column } from '../record/column.ts'
import { rowKey } from '../record/key.ts'
import type { Schema } from '../record/schema.ts'
import type { LogicalType } from '../record/types.ts'
import { bytesAt, textAt } from '../record/value.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import { RowMemory, type RowValues } from './row-memory.ts'

type Transaction = { readonly id: string; readonly part: string } | null
type LayerEntry = {
  readonly topic: string
  readonly key: string
  readonly values: RowValues | null
}

/** What waits for one commit, oldest first: rows by key, all rows of a transaction, a truncate. */
type Segment =
  | { readonly kind: 'rows'; readonly rows: Map<string, LayerEntry> }
  | { readonly kind: 'scope'; readonly scope: string }
  | { readonly kind: 'truncate'; readonly topic: string }
type Layer = Segment[]

export interface Sealed {
  readonly layer: Layer
  /** Batches a topic has in it. */
  readonly topics: ReadonlyMap<string, number>
}

export function openUnchanged(log: Log, chain: string, folder: string): Unchanged {
  return new Unchanged(log, chain, folder)
}

export class Unchanged implements AsyncDisposable {
  readonly #log: Log
  readonly #chain: string
  readonly #folder: string
  readonly #stop = new AbortController()
  #memory: RowMemory | null = null
  #started = false
  readonly #remembered = new Set<string>()
  /** Topics with rows that are staged and not yet committed: their history cannot be read yet. */
  readonly #uncommitted = new Map<string, number>()
  readonly #openTopics = new Map<string, Set<string>>()
  readonly #aborted = new Map<string, Set<string>>()
  #ready: Layer = []
  #sealed: Layer | null = null

  constructor(log: Log, chain: string, folder: string) {
    this.#log = log
    this.#chain = chain
    this.#folder = folder
  }

  /** The batch without unchanged slots; remembers its rows where the topic is remembered. */
  async resolve(topic: string, change: RowsChange, transaction: Transaction): Promise<Batch> {
    if (!this.#started) await this.#start()
    const { unchanged } = change
    const some = unchanged?.some((bits) => bits !== null) === true
    if (some && !this.#remembered.has(topic)) await this.#remember(topic)
    if (transaction === null) this.#uncommitted.set(topic, (this.#uncommitted.get(topic) ?? 0) + 1)
    else this.#openOf(transaction.id).add(topic)
    if (!this.#remembered.has(topic)) return change.batch
    return this.#fill(topic, change, transaction)
  }

  async truncate(topic: string, transaction: Transaction): Promise<void> {
    if (!this.#started) await this.#start()
    if (!this.#remembered.has(topic)) return
    // A truncate inside an open transaction: rows after it are new keys or carry all values, and the
    // lock it holds keeps others out, so that forgetting at its commit is early enough.
    if (transaction !== null) return
    this.#ready.push({ kind: 'truncate', topic })
  }

  async abort(scope: string, part: string): Promise<void> {
    if (part !== '') {
      const aborted = this.#aborted.get(scope) ?? new Set()
      this.#aborted.set(scope, aborted.add(part))
      return
    }
    this.#openTopics.delete(scope)
    this.#aborted.delete(scope)
    await this.#memory?.dropOpen(scope)
  }

  async commit(scope: string): Promise<void> {
    const topics = this.#openTopics.get(scope)
    this.#openTopics.delete(scope)
    if (topics === undefined) return
    for (const topic of topics)
      this.#uncommitted.set(topic, (this.#uncommitted.get(topic) ?? 0) + 1)
    if (this.#memory !== null) this.#ready.push({ kind: 'scope', scope })
    await Promise.resolve()
  }

  /** What the commit that starts now holds; later rows go into the next layer. */
  seal(): Sealed {
    const layer = this.#ready
    this.#ready = []
    this.#sealed = layer
    const topics = new Map(this.#uncommitted)
    return { layer, topics }
  }

  /** That commit is durable under `seq`. */
  async committed(sealed: Sealed, seq: number): Promise<void> {
    for (const [topic, count] of sealed.topics) {
      const left = (this.#uncommitted.get(topic) ?? 0) - count
      if (left > 0) this.#uncommitted.set(topic, left)
      else this.#uncommitted.delete(topic)
    }
    const memory = this.#memory
    if (memory !== null && this.#remembered.size > 0) {
      for (const segment of sealed.layer) await this.#apply(memory, segment)
      await memory.apply([], new Map([...this.#remembered].map((topic) => [topic, seq + 1])))
    }
    this.#sealed = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#memory?.[Symbol.asyncDispose]()
  }

  async #apply(memory: RowMemory, segment: Segment): Promise<void> {
    switch (segment.kind) {
      case 'truncate':
        return memory.clearTopic(segment.topic)
      case 'scope': {
        await memory.mergeOpen(segment.scope, this.#aborted.get(segment.scope) ?? new Set())
        this.#aborted.delete(segment.scope)
        return
      }
      case 'rows': {
        const rows = [...segment.rows.values()].map((e) => [e.topic, e.key, e.values] as const)
        return memory.apply(rows, new Map())
      }
    }
  }

  /** Topics remembered by an earlier process are brought up to the head of the chain. */
  async #start(): Promise<void> {
    this.#started = true
    if (!existsSync(this.#folder)) return
    this.#memory = await RowMemory.open(this.#folder)
    for (const topic of await this.#memory.topics()) {
      await this.#readHistory(this.#memory, topic)
      this.#remembered.add(topic)
    }
  }

  async #remember(topic: string): Promise<void> {
    this.#memory ??= await RowMemory.open(this.#folder)
    await this.#memory.remember(topic)
    const open = [...this.#openTopics.values()].some((topics) => topics.has(topic))
    if (open || this.#uncommitted.has(topic)) {
      // Rows in front of this one are not in the log yet. Begin again from the last commit: the
      // topic is remembered from its first row then.
      throw new SluiceError('task.unchanged_restart', {
        message: `${topic} has its first unchanged large value; its rows are remembered from now on`,
      })
    }
    await this.#readHistory(this.#memory, topic)
    this.#remembered.add(topic)
  }

  async #readHistory(memory: RowMemory, topic: string): Promise<void> {
    await using reader = ChainReader.open(this.#log, this.#chain, await memory.cursor(topic))
    for (;;) {
      const commit = await reader.tryNext(this.#stop.signal)
      if (commit === null) return
      for (const [index, block] of commit.blocks.entries()) {
        if (block.topic !== topic) continue
        const batch = await reader.readBlock(commit, index, this.#stop.signal)
        if (batch === null) await memory.clearTopic(topic)
        else await memory.apply(historyRows(topic, batch), new Map())
      }
      await memory.apply([], new Map([[topic, commit.seq + 1]]))
    }
  }

  #openOf(scope: string): Set<string> {
    let topics = this.#openTopics.get(scope)
    if (topics === undefined) this.#openTopics.set(scope, (topics = new Set()))
    return topics
  }

  async #fill(topic: string, change: RowsChange, transaction: Transaction): Promise<Batch> {
    const { batch, unchanged, previous } = change
    const large = largeColumns(batch.schema)
    const filled = new Map<number, Map<number, Uint8Array | null>>()
    const gone = new Map<number, RowValues | null>()
    for (let row = 0; row < batch.rows; row++) {
      const key = rowKey(batch, row)
      if (batch.weights[row]! < 0) {
        if (previous !== undefined) gone.set(row, await this.#before(topic, key, transaction))
        await this.#put(topic, key, null, transaction)
        continue
      }
      const missing = large.filter((c) => unchanged?.[c] != null && bitAt(unchanged[c], row))
      let before: RowValues | null = null
      if (missing.length > 0) {
        const from = previous?.[row] ?? -1
        before = from >= 0 ? gone.get(from)! : await this.#before(topic, key, transaction)
      }
      const values = new Map<string, Uint8Array | null>()
      for (const column of large) {
        const field = batch.schema.fields[column]!
        if (!missing.includes(column)) {
          values.set(field.name, bytesOf(field.type, batch.columns[column]!, row))
          continue
        }
        const value = before?.get(field.name)
        if (value === undefined) throw notFound(topic, field.name)
        values.set(field.name, value)
        let slots = filled.get(column)
        if (slots === undefined) filled.set(column, (slots = new Map<number, Uint8Array | null>()))
        slots.set(row, value)
      }
      await this.#put(topic, key, values, transaction)
    }
    return filled.size === 0 ? batch : withSlots(batch, filled)
  }

  async #put(
    topic: string,
    key: string,
    values: RowValues | null,
    transaction: Transaction,
  ): Promise<void> {
    if (transaction === null) {
      let newest = this.#ready.at(-1)
      if (newest?.kind !== 'rows') this.#ready.push((newest = { kind: 'rows', rows: new Map() }))
      newest.rows.set(layerKey(topic, key), { topic, key, values })
    } else {
      await this.#memory!.putOpen(transaction.id, transaction.part, topic, key, values)
    }
  }

  /** The row's values before this change: in its own transaction, in what waits, in what is committed. */
  async #before(topic: string, key: string, transaction: Transaction): Promise<RowValues | null> {
    const memory = this.#memory!
    const inScope = async (scope: string): Promise<RowValues | null> =>
      memory.getOpen(scope, this.#aborted.get(scope) ?? new Set(), topic, key)
    if (transaction !== null) {
      const own = await inScope(transaction.id)
      if (own !== null) return own
    }
    for (const segment of [...(this.#sealed ?? []), ...this.#ready].toReversed()) {
      if (segment.kind === 'truncate') {
        if (segment.topic === topic) return null
      } else if (segment.kind === 'rows') {
        const entry = segment.rows.get(layerKey(topic, key))
        if (entry !== undefined) return entry.values
      } else {
        const values = await inScope(segment.scope)
        if (values !== null) return values
      }
    }
    return memory.get(topic, key)
  }
}

function layerKey(topic: string, key: string): string {
  return `${topic}\u0000${key}`
}

/** Columns whose values a source may leave out: those of no fixed size. */
function largeColumns(schema: Schema): number[] {
  const columns: number[] = []
  for (const [index, field] of schema.fields.entries()) {
    const { kind } = field.type
    if (['text', 'bytes', 'json', 'other', 'list', 'decimal'].includes(kind)) columns.push(index)
  }
  return columns
}

function* historyRows(
  topic: string,
  batch: Batch,
): Generator<readonly [string, string, RowValues | null]> {
  const large = largeColumns(batch.schema)
  for (let row = 0; row < batch.rows; row++) {
    const key = rowKey(batch, row)
    if (batch.weights[row]! < 0) yield [topic, key, null]
    else {
      const values = new Map<string, Uint8Array | null>()
      for (const column of large) {
        const field = batch.schema.fields[column]!
        values.set(field.name, bytesOf(field.type, batch.columns[column]!, row))
      }
      yield [topic, key, values]
    }
  }
}

/** A value as bytes: `bytes` as they are, everything else as its exact text. */
function bytesOf(type: LogicalType, column: Column, row: number): Uint8Array | null {
  if (isNull(column, row)) return null
  if (type.kind === 'bytes') return bytesAt(column, row)
  const text = textAt(type, column, row)
  return text === null ? null : Buffer.from(text)
}

/** The batch with those slots filled. A filled column becomes bytes: exact text holds for every large type. */
function withSlots(
  batch: Batch,
  filled: ReadonlyMap<number, ReadonlyMap<number, Uint8Array | null>>,
): Batch {
  const columns = batch.columns.map((column, index) => {
    const slots = filled.get(index)
    if (slots === undefined) return column
    const { type } = batch.schema.fields[index]!
    const builder = new BytesBuilder()
    for (let row = 0; row < batch.rows; row++) {
      const value = slots.has(row) ? slots.get(row)! : bytesOf(type, column, row)
      if (value === null) builder.appendNull()
      else builder.append(value, 0, value.length)
    }
    return builder.finish()
  })
  return makeBatch(batch.schema, columns, batch.weights, batch.ops, batch.timesUs)
}

function notFound(topic: string, field: string): SluiceError {
  return new SluiceError('task.unchanged_not_found', {
    message: `${topic}: an update left out ${field} as unchanged, and no earlier row of its key is in the log`,
  })
}
