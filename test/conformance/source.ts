/**
 * What every source must do, run against its real server: a source's test calls `sourceConformance`
 * with a harness and adds only what is its own. Attacks invariants 1 (durable before acknowledged),
 * 3 (a transaction is never split), 5 (nothing vanishes) and 8 (every wait ends on abort).
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Context } from '../../core/connector/context.ts'
import type { Position, Source, SourceBatch, SourceConnector } from '../../core/connector/source.ts'
import { textAt } from '../../core/record/value.ts'
import { quietContext } from '../support/context.ts'
import { waitFor } from '../support/env.ts'

export interface SourceHarness<C> {
  readonly connector: SourceConnector<C>
  readonly config: C
  /** The topic that `insert` writes to; it holds `before` rows when the source is first read. */
  readonly topic: string
  readonly before: number
  /** Commits one transaction of `rows` new rows, whose first column is never the same. */
  insert(rows: number): Promise<void>
  /** Rows in the source now. */
  count(): Promise<number>
  /** Whether the server holds a connection of this source (its name is that of the context). */
  connected(name: string): Promise<boolean>
  /** Whether an acknowledged position lets the source forget; null when it keeps nothing for us. */
  forgotten: ((position: Position) => Promise<boolean>) | null
  /** Removes what the source keeps on the server for a context of this name. */
  forget(name: string): Promise<void>
}

interface Committed {
  readonly ids: string[]
  readonly position: Position | null
}

let contexts = 0

function newContext(name = `conformance_${process.pid}_${++contexts}`): Context {
  return quietContext({ pipeline: 'conformance', name, random: Math.random })
}

/** One process's life with a source: pulls batches, keeps what a log would hold. */
class Reading<C> implements AsyncDisposable {
  readonly batches: SourceBatch[] = []
  readonly #topic: string
  readonly #stop = new AbortController()
  readonly source: Source
  readonly iterator: AsyncIterator<SourceBatch>

  private constructor(harness: SourceHarness<C>, source: Source, after: Position | null) {
    this.#topic = harness.topic
    this.source = source
    this.iterator = source.read(after, this.#stop.signal)[Symbol.asyncIterator]()
  }

  static async open<C>(
    harness: SourceHarness<C>,
    context: Context,
    after: Position | null,
  ): Promise<Reading<C>> {
    return new Reading(harness, await harness.connector.open(harness.config, context), after)
  }

  async next(): Promise<SourceBatch> {
    const result = await this.iterator.next()
    assert.ok(result.done !== true, 'a source ends only by abort or by throwing')
    const batch = taken(result.value)
    this.batches.push(batch)
    return batch
  }

  /** First columns of the topic's committed rows, and the position that goes with them. */
  committed(): Committed {
    return committedOf(this.batches, this.#topic)
  }

  async until(rows: number): Promise<void> {
    while (this.committed().ids.length < rows) await this.next()
  }

  abort(): void {
    this.#stop.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.source[Symbol.asyncDispose]()
  }
}

/** Worse than ingest takes it: of what a source gives for good, nothing is left where it was. */
function taken(batch: SourceBatch): SourceBatch {
  const changes = batch.changes.map((change) => {
    if (!('batch' in change) || change.owned !== true) return change
    const transfer = [...buffersOf(change.batch)]
    return { ...change, batch: structuredClone(change.batch, { transfer }) }
  })
  return { ...batch, changes }
}

function buffersOf(value: unknown, found = new Set<ArrayBuffer>()): ReadonlySet<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) found.add(value.buffer as ArrayBuffer)
  else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) buffersOf(inner, found)
  }
  return found
}

function idsOf(batch: SourceBatch, topic: string): string[] {
  const ids: string[] = []
  for (const change of batch.changes) {
    if (change.topic !== topic || !('batch' in change)) continue
    const { schema, columns, rows } = change.batch
    for (let i = 0; i < rows; i++) ids.push(textAt(schema.fields[0]!.type, columns[0]!, i) ?? '')
  }
  return ids
}

/** What is left after a crash: whole transactions up to the last position. */
function committedOf(batches: readonly SourceBatch[], topic: string): Committed {
  const open = new Map<string, string[]>()
  const ids: string[] = []
  let pending: string[] = []
  let position: Position | null = null
  for (const batch of batches) {
    const { transaction, end } = batch
    if (transaction === null) pending.push(...idsOf(batch, topic))
    else {
      const staged = [...(open.get(transaction.id) ?? []), ...idsOf(batch, topic)]
      open.set(transaction.id, staged)
      if (end !== null) open.delete(transaction.id)
      if (end === 'commit') pending.push(...staged)
    }
    if (batch.position === null) continue
    ids.push(...pending)
    pending = []
    position = batch.position
  }
  return { ids, position }
}

export function sourceConformance<C>(
  name: string,
  start: () => Promise<SourceHarness<C> & AsyncDisposable>,
): void {
  describe(`${name}: source conformance`, () => {
    test('brings every row once, whatever batch it is stopped at', async () => {
      await using harness = await start()
      const context = newContext()
      const ids: string[] = []
      let position: Position | null = null
      let stops = 0
      // One more batch a life, until one life is long enough to bring everything.
      for (let life = 1; ; life++) {
        await harness.insert(3)
        const expected = await harness.count()
        await using reading: Reading<C> = await Reading.open(harness, context, position)
        for (let i = 0; i < life && ids.length + reading.committed().ids.length < expected; i++) {
          await reading.next()
        }
        const done: Committed = reading.committed()
        ids.push(...done.ids)
        if (position !== null && done.position !== null) {
          assert.ok(harness.connector.atOrAfter(done.position, position))
        }
        position = done.position ?? position
        stops++
        if (ids.length >= expected) break
        assert.ok(life < 200, 'the source never brought everything')
      }
      assert.ok(stops > 1)
      assert.equal(ids.length, await harness.count())
      assert.equal(new Set(ids).size, ids.length, 'a row came twice')
      await harness.forget(context.name)
    })

    test('a topic begins with its schema, and a transaction has an end', async () => {
      await using harness = await start()
      const context = newContext()
      await using reading = await Reading.open(harness, context, null)
      await reading.until(harness.before)
      await harness.insert(500)
      await reading.until(harness.before + 500)
      const open = new Set<string>()
      const schemas = new Set<string>()
      for (const { changes, transaction, end, position } of reading.batches) {
        for (const change of changes) {
          if ('batch' in change) {
            assert.equal(change.batch.columns.length, change.batch.schema.fields.length)
            schemas.add(change.topic)
          } else assert.ok(schemas.has(change.topic), 'a truncate before the schema')
        }
        if (transaction === null) assert.equal(end, null)
        else if (end === null) {
          open.add(transaction.id)
          assert.equal(position, null, 'a position within a transaction')
        } else open.delete(transaction.id)
      }
      assert.ok(schemas.has(harness.topic))
      assert.equal(open.size, 0)
      await reading[Symbol.asyncDispose]()
      await harness.forget(context.name)
    })

    test('positions are a partial order that only grows', async () => {
      await using harness = await start()
      const context = newContext()
      const positions: Position[] = []
      await using reading = await Reading.open(harness, context, null)
      for (let i = 1; i <= 5; i++) {
        await harness.insert(2)
        await reading.until(harness.before + 2 * i)
      }
      for (const { position } of reading.batches) if (position !== null) positions.push(position)
      const atOrAfter = (a: Position, b: Position) => harness.connector.atOrAfter(a, b)
      for (const [i, a] of positions.entries()) {
        assert.ok(atOrAfter(a, a))
        for (const b of positions.slice(0, i)) assert.ok(atOrAfter(a, b), `${a} after ${b}`)
      }
      const [first, last] = [positions[0]!, positions.at(-1)!]
      assert.notEqual(first, last)
      assert.ok(!atOrAfter(first, last))
      await reading[Symbol.asyncDispose]()
      await harness.forget(context.name)
    })

    test('ends its waits on abort, and leaves no connection behind', async () => {
      await using harness = await start()
      const context = newContext()
      await using reading = await Reading.open(harness, context, null)
      await reading.until(harness.before)
      assert.ok(await harness.connected(context.name))
      // Nothing is to come: the source waits.
      const waiting = (async () => {
        for (;;) await reading.next()
      })()
      reading.abort()
      await assert.rejects(waiting)
      await reading.source[Symbol.asyncDispose]()
      await waitFor('its connections to end', async () => !(await harness.connected(context.name)))

      // Aborted while connecting, and before it was ever pulled.
      await using early = await Reading.open(harness, newContext(), null)
      const pulled = early.next()
      early.abort()
      await assert.rejects(pulled)
      await using never = await Reading.open(harness, newContext(), null)
      await never[Symbol.asyncDispose]()
      await harness.forget(context.name)
    })

    test('is disposed while a batch is in its reader’s hands', async () => {
      await using harness = await start()
      const context = newContext()
      await using reading = await Reading.open(harness, context, null)
      await reading.next()
      await reading.source[Symbol.asyncDispose]()
      await waitFor('its connections to end', async () => !(await harness.connected(context.name)))
      await harness.forget(context.name)
    })

    test('forgets only what was acknowledged', async () => {
      await using harness = await start()
      const { forgotten } = harness
      if (forgotten === null) return
      const context = newContext()
      const reading = await Reading.open(harness, context, null)
      await reading.until(harness.before)
      await harness.insert(10)
      await reading.until(harness.before + 10)
      const { position } = reading.committed()
      assert.ok(position !== null)
      await reading[Symbol.asyncDispose]()
      assert.ok(!(await forgotten(position)), 'nothing was acknowledged')

      // A new life goes on from an older position, and now acknowledges.
      const first = committedOf(reading.batches.slice(0, 1), harness.topic)
      await using again = await Reading.open(harness, context, first.position)
      const missing = harness.before + 10 - first.ids.length
      await again.until(missing)
      const done = again.committed().position!
      await again.source.ack(done)
      // An acknowledgement only moves forward.
      if (first.position !== null) await again.source.ack(first.position)
      const pulling = (async () => {
        for (;;) await again.next()
      })()
      await waitFor('the source to forget', () => forgotten(done))
      again.abort()
      await assert.rejects(pulling)
      await again[Symbol.asyncDispose]()
      await harness.forget(context.name)
    })
  })
}
