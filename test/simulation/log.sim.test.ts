/**
 * Simulation of one chain with several would-be writers on a store that misbehaves: 503, 409, answers
 * lost after the write, writers that pause for long and then go on, writers killed anywhere. Time and
 * chance come from one seed, and nothing waits for real time, so each run can be repeated exactly:
 *
 *   SLUICE_SIM_SEED=123 node --test test/simulation/log.sim.test.ts
 *
 * The writers play ingest: each reads from the chain how far it is and appends the numbers that
 * follow. Invariants attacked: 1 (what was acknowledged is there), 2 (rows and position agree),
 * 4 (one writer: no number is missing, doubled or out of order, no epoch comes back).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../core/errors/error.ts'
import { readHead } from '../../core/log/head.ts'
import { openLog, type Log } from '../../core/log/log.ts'
import { ChainReader } from '../../core/log/reader.ts'
import { ChainWriter } from '../../core/log/writer.ts'
import { makeBatch, type Batch } from '../../core/record/batch.ts'
import { makeSchema } from '../../core/record/schema.ts'
import { seeded } from '../support/random.ts'
import { MemoryBucket, MemoryStore, type StoreOperation } from '../../core/store/memory.ts'

const chain = 'shop/ingest'
const topic = 'numbers'
const target = 260
const forever = new AbortController().signal
const schema = makeSchema([{ name: 'n', type: { kind: 'int64' }, nullable: false }], [0], 'append')

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}

function numbers(from: number, count: number): Batch {
  const values = Float64Array.from({ length: count }, (_, i) => from + i)
  return makeBatch(
    schema,
    [{ encoding: 'float64', length: count, validity: null, values }],
    new Int32Array(count).fill(1),
    new Uint8Array(count),
    values.map((n) => 1e15 + n),
  )
}

interface Ack {
  readonly seq: number
  readonly commitId: string
  readonly position: number
}

class World {
  readonly bucket = new MemoryBucket()
  readonly random: () => number
  readonly acks: Ack[] = []
  readonly counts = { lives: 0, fenced: 0, unresolved: 0, killed: 0, refused: 0 }
  #nowMs = 1_700_000_000_000
  done = false
  failure: unknown = null

  constructor(seed: number) {
    const random = seeded(seed)
    this.random = () => random.next()
  }

  /** A log as one process has it: own cache, own wake-ups, a faulty way to the shared bucket. */
  async log(life: AbortController | null): Promise<Log> {
    const store = new MemoryStore('sim', this.bucket, {
      random: this.random,
      turnsMax: 12,
      chances: { unavailable: 0.01, conflict: 0.05, lostAnswer: 0.02 },
      before: (operation, key) => this.#meddle(operation, key, life),
    })
    return this.#open(store)
  }

  /** The same bucket without faults, to judge at the end. */
  async honestLog(): Promise<Log> {
    return this.#open(new MemoryStore('sim', this.bucket))
  }

  async #open(store: MemoryStore): Promise<Log> {
    return openLog(store, {
      signal: forever,
      random: this.random,
      nowMs: () => (this.#nowMs += Math.floor(this.random() * 4000)),
      sleep: async (ms, signal) => {
        await turns(Math.min(60, 1 + ms / 20))
        signal.throwIfAborted()
      },
    })
  }

  async #meddle(
    operation: StoreOperation,
    key: string,
    life: AbortController | null,
  ): Promise<void> {
    if (life === null || this.done) return
    // A writer that sleeps in front of its PUT, long enough for others to take over.
    if (operation === 'create' && key.includes('/c/') && this.random() < 0.03) {
      await turns(200 + this.random() * 2000)
    }
    if (this.random() < 0.004) life.abort(new Error('killed'))
  }
}

/** One process after the other with the same name; each takes the chain over and appends until it ends. */
async function writer(world: World, name: string): Promise<void> {
  while (!world.done) {
    world.counts.lives++
    const life = new AbortController()
    try {
      const log = await world.log(life)
      await using opened = await ChainWriter.open(log, chain, { writer: name, signal: life.signal })
      const commits = 1 + Math.floor(world.random() * 40)
      for (let i = 0; i < commits && !world.done; i++) await append(world, opened, life.signal)
    } catch (error) {
      judgeError(world, error, life)
    }
    await turns(world.random() * 1500)
  }
}

async function append(world: World, opened: ChainWriter, signal: AbortSignal): Promise<void> {
  const position = Number(opened.head.position ?? '0')
  assert.equal(opened.head.topics.get(topic)?.nextOffset ?? 0, position, 'position and rows agree')
  const count = 1 + Math.floor(world.random() * 5)
  const batch = numbers(position + 1, count)
  const staged = world.random() < 0.1
  const entry = { kind: 'rows', topic, batch } as const
  const entries = staged
    ? [{ kind: 'staged', segment: await opened.stage([entry], signal) } as const]
    : [entry]
  const next = position + count
  const state = new TextEncoder().encode(String(next))
  const kind = world.random() < 0.2 ? 'full' : 'delta'
  const commit = await opened.commit(
    { entries, position: String(next), state: { kind, bytes: state } },
    signal,
  )
  world.acks.push({ seq: commit.seq, commitId: commit.commitId, position: next })
  if (next >= target) world.done = true
}

function judgeError(world: World, error: unknown, life: AbortController): void {
  if (life.signal.aborted) {
    world.counts.killed++
    return
  }
  assert.ok(error instanceof SluiceError, String(error))
  if (error.fault === 'fenced') world.counts.fenced++
  else if (error.code === 'log.commit_unresolved') world.counts.unresolved++
  else if (error.fault === 'transient') world.counts.refused++
  else throw error
}

/** Follows the chain from its start, through the same faults, to number `target`. */
async function follow(world: World): Promise<void> {
  let reader: ChainReader | null = null
  let seq = 1
  let expected = 1
  while (expected <= target && world.failure === null) {
    try {
      reader ??= ChainReader.open(await world.log(null), chain, seq)
      const commit = await reader.next(forever)
      assert.equal(commit.seq, seq, 'no commit is skipped')
      for (let i = 0; i < commit.blocks.length; i++) {
        const block = commit.blocks[i]!
        const batch = await retried(world, () => reader!.readBlock(commit, i, forever))
        const [column] = batch?.columns ?? []
        assert.ok(column?.encoding === 'float64')
        assert.equal(block.baseOffset, expected - 1, 'offsets go on')
        for (const n of column.values) assert.equal(n, expected++, 'no number lost or doubled')
      }
      seq++
      // Now and then a new reader, which has to learn the schemas that it did not see.
      if (world.random() < 0.1) {
        await reader[Symbol.asyncDispose]()
        reader = null
      }
    } catch (error) {
      if (!(error instanceof SluiceError && error.fault === 'transient')) throw error
    }
  }
  await reader?.[Symbol.asyncDispose]()
}

async function retried<T>(world: World, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof SluiceError && error.fault === 'transient')) throw error
      await turns(world.random() * 10)
    }
  }
}

async function judge(world: World): Promise<number> {
  const log = await world.honestLog()
  const head = await readHead(log, chain, forever)
  assert.ok(head !== null)
  const byId = new Map<number, string>()
  const reader = ChainReader.open(log, chain, 1)
  let epoch = 0
  for (let commit = await reader.tryNext(forever); commit !== null;) {
    assert.ok(commit.epoch >= epoch, 'no epoch comes back')
    if (commit.epoch > epoch)
      assert.equal(commit.blocks.length, 0, 'an epoch begins with its fence')
    epoch = commit.epoch
    byId.set(commit.seq, commit.commitId)
    commit = await reader.tryNext(forever)
  }
  await reader[Symbol.asyncDispose]()
  assert.equal(byId.size, head.seq)
  for (const ack of world.acks) {
    assert.equal(byId.get(ack.seq), ack.commitId, `acknowledged commit ${ack.seq} is in the log`)
  }
  await using last = await ChainWriter.open(log, chain, { writer: 'judge', signal: forever })
  const { full, deltas } = await last.state(forever)
  const newest = deltas.at(-1) ?? full
  assert.ok(newest !== null)
  assert.equal(new TextDecoder().decode(newest), head.position, 'state and position agree')
  return epoch
}

async function simulate(seed: number): Promise<World> {
  const world = new World(seed)
  // The first failure ends all: a follower that waits in turns would keep the others from being heard.
  const fail = (error: unknown): void => {
    world.failure ??= error
    world.done = true
  }
  const writers = ['a', 'b', 'c'].slice(0, 1 + (seed % 3)).map((name) => writer(world, name))
  await Promise.all([...writers, follow(world)].map((actor) => actor.catch(fail)))
  if (world.failure !== null) throw world.failure
  await judge(world)
  return world
}

const only = process.env['SLUICE_SIM_SEED']
const seeds = only === undefined ? Array.from({ length: 60 }, (_, i) => i + 1) : [Number(only)]

test('invariants 1, 2, 4: rival writers on a faulty store lose nothing and double nothing', async (t) => {
  const total = { lives: 0, fenced: 0, unresolved: 0, killed: 0, refused: 0, snapshots: 0 }
  for (const seed of seeds) {
    try {
      const { counts, bucket } = await simulate(seed)
      for (const name of ['lives', 'fenced', 'unresolved', 'killed', 'refused'] as const) {
        total[name] += counts[name]
      }
      total.snapshots += [...bucket.objects.keys()].filter((key) => key.includes('/snap/')).length
    } catch (error) {
      throw new Error(`seed ${seed} (SLUICE_SIM_SEED=${seed} repeats it)`, { cause: error })
    }
  }
  t.diagnostic(JSON.stringify(total))
  // A simulation in which nothing happens proves nothing.
  if (only === undefined) {
    for (const [name, count] of Object.entries(total)) {
      if (name !== 'unresolved') assert.ok(count > 0, `no ${name} in all seeds`)
    }
  }
})
