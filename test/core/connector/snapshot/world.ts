/**
 * Drives a copy beside a stream by a tape of numbers: each number chooses what happens next (a
 * transaction commits, becomes visible, is streamed; an answer of the database comes; the reader of the
 * log pulls; a crash). At the tape's end everything goes on in turns until nothing is left to do.
 */
import assert from 'node:assert/strict'
import { snapshotBeside, type SnapshotBeside } from '../../../../core/connector/snapshot/beside.ts'
import {
  nothingCopied,
  type SnapshotProgress,
} from '../../../../core/connector/snapshot/progress.ts'
import type {
  Chunk,
  ChunkRows,
  KeyText,
  SnapshotReader,
  SnapshotTable,
  WholeTable,
} from '../../../../core/connector/snapshot/reader.ts'
import { SnapshotTableChanged } from '../../../../core/connector/snapshot/reader.ts'
import type { Context } from '../../../../core/connector/context.ts'
import { position, type Position, type SourceBatch } from '../../../../core/connector/source.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { Op, type Batch } from '../../../../core/record/batch.ts'
import { changesOf, Database, rowsBatch, type Row, type Table } from './database.ts'
import { Ledger } from './ledger.ts'

export interface WorldOptions {
  readonly tables: readonly Table[]
  /** Whether the order of keys has to be asked of the server. */
  readonly asyncOrder: boolean
  readonly chunksAhead: number
  readonly parallel: number
  readonly lateBytesMax: number
  readonly tape: readonly number[]
}

interface Pending {
  readonly run: () => boolean
}

/** What travels in positions. */
interface Place {
  readonly at: number
  readonly progress: SnapshotProgress
}

export class World {
  readonly database: Database
  readonly #options: WorldOptions
  #tape: number[]
  #pending: Pending[] = []
  #ledger = new Ledger()
  #committed: { readonly ledger: Ledger; readonly place: Place }
  #stop = new AbortController()
  #beside: SnapshotBeside | null = null
  #batches: AsyncIterator<SourceBatch> | null = null
  #pull: Promise<void> | null = null
  #failure: unknown = null
  #asked: Record<string, string> = {}
  /** Of the stream: transactions brought, entries of the open one brought, and who waits for more. */
  #streamed = 0
  #parts = 0
  #waiting: ((result: IteratorResult<SourceBatch>) => void) | null = null
  #moves = new Set<number>()
  crashes = 0
  yields = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.#tape = [...options.tape]
    this.database = new Database(options.tables)
    this.#committed = { ledger: new Ledger(), place: { at: 0, progress: nothingCopied } }
  }

  async run(): Promise<void> {
    for (let i = this.#draw(8); i > 0; i--) this.#transaction()
    // Some of it is there before the stream begins, as a table is that is added later.
    this.#committed = {
      ledger: new Ledger(),
      place: { at: this.database.log.length, progress: nothingCopied },
    }
    this.#begin()
    while (this.#tape.length > 0) await this.#step(this.#draw(100))
    await this.#drain()
    await this.#end()
  }

  async #step(choice: number): Promise<void> {
    if (choice < 22) this.#transaction()
    else if (choice < 34) this.#show()
    else if (choice < 52) this.#stream()
    else if (choice < 80) this.#answer(this.#draw(1000))
    else if (choice < 96) this.#next()
    else if (choice < 97) this.#again()
    else if (choice < 98) this.#exchange()
    else await this.#crash()
    await this.#settled()
  }

  async #settled(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#failure !== null) throw this.#failure
  }

  /** Everything in turns until all tables are copied and all transactions streamed. */
  async #drain(): Promise<void> {
    for (let i = 0; this.database.log.some(({ visible }) => !visible); i++) this.database.show(i)
    let quiet = 0
    for (let round = 0; quiet < 8; round++) {
      if (round > 3000) assert.fail('it does not come to an end')
      this.#answer(round)
      this.#stream()
      this.#next()
      await this.#settled()
      const isOver = this.#beside!.isDone && this.#streamed === this.database.log.length
      quiet = isOver ? quiet + 1 : 0
    }
  }

  async #end(): Promise<void> {
    await this.#halt()
    for (const { topic } of this.database.tables.values()) {
      const expected = [...this.database.rows.get(topic)!.values()].sort((a, b) => a.k - b.k)
      assert.deepEqual(this.#ledger.rowsOf(topic), expected, topic)
    }
  }

  #draw(below: number): number {
    return (this.#tape.pop() ?? 0) % below
  }

  #transaction(): void {
    const topics = [...this.database.tables.keys()]
    const entries = []
    for (let i = 1 + this.#draw(4); i > 0; i--) {
      const topic = topics[this.#draw(topics.length)]!
      if (this.database.lockCount(topic) > 0) continue
      const entry = this.database.change(topic, (below) => this.#draw(below))
      if (entry === null) continue
      entries.push(entry)
      if ('after' in entry && entry.after !== null && entry.before !== null) {
        if (entry.before.k !== entry.after.k) this.#moves.add(entry.after.s)
      }
    }
    this.database.commit(entries)
  }

  #show(): void {
    const { log } = this.database
    if (log.length > 0) this.database.show(log.length - 1 - this.#draw(Math.min(4, log.length)))
  }

  /** Another table has the name: as after DROP and CREATE, all rows go. */
  #exchange(): void {
    const tables = [...this.database.tables.values()].filter(({ keyed }) => keyed)
    const table = tables[this.#draw(tables.length)]
    if (table === undefined || this.database.lockCount(table.topic) > 0) return
    table.id += "'"
    this.#asked = { ...this.#asked }
  }

  #again(): void {
    const topics = [...this.database.tables.keys()]
    const topic = topics[this.#draw(topics.length)]!
    if (this.#draw(2) === 0) this.#beside!.again(topic)
    else this.#asked = { ...this.#asked, [topic]: `${this.#asked[topic] ?? ''}x` }
  }

  // The stream.

  #stream(): boolean {
    const resolve = this.#waiting
    if (resolve === null) return false
    const { log, tables } = this.database
    const give = (batch: Partial<SourceBatch>): boolean => {
      this.#waiting = null
      const value = { changes: [], transaction: null, end: null, position: null, ...batch }
      resolve({ done: false, value })
      return true
    }
    const at = (): Position => position(String(this.#streamed))
    const next = log[this.#streamed]
    if (next === undefined) {
      if (this.#tape.length > 0 && this.#draw(4) > 0) return false
      return give({ position: at() })
    }
    const { entries } = next
    const transaction = { id: String(this.#streamed), part: '' }
    if (this.#parts > 0 || this.#draw(4) === 0) {
      const from = this.#parts
      const to = Math.min(entries.length, from + 1 + this.#draw(2))
      const changes = changesOf(entries.slice(from, to), tables)
      this.#parts = to
      if (to < entries.length || (from < to && this.#draw(2) === 0)) {
        return give({ changes, transaction })
      }
      this.#parts = 0
      this.#streamed++
      return give({ changes, transaction, end: 'commit', position: at() })
    }
    const count = Math.min(log.length - this.#streamed, 1 + this.#draw(3))
    const several = log.slice(this.#streamed, this.#streamed + count)
    this.#streamed += count
    return give({
      changes: changesOf(
        several.flatMap(({ entries }) => entries),
        tables,
      ),
      position: at(),
    })
  }

  #streamOf(signal: AbortSignal): AsyncIterable<SourceBatch> {
    return {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((resolve, reject) => {
            if (signal.aborted) return reject(signal.reason as Error)
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
            this.#waiting = resolve
          }),
      }),
    }
  }

  // The reader of the log.

  #begin(): void {
    const { place } = this.#committed
    this.#ledger = this.#committed.ledger.copy()
    this.#streamed = place.at
    this.#parts = 0
    this.#waiting = null
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const { chunksAhead, parallel, lateBytesMax } = this.#options
    this.#beside = snapshotBeside(
      {
        stream: this.#streamOf(signal),
        reader: this.#reader(),
        tables: [...this.database.tables.keys()],
        asked: this.#asked,
        progress: place.progress,
        position: position(String(place.at)),
        join: (at, progress) => position(JSON.stringify({ at: Number(at), progress })),
        ctx: this.#context(),
        chunksAhead,
        parallel,
        lateBytesMax,
      },
      signal,
    )
    this.#batches = this.#beside[Symbol.asyncIterator]()
  }

  #next(): void {
    if (this.#pull !== null) return
    const pull = this.#batches!.next().then(({ value }) => {
      this.#pull = null
      this.yields++
      const batch = value as SourceBatch
      this.#ledger.take(batch, (s) => this.#moves.has(s))
      if (batch.position !== null) this.#moveTo(batch.position)
    })
    this.#pull = pull.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#failure = error
    })
  }

  /** Positions never go back, and only some of them are committed before a crash. */
  #moveTo(text: Position): void {
    const place = JSON.parse(text) as Place
    const { at, progress } = this.#committed.place
    assert.ok(place.at >= at && place.progress.steps >= progress.steps, 'a position went back')
    if (this.#draw(3) > 0 || this.#tape.length === 0) {
      this.#committed = { ledger: this.#ledger.copy(), place }
    }
  }

  async #crash(): Promise<void> {
    this.crashes++
    await this.#halt()
    this.#begin()
  }

  async #halt(): Promise<void> {
    this.#stop.abort(new Error('halted'))
    await this.#pull
    this.#pull = null
    await this.#batches!.return?.()
    this.#pending = []
    for (const topic of this.database.tables.keys()) {
      assert.equal(this.database.lockCount(topic), 0, 'a lock was left behind')
    }
  }

  // The database.

  /** Lets one of the waiting answers come, if its time has come. */
  #answer(which: number): boolean {
    const pending = this.#pending[which % Math.max(1, this.#pending.length)]
    if (pending === undefined || !pending.run()) return false
    this.#pending = this.#pending.filter((other) => other !== pending)
    return true
  }

  #later<T>(signal: AbortSignal, answer: () => T, isTime = (): boolean => true): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const pending: Pending = {
        run: () => {
          if (!isTime()) return false
          try {
            resolve(answer())
          } catch (error) {
            reject(error as Error)
          }
          return true
        },
      }
      this.#pending.push(pending)
      const stop = (): void => {
        this.#pending = this.#pending.filter((other) => other !== pending)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  #reader(): SnapshotReader {
    const { database } = this
    return {
      describe: (topic, signal) => this.#later(signal, () => this.#described(topic)),
      split: (table, after, signal) =>
        this.#later(signal, () => {
          const rows = database.snapshot(this.#same(table)).filter(isIn({ after, upTo: null }))
          const count = 1 + this.#draw(3)
          return rows.length <= count ? null : [String(rows[count - 1]!.k)]
        }),
      read: (table, rows, from, signal) =>
        this.#later(
          signal,
          () => this.#chunk(table, rows),
          () => database.isShownUpTo(Number(from)),
        ),
      isUpTo: (table, batch, rows, upTo, signal) => {
        const answer = (): Uint8Array =>
          Uint8Array.from(rows, (row) => (keyAt(batch, row) <= Number(upTo[0]) ? 1 : 0))
        return this.#options.asyncOrder ? this.#later(signal, answer) : answer()
      },
      readWhole: (table, signal) => this.#whole(table, signal),
    }
  }

  #described(topic: string): SnapshotTable | null {
    this.#trouble()
    const { id, keyed } = this.database.tables.get(topic)!
    if (this.#tape.length > 0 && this.#draw(20) === 0) return null
    return { topic, id, key: keyed ? ['k int'] : [] }
  }

  #same(table: SnapshotTable): string {
    this.#trouble()
    if (this.database.tables.get(table.topic)!.id !== table.id) {
      throw new SnapshotTableChanged(table.topic)
    }
    return table.topic
  }

  /** Now and then the server is away for a moment. */
  #trouble(): void {
    if (this.#tape.length === 0 || this.#draw(25) > 0) return
    throw new SluiceError('source.mysql.protocol', { message: 'away', fault: 'transient' })
  }

  #chunk(table: SnapshotTable, wanted: ChunkRows): Chunk {
    const rows = this.database.snapshot(this.#same(table)).filter(isIn(wanted))
    const { schema } = this.database.tables.get(table.topic)!
    const half = rows.length >> 1
    const batches = [rows.slice(0, half), rows.slice(half)]
      .filter((part) => part.length > 0)
      .map((part) => rowsBatch(schema, part, Op.snapshot))
    const end = this.database.visibleEnd()
    return { batches, isPassed: (at) => Number(at) >= end }
  }

  async #whole(table: SnapshotTable, signal: AbortSignal): Promise<WholeTable> {
    const { database } = this
    const { topic } = table
    const { schema } = database.tables.get(topic)!
    const unlock = database.lock(topic)
    const release = async (): Promise<void> => unlock()
    const end = database.log.length
    try {
      const all = (): boolean => database.isShownUpTo(end)
      const rows = await this.#later(signal, () => database.snapshot(this.#same(table)), all)
      const later = <T>(answer: () => T): Promise<T> => this.#later(signal, answer)
      return {
        isPassed: (at) => Number(at) >= end,
        release,
        batches: async function* () {
          for (let i = 0; i < rows.length; i += 2) {
            yield await later(() => rowsBatch(schema, rows.slice(i, i + 2), Op.snapshot))
          }
        },
        [Symbol.asyncDispose]: release,
      }
    } catch (error) {
      await release()
      throw error
    }
  }

  #context(): Context {
    const none = (): void => {}
    return {
      pipeline: 'p',
      name: 's',
      clock: { nowMs: () => 0, sleep: (_, signal) => this.#later(signal, none) },
      random: () => 0.5,
      logger: { debug: none, info: none, warn: none, error: none },
      metrics: { count: none, gauge: none, observe: none },
      report: none,
    }
  }
}

function isIn(wanted: ChunkRows): (row: Row) => boolean {
  if ('keys' in wanted) {
    const keys = new Set(wanted.keys.map(([k]) => Number(k)))
    return ({ k }) => keys.has(k)
  }
  const bound = (key: KeyText | null, none: number): number =>
    key === null ? none : Number(key[0])
  const after = bound(wanted.after, -Infinity)
  const upTo = bound(wanted.upTo, Infinity)
  return ({ k }) => k > after && k <= upTo
}

function keyAt({ columns }: Batch, row: number): number {
  const column = columns[1]!
  if (column.encoding !== 'int32') throw new Error('k is an int32')
  return column.values[row]!
}
