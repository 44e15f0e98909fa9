/**
 * Random histories of updates that leave values out (large ones, as Postgres; any, as MySQL) or send
 * an edit of them, in whole and in interleaved open transactions with rolled-back parts, with
 * truncates and restarts in between: the folded log equals the model. Attacks invariants 3, 5 and 9,
 * and DESIGN §5: no placeholder is ever visible.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RowsChange, ValueEdit } from '../../../core/connector/source.ts'
import { readHead } from '../../../core/log/head.ts'
import type { Log } from '../../../core/log/log.ts'
import { makeBatch, Op } from '../../../core/record/batch.ts'
import { bitmapBytes, setBit } from '../../../core/record/bitmap.ts'
import { builderFor, Int32Builder, NumberBuilder } from '../../../core/record/builder.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { foldTopic } from '../../crash/judge.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { scriptedSource, type Script, type Step } from '../../support/scripted-source.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    { name: 'small', type: { kind: 'int64' }, nullable: false },
    { name: 'large', type: { kind: 'text' }, nullable: true },
    { name: 'day', type: { kind: 'date' }, nullable: true },
    { name: 'price', type: { kind: 'decimal', precision: 18, scale: 2 }, nullable: true },
    { name: 'at', type: { kind: 'timestamp' }, nullable: true },
    { name: 'doc', type: { kind: 'json' }, nullable: true },
  ],
  [0],
  'upsert',
)
const fields = schema.fields.length
const docField = 6

/** A row but for its key: its values as exact text. */
type Row = readonly (string | null)[]
type Table = Map<number, Row>
/** `sent`: bit i of it says that field i is in the image; the others are unchanged. */
type Change =
  | {
      readonly kind: 'put'
      readonly id: number
      readonly row: Row
      readonly sent: number
      /** Text that the document got at its end. */
      readonly appended?: string
    }
  | { readonly kind: 'delete'; readonly id: number }
  | {
      readonly kind: 'rekey'
      readonly from: number
      readonly id: number
      readonly row: Row
      readonly sent: number
    }

const all = 0xff

/** The rows of the changes as a decoder would give them. */
function rowsOf(changes: readonly Change[]): RowsChange {
  const builders = schema.fields.map(({ type }) => builderFor(type))
  const weights: number[] = []
  const previous: number[] = []
  const missing: number[][] = schema.fields.map(() => [])
  const edits = new Map<number, ValueEdit>()
  const row = (id: number, values: Row | null, sent: number, from: number): void => {
    for (let field = 0; field < fields; field++) {
      const value = field === 0 ? String(id) : (values?.[field - 1] ?? null)
      const there = field === 0 || (values !== null && (sent & (1 << field)) !== 0)
      if (!there && values !== null) missing[field]!.push(weights.length)
      appendText(builders[field]!, schema.fields[field]!.type, there ? value : null)
    }
    weights.push(values === null ? -1 : 1)
    previous.push(from)
  }
  for (const change of changes) {
    if (change.kind === 'delete') row(change.id, null, 0, -1)
    else if (change.kind === 'put') {
      if (change.appended !== undefined) edits.set(weights.length, appending(change.appended))
      row(change.id, change.row, change.sent, -1)
    } else {
      row(change.from, null, 0, -1)
      row(change.id, change.row, change.sent, weights.length - 1)
    }
  }
  const batch = makeBatch(
    schema,
    builders.map((builder) => builder.finish()),
    Int32Array.from(weights),
    new Uint8Array(weights.length).fill(Op.update),
    new Float64Array(weights.length),
  )
  const unchanged = missing.map((rows) => {
    if (rows.length === 0) return null
    const bits = new Uint8Array(bitmapBytes(weights.length))
    for (const index of rows) setBit(bits, index)
    return bits
  })
  return {
    topic: 't',
    batch,
    unchanged,
    edits: schema.fields.map((_, field) => (field === docField ? edits : null)),
    previous: Int32Array.from(previous),
  }
}

function appending(text: string): ValueEdit {
  return (before) => (before === null ? null : Buffer.concat([before, Buffer.from(text)]))
}

function appendText(builder: AnyBuilder, { kind }: LogicalType, text: string | null): void {
  if (text === null) return builder.appendNull()
  if (builder instanceof DecimalBuilder) {
    const bytes = Buffer.from(text)
    return builder.appendText(bytes, 0, bytes.length)
  }
  if (builder instanceof BytesBuilder) return builder.appendString(text)
  const days = (day: string): number => Date.parse(`${day}T00:00:00Z`) / 86_400_000
  if (builder instanceof Int32Builder)
    return builder.append(kind === 'date' ? days(text) : Number(text))
  if (!(builder instanceof NumberBuilder)) throw new Error(`no ${kind} here`)
  if (kind === 'int64') return builder.appendBigInt(BigInt(text))
  builder.append(text === 'infinity' ? Infinity : Date.parse(`${text}Z`) * 1000)
}

/** One database with up to two open transactions beside those that commit at once. */
class Model {
  readonly steps: Step[] = [{ transaction: null, end: null, changes: [rowsOf([])] }]
  readonly committed: Table = new Map()
  #open = new Map<
    string,
    { id: string; table: Table; before: Table; locked: Set<number>; part: string }
  >()
  #begun = 0
  #parts = 0

  #locked(id: number, own: string | null): boolean {
    for (const [name, open] of this.#open) if (name !== own && open.locked.has(id)) return true
    return false
  }

  change(name: string | null, seeds: readonly Seed[]): void {
    if (name !== null && !this.#open.has(name)) {
      // As in a database, no two transactions have one id.
      const id = `${name}.${++this.#begun}`
      this.#open.set(name, { id, table: new Map(), before: new Map(), locked: new Set(), part: '' })
    }
    const open = name === null ? null : this.#open.get(name)!
    const get = (id: number): Row | undefined =>
      open?.table.has(id) === true ? open.table.get(id) : this.committed.get(id)
    const changes: Change[] = []
    for (const { id, kind, row: fresh, sent } of seeds) {
      if (this.#locked(id, name) || this.#locked(id + 1, name)) continue
      const before = get(id)
      const set = (key: number, value: Row | undefined): void => {
        const table = open?.table ?? this.committed
        open?.locked.add(key)
        if (value !== undefined) table.set(key, value)
        else if (open === null) table.delete(key)
        else table.set(key, undefined as never)
      }
      const merged = (): Row =>
        before!.map((value, i) => ((sent & (2 << i)) === 0 ? value : fresh[i]!))
      if (before === undefined || kind === 1) {
        changes.push({ kind: 'put', id, row: fresh, sent: all })
        set(id, fresh)
      } else if (kind === 0) {
        changes.push({ kind: 'delete', id })
        set(id, undefined)
      } else if (kind === 2 && get(id + 1) === undefined) {
        const row = merged()
        changes.push({ kind: 'rekey', from: id, id: id + 1, row, sent })
        set(id, undefined)
        set(id + 1, row)
      } else if (kind === 3) {
        const doc = before[docField - 1]!
        const row = merged().with(docField - 1, doc === null ? null : `${doc} `)
        changes.push({ kind: 'put', id, row, sent: sent & ~(1 << docField), appended: ' ' })
        set(id, row)
      } else {
        const row = merged()
        changes.push({ kind: 'put', id, row, sent })
        set(id, row)
      }
    }
    const transaction = open === null ? null : { id: open.id, part: open.part }
    this.steps.push({ transaction, end: null, changes: [rowsOf(changes)] })
  }

  /** Waits, as the lock of a truncate does, until nobody else is at the table. */
  truncate(): void {
    if ([...this.#open.values()].some(({ locked }) => locked.size > 0)) return
    this.committed.clear()
    const changes = [{ topic: 't', truncate: true } as const]
    this.steps.push({ transaction: null, end: null, changes })
  }

  savepoint(name: string): void {
    const open = this.#open.get(name)
    if (open === undefined) return
    open.before = new Map(open.table)
    open.part = `s${++this.#parts}`
  }

  rollbackToSavepoint(name: string): void {
    const open = this.#open.get(name)
    if (open === undefined || open.part === '') return
    this.steps.push({ transaction: { id: open.id, part: open.part }, end: 'abort', changes: [] })
    open.table = new Map(open.before)
    open.part = `s${++this.#parts}`
  }

  end(name: string, how: 'commit' | 'abort'): void {
    const open = this.#open.get(name)
    if (open === undefined) return
    this.steps.push({ transaction: { id: open.id, part: '' }, end: how, changes: [] })
    this.#open.delete(name)
    if (how === 'abort') return
    for (const [id, row] of open.table) {
      if (row === undefined) this.committed.delete(id)
      else this.committed.set(id, row)
    }
  }

  finish(): void {
    for (const name of this.#open.keys()) this.end(name, 'commit')
    // A last row of its own, so that the last position comes with a commit.
    const row = ['1', 'end', null, null, null, null]
    this.change(null, [{ id: 99, kind: 1, row, sent: all }])
  }
}

interface Seed {
  readonly id: number
  readonly kind: number
  readonly row: Row
  readonly sent: number
}

const wide = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const twoDigits = fc.integer({ min: 10, max: 28 })
const row: fc.Arbitrary<Row> = fc.tuple<(string | null)[]>(
  fc.oneof(fc.integer(), wide).map(String),
  fc.oneof(fc.constant(null), fc.string({ maxLength: 40, unit: 'grapheme' })),
  fc.option(twoDigits.map((day) => `2024-02-${day}`)),
  fc.option(fc.bigInt({ min: 10n ** 15n, max: 10n ** 16n - 1n }).map((n) => `-${n}.50`)),
  fc.option(
    fc.oneof(
      fc.constant('infinity'),
      twoDigits.map((s) => `2024-02-29 01:02:${s}`),
    ),
  ),
  fc.option(fc.json({ maxDepth: 1 })),
)
/** Which fields are sent: Postgres leaves out the large ones at most, MySQL any. */
const sent = fc.oneof(fc.constantFrom(0b0101011, 0b0111011, all), fc.nat(all))
const seeds = fc.array(fc.record({ id: fc.nat(2), kind: fc.nat(6), row, sent }), { maxLength: 4 })
const name = fc.constantFrom('t1', 't2')
const action = fc.oneof(
  { weight: 6, arbitrary: seeds.map((s) => (m: Model) => m.change(null, s)) },
  {
    weight: 6,
    arbitrary: fc.tuple(name, seeds).map(
      ([n, s]) =>
        (m: Model) =>
          m.change(n, s),
    ),
  },
  { weight: 1, arbitrary: fc.constant((m: Model) => m.truncate()) },
  { weight: 4, arbitrary: name.map((n) => (m: Model) => m.savepoint(n)) },
  { weight: 4, arbitrary: name.map((n) => (m: Model) => m.rollbackToSavepoint(n)) },
  {
    weight: 2,
    arbitrary: fc.tuple(name, fc.constantFrom('commit' as const, 'abort' as const)).map(
      ([n, how]) =>
        (m: Model) =>
          m.end(n, how),
    ),
  },
)

async function play(log: Log, script: Script, folder: string): Promise<void> {
  const want = String(script.steps.length)
  for (let run = 0; run < 50; run++) {
    const stop = new AbortController()
    const task = {
      connector: scriptedSource(script),
      config: null,
      flush: {
        bytesMax: 1 << 20,
        intervalMs: script.steps.length % 3 === 0 ? 1 : 30,
        intervalMsMax: 30,
      },
      // Little enough that rows go to disk, enough at times that some stay.
      openBytesMax: script.steps.length % 2 === 0 ? 200 : 3000,
      stateDir: folder,
    }
    const running = runIngest(task, taskContext(log, 's'), stop.signal)
    const ended = running.then(
      () => 'stopped',
      () => 'failed',
    )
    const there = waitFor('the last step', async () => {
      const head = await readHead(log, 'p.source.s', AbortSignal.timeout(60_000))
      return head?.position === want
    })
    const first = await Promise.race([ended, there])
    stop.abort()
    await ended
    there.catch(() => {})
    if (first === true) return
  }
  throw new Error('did not get to the end in 50 runs')
}

test('unchanged values come from our own state, whatever the order of transactions and restarts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 5, maxLength: 40 }),
      fc.nat(60),
      async (actions, failAt) => {
        using dir = tempDir('unchanged')
        const model = new Model()
        for (const act of actions) act(model)
        model.finish()
        const log = await testLog()
        const script: Script = { steps: model.steps, acknowledged: [], failAt }
        await play(log, script, join(dir.path, 'state'))
        const expected = [...model.committed]
          .map(([id, row]) => JSON.stringify([String(id), ...row]))
          .sort()
        const { rows } = await foldTopic(log, 'p.source.s', 's.t')
        assert.deepEqual([...rows.keys()].sort(), expected)
      },
    ),
    { numRuns: 60 },
  )
})
