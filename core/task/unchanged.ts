/**
 * Unchanged values: a source may leave values out of an update because they did not change (Postgres
 * TOAST, MySQL's partial row images), or send what changed in them. Here such a slot gets its value
 * from the row as it was before, from our own state, so that no placeholder is ever visible to a
 * reader of the log.
 *
 * A topic costs nothing until its first unchanged value. Then its history is read from the log into
 * the row memory, and every later row is remembered, in the layers in which it becomes durable:
 * open transaction → ready for the next commit → being committed → committed.
 */
import { existsSync } from 'node:fs'
import type { RowsChange } from '../connector/source.ts'
import { SluiceError } from '../errors/error.ts'
import type { Batch } from '../record/batch.ts'
import { rowKey } from '../record/key.ts'
import type { Log } from '../log/log.ts'
import { OpenRows } from './open-rows.ts'
import { RecentRows, type Block } from './recent-rows.ts'
import { covers, isLarge, type Kept } from './row-layout.ts'
import { RowMemory } from './row-memory.ts'
import { TopicFields } from './topic-fields.ts'
import { fillUnchanged } from './unchanged-fill.ts'
import { readHistory, type HistoryOptions } from './unchanged-history.ts'
import { answersItself, findOrigins, markedRows, type Known } from './unchanged-origins.ts'

type Transaction = { readonly id: string; readonly part: string } | null

/** What waits for one commit, in order. */
type Segment =
  | { readonly kind: 'rows'; readonly block: Block; readonly remembered: boolean }
  | { readonly kind: 'scope'; readonly scope: OpenRows }
  | { readonly kind: 'truncate'; readonly topic: string }
  | { readonly kind: 'dropped'; readonly topic: string; readonly names: ReadonlySet<string> }
export type Layer = Segment[]

export interface UnchangedOptions {
  readonly log: Log
  readonly chain: string
  readonly ctx: HistoryOptions['ctx']
  /** Ends the reading of a history, which may take minutes. */
  readonly signal: AbortSignal
  /** The row memory's; made at the first unchanged value. */
  readonly folder: string
  /**
   * Memory for remembered rows of open transactions, and twice as much for rows behind the last
   * commit: the disk, which is asked for the others, is half as fast.
   */
  readonly bytesMax: number
}

export class Unchanged implements AsyncDisposable {
  readonly #options: UnchangedOptions
  readonly #stop = new AbortController()
  readonly #recent: RecentRows
  readonly #fields = new TopicFields()
  readonly #open = new Map<string, OpenRows>()
  #memory: RowMemory | null = null
  /** Topics whose history is in the memory up to the rows that wait. */
  readonly #remembered = new Set<string>()
  #started = false
  #ready: Segment[] = []
  #sealed: Layer = []
  /** What is done to the memory one at a time: applying a commit, reading a topic's history. */
  #busy: Promise<void> = Promise.resolve()

  constructor(options: UnchangedOptions) {
    this.#options = options
    this.#recent = new RecentRows(options.bytesMax * 2)
  }

  /** The batch without unchanged slots; remembers its rows where the topic is remembered. */
  async resolve(topic: string, change: RowsChange, transaction: Transaction): Promise<Batch> {
    if (!this.#started) await this.#start()
    const marked = markedRows(change)
    const keyed = change.batch.schema.key.length > 0
    const itself = marked !== null && (!keyed || answersItself(change, marked))
    if (marked !== null && !itself) await this.#remember(topic, neededFor(change))
    const remembered = keyed && this.#remembered.has(topic)
    if (remembered && transaction === null) this.#noteFields(topic, change.batch)
    const keys = remembered ? keysOf(change.batch) : []
    const own = transaction === null ? null : this.#openOf(transaction.id)
    let { batch } = change
    if (marked !== null) {
      const known: Known = {
        topic,
        recent: this.#recent,
        memory: remembered ? this.#memory : null,
        own,
        pending: () => this.#pending(topic),
        isDropped: (name, number) => this.#fields.isDropped(topic, name, number),
      }
      batch = fillUnchanged(topic, change, await findOrigins(known, change, marked, keys))
    }
    if (keyed && batch.rows > 0) await this.#keep({ topic, batch, keys }, transaction, remembered)
    return batch
  }

  async truncate(topic: string, transaction: Transaction): Promise<void> {
    if (!this.#started) await this.#start()
    // A truncate inside an open transaction: rows after it are new keys or carry all values, and the
    // lock it holds keeps others out, so that what is remembered of the rows before is never asked for.
    if (transaction !== null) return
    this.#recent.truncate(topic)
    this.#ready.push({ kind: 'truncate', topic })
  }

  async abort(scope: string, part: string): Promise<void> {
    const open = this.#open.get(scope)
    if (open === undefined) return
    open.aborted.add(part)
    if (part !== '') return
    this.#open.delete(scope)
    if (open.spilled.size > 0) await this.#memory?.dropOpen(scope)
  }

  commit(scope: string): void {
    const open = this.#open.get(scope)
    if (open === undefined) return
    this.#open.delete(scope)
    // What is on disk of it comes before what is in memory.
    if (open.spilled.size + open.unremembered.size > 0) {
      open.number = this.#recent.nextNumber()
      this.#ready.push({ kind: 'scope', scope: open })
    }
    for (const block of open.blocks()) this.#addWhole(block, true)
  }

  /** What the commit that starts now holds; later rows go into the next layer. */
  seal(): Layer {
    this.#sealed = this.#ready
    this.#ready = []
    return this.#sealed
  }

  /** That commit is durable under `seq`. */
  async committed(layer: Layer, seq: number): Promise<void> {
    await this.#alone(async () => {
      await this.#apply(layer)
      await this.#memory?.moveCursors(this.#remembered, seq + 1)
      this.#sealed = []
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#busy
    await this.#memory?.[Symbol.asyncDispose]()
  }

  async #keep(
    { topic, batch, keys }: Omit<Block, 'number'>,
    transaction: Transaction,
    remembered: boolean,
  ): Promise<void> {
    if (transaction === null) return this.#addWhole({ topic, batch, keys, number: 0 }, remembered)
    const open = this.#openOf(transaction.id)
    if (!remembered) open.unremembered.add(topic)
    else open.add(transaction.part, { topic, batch, keys, number: Infinity })
    let bytes = 0
    let largest = open
    for (const one of this.#open.values()) {
      bytes += one.bytes
      if (one.bytes > largest.bytes) largest = one
    }
    if (bytes > this.#options.bytesMax && this.#memory !== null) await largest.spill(this.#memory)
  }

  /** Rows of whole transactions, remembered or not: until their commit they may yet have to be. */
  #addWhole({ topic, batch, keys }: Block, remembered: boolean): void {
    const block: Block = { topic, batch, keys, number: this.#recent.nextNumber() }
    if (remembered) this.#recent.add(block)
    this.#ready.push({ kind: 'rows', block, remembered })
  }

  /** A field that the schema no longer has is not that of the rows before if its name comes again. */
  #noteFields(topic: string, { schema }: Batch): void {
    const kept = (): Set<string> => this.#memory!.fieldNames(topic)
    const names = this.#fields.seen(topic, schema, this.#recent.nextNumber(), kept)
    if (names.size > 0) this.#ready.push({ kind: 'dropped', topic, names })
  }

  async #apply(layer: Layer): Promise<void> {
    const memory = this.#memory
    let newest = 0
    for (const segment of layer) {
      if (segment.kind === 'rows') newest = Math.max(newest, segment.block.number)
    }
    for (const segment of layer) {
      switch (segment.kind) {
        case 'rows': {
          const { block, remembered } = segment
          if (memory === null || !remembered) break
          await memory.put(block, (row) => this.#recent.isOld(block, row, newest))
          this.#recent.committed(block)
          break
        }
        case 'truncate':
          await memory?.clearTopic(segment.topic)
          this.#recent.truncated(segment.topic)
          break
        case 'dropped':
          await memory?.dropFields(segment.topic, segment.names)
          this.#fields.applied(segment.topic, segment.names)
          break
        case 'scope':
          if (memory !== null) await this.#merge(memory, segment.scope)
      }
    }
  }

  async #merge(memory: RowMemory, scope: OpenRows): Promise<void> {
    if (scope.spilled.size === 0) return
    await memory.mergeOpen(scope)
    for (const topic of scope.spilled) this.#recent.hideBelow(topic, scope.number)
    scope.spilled.clear()
  }

  /** Topics remembered by an earlier process are brought up to the head of the chain. */
  async #start(): Promise<void> {
    this.#started = true
    if (!existsSync(this.#options.folder)) return
    this.#memory = await RowMemory.open(this.#options.folder)
    for (const topic of this.#memory.topics()) {
      await this.#read(this.#memory, topic)
      this.#remembered.add(topic)
    }
  }

  async #remember(topic: string, kept: Kept): Promise<void> {
    if (covers(this.#memory?.kept(topic) ?? null, kept)) return
    await this.#alone(async () => {
      this.#memory ??= await RowMemory.open(this.#options.folder)
      this.#remembered.delete(topic)
      await this.#memory.remember(topic, kept)
      if (this.#isOutOfReach(topic)) {
        // Rows of open transactions in front of this one are neither here nor in the log. Begin again
        // from the last commit: the topic is remembered from its first row then.
        throw new SluiceError('task.unchanged_restart', {
          message: `${topic} has its first unchanged value in an open transaction; its rows are remembered from now on`,
        })
      }
      await this.#read(this.#memory, topic)
      this.#rememberWaiting(topic)
      this.#remembered.add(topic)
    })
  }

  /** Rows of whole transactions that wait for their commit are at hand, and remembered after all. */
  #rememberWaiting(topic: string): void {
    const remembered = (segment: Segment): Segment => {
      if (segment.kind !== 'rows' || segment.remembered || segment.block.topic !== topic)
        return segment
      const block = { ...segment.block, keys: keysOf(segment.block.batch) }
      this.#recent.add(block)
      return { kind: 'rows', block, remembered: true }
    }
    // The layer being committed is the one that `committed` will be called with.
    const sealed = this.#sealed
    for (let i = 0; i < sealed.length; i++) sealed[i] = remembered(sealed[i]!)
    this.#ready = this.#ready.map(remembered)
  }

  /** Whether the topic has rows, not in the log yet, of which memory does not have all that is asked for. */
  #isOutOfReach(topic: string): boolean {
    const scopes = [...this.#open.values()]
    for (const segment of [...this.#sealed, ...this.#ready]) {
      if (segment.kind === 'scope') scopes.push(segment.scope)
    }
    return scopes.some(({ spilled, unremembered }) => spilled.has(topic) || unremembered.has(topic))
  }

  async #read(memory: RowMemory, topic: string): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, this.#stop.signal])
    await readHistory(memory, topic, { ...this.#options, signal })
  }

  /** Whole transactions with rows of the topic on disk that are not merged yet, newest first. */
  #pending(topic: string): OpenRows[] {
    const scopes: OpenRows[] = []
    for (const segment of [...this.#sealed, ...this.#ready]) {
      if (segment.kind === 'scope' && segment.scope.spilled.has(topic))
        scopes.unshift(segment.scope)
    }
    return scopes
  }

  #openOf(id: string): OpenRows {
    let open = this.#open.get(id)
    if (open === undefined) this.#open.set(id, (open = new OpenRows(id)))
    return open
  }

  async #alone(act: () => Promise<void>): Promise<void> {
    const turn = this.#busy.then(act)
    // Whoever comes next waits for it, however it ends; its failure is the caller's.
    this.#busy = turn.catch(() => {})
    await turn
  }
}

function keysOf(batch: Batch): string[] {
  const keys = Array.from<string>({ length: batch.rows })
  for (let row = 0; row < batch.rows; row++) keys[row] = rowKey(batch, row)
  return keys
}

/** Columns of fixed size are never left out by TOAST: a mark on one says that every column can be. */
function neededFor({ batch, unchanged }: RowsChange): Kept {
  const all = unchanged!.some((bits, i) => bits !== null && !isLarge(batch.schema.fields[i]!.type))
  return all ? 'all' : 'large'
}
