/**
 * Random histories of updates that leave large values out, in whole and in interleaved open
 * transactions with rolled-back parts, with restarts in between: the folded log equals the model.
 * Attacks invariants 3 and 5, and DESIGN §5: no placeholder is ever visible.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RowsChange } from '../../../core/connector/source.ts'
import { readHead } from '../../../core/log/head.ts'
import type { Log } from '../../../core/log/log.ts'
import { makeBatch, Op } from '../../../core/record/batch.ts'
import { bitmapBytes, setBit } from '../../../core/record/bitmap.ts'
import { Int32Builder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { foldTopic } from '../../crash/judge.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { scriptedSource, type Script, type Step } from '../../support/scripted-source.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    { name: 'small', type: { kind: 'int32' }, nullable: false },
    { name: 'large', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)

type Large = string | null
type Table = Map<number, { small: number; large: Large }>
/** large undefined = unchanged. */
type Change =
  | { readonly kind: 'put'; readonly id: number; readonly small: number; readonly large?: Large }
  | { readonly kind: 'delete'; readonly id: number }
  | { readonly kind: 'rekey'; readonly from: number; readonly id: number; readonly small: number }

/** The rows of the changes as a decoder would give them. */
function rowsOf(changes: readonly Change[]): RowsChange {
  const ids = new Int32Builder()
  const smalls = new Int32Builder()
  const larges = new BytesBuilder()
  const weights: number[] = []
  const previous: number[] = []
  const missing: number[] = []
  const row = (
    id: number,
    small: number,
    large: Large | undefined,
    weight: number,
    from: number,
  ): void => {
    if (large === undefined && weight > 0) missing.push(weights.length)
    ids.append(id)
    smalls.append(small)
    if (large === undefined || large === null) larges.appendNull()
    else larges.appendString(large)
    weights.push(weight)
    previous.push(from)
  }
  for (const change of changes) {
    if (change.kind === 'delete') row(change.id, 0, undefined, -1, -1)
    else if (change.kind === 'put') row(change.id, change.small, change.large, 1, -1)
    else {
      row(change.from, 0, undefined, -1, -1)
      row(change.id, change.small, undefined, 1, weights.length - 1)
    }
  }
  const bits = new Uint8Array(bitmapBytes(weights.length))
  for (const index of missing) setBit(bits, index)
  const batch = makeBatch(
    schema,
    [ids.finish(), smalls.finish(), larges.finish()],
    Int32Array.from(weights),
    new Uint8Array(weights.length).fill(Op.update),
    new Float64Array(weights.length),
  )
  const unchanged = [null, null, missing.length > 0 ? bits : null]
  return { topic: 't', batch, unchanged, previous: Int32Array.from(previous) }
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

  change(
    name: string | null,
    seeds: readonly { readonly id: number; readonly kind: number; readonly large: Large }[],
  ): void {
    if (name !== null && !this.#open.has(name)) {
      // As in a database, no two transactions have one id.
      const id = `${name}.${++this.#begun}`
      this.#open.set(name, { id, table: new Map(), before: new Map(), locked: new Set(), part: '' })
    }
    const open = name === null ? null : this.#open.get(name)!
    const get = (id: number) =>
      open?.table.has(id) === true ? open.table.get(id) : this.committed.get(id)
    const changes: Change[] = []
    for (const { id, kind, large } of seeds) {
      if (this.#locked(id, name) || this.#locked(id + 1, name)) continue
      const row = get(id)
      const small = this.steps.length
      const set = (key: number, value: { small: number; large: Large } | undefined): void => {
        const table = open?.table ?? this.committed
        open?.locked.add(key)
        if (value !== undefined) table.set(key, value)
        else if (open === null) table.delete(key)
        else table.set(key, undefined as never)
      }
      if (row === undefined) {
        changes.push({ kind: 'put', id, small, large })
        set(id, { small, large })
      } else if (kind === 0) {
        changes.push({ kind: 'delete', id })
        set(id, undefined)
      } else if (kind === 1) {
        changes.push({ kind: 'put', id, small, large })
        set(id, { small, large })
      } else if (kind === 2 && get(id + 1) === undefined) {
        changes.push({ kind: 'rekey', from: id, id: id + 1, small })
        set(id, undefined)
        set(id + 1, { small, large: row.large })
      } else {
        changes.push({ kind: 'put', id, small })
        set(id, { small, large: row.large })
      }
    }
    const transaction = open === null ? null : { id: open.id, part: open.part }
    this.steps.push({ transaction, end: null, changes: [rowsOf(changes)] })
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
    this.change(null, [{ id: 99, kind: 1, large: 'end' }])
  }
}

const large = fc.oneof(fc.constant(null), fc.string({ maxLength: 40, unit: 'grapheme' }))
const seeds = fc.array(fc.record({ id: fc.nat(2), kind: fc.nat(5), large }), { maxLength: 4 })
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
      openBytesMax: 200,
      stateDir: folder,
    }
    const running = runIngest(task, taskContext(log, 's'), stop.signal)
    const ended = running.then(
      () => 'stopped',
      () => 'failed',
    )
    const there = waitFor('the last step', async () => {
      const head = await readHead(log, 'p.source.s', AbortSignal.timeout(5000))
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

test('unchanged large values come from our own state, whatever the order of transactions and restarts', async () => {
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
          .map(([id, row]) => JSON.stringify([String(id), String(row.small), row.large]))
          .sort()
        const { rows } = await foldTopic(log, 'p.source.s', 's.t')
        assert.deepEqual([...rows.keys()].sort(), expected)
      },
    ),
    { numRuns: 60 },
  )
})
