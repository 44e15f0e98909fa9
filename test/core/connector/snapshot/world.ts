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
import type { Clock, Context } from '../../../../core/connector/context.ts'
import { position, type Position, type SourceBatch } from '../../../../core/connector/source.ts'
import { quietContext } from '../../../support/context.ts'
import { Answers } from './answers.ts'
import { changesOf, Database, type Table } from './database.ts'
import { Ledger } from './ledger.ts'
import { ModelReader } from './model-reader.ts'

export interface WorldOptions {
  readonly tables: readonly Table[]
  /** Whether the order of keys has to be asked of the server. */
  readonly asyncOrder: boolean
  readonly chunksAhead: number
  readonly parallel: number
  readonly lateBytesMax: number
  readonly tape: readonly number[]
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
  readonly #answers = new Answers()
  readonly #model: ModelReader
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
  /** Parts of a transaction came that is rolled back next. */
  #isRolledBack = false
  #rolledBack = 0
  #waiting: ((result: IteratorResult<SourceBatch>) => void) | null = null
  #moves = new Set<number>()
  crashes = 0
  yields = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.#tape = [...options.tape]
    this.database = new Database(options.tables)
    this.#model = new ModelReader({
      database: this.database,
      answers: this.#answers,
      asyncOrder: options.asyncOrder,
      draw: (below) => this.#draw(below),
      isWild: () => this.#tape.length > 0,
    })
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
    else if (choice < 80) this.#answers.give(this.#draw(1000))
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
      this.#answers.give(round)
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
    if (this.#isRolledBack) {
      this.#isRolledBack = false
      const transaction = { id: `rolled back ${this.#rolledBack}`, part: '' }
      return give({ transaction, end: 'abort', position: this.#draw(2) === 0 ? at() : null })
    }
    if (this.#parts === 0 && this.#tape.length > 0 && this.#draw(12) === 0) {
      this.#isRolledBack = true
      const topics = [...tables.keys()]
      const topic = topics[this.#draw(topics.length)]!
      const draw = (below: number): number => this.#draw(below)
      const entries = this.database.rolledBack(topic, this.#streamed, draw)
      const transaction = { id: `rolled back ${++this.#rolledBack}`, part: '' }
      return give({ changes: changesOf(entries, tables), transaction })
    }
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
    this.#isRolledBack = false
    this.#waiting = null
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const { chunksAhead, parallel, lateBytesMax } = this.#options
    this.#beside = snapshotBeside(
      {
        stream: (until) => this.#streamOf(until),
        reader: this.#model.reader(),
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
    assert.equal(this.#answers.count, 0, 'somebody still waits')
    for (const topic of this.database.tables.keys()) {
      assert.equal(this.database.lockCount(topic), 0, 'a lock was left behind')
    }
  }

  #context(): Context {
    const sleep: Clock['sleep'] = (_, signal) => this.#answers.later(signal, () => {})
    return quietContext({ clock: { nowMs: () => 0, sleep } })
  }
}
