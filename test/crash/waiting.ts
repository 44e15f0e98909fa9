/**
 * What the crash tests of rows that wait share: a topic of updates of a few keys, an endpoint that fails some
 * of them a few times and sees whether it is told of each key in its order, and a webhook sink that delivers,
 * here or in a process that dies of a failpoint.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { SinkConnector } from '../../core/connector/sink.ts'
import { openLog } from '../../core/log/log.ts'
import { openStore } from '../../core/store/open.ts'
import { runDeliver } from '../../core/task/deliver.ts'
import { aborted } from '../../core/task/wait.ts'
import { webhook } from '../../sinks/webhook/connector.ts'
import {
  startReceiver,
  type Answer,
  type Received,
  type Receiver,
} from '../services/webhook-receiver.ts'
import { batchOf, configOf, secret, type Change } from '../sinks/webhook/support.ts'
import { killedAt } from '../support/child.ts'
import { waitFor } from '../support/env.ts'
import { lettersOf, notesOf } from '../support/letters.ts'
import { sourceChain, writeTopics } from '../support/scripted-sink.ts'
import { taskContext, testLog } from '../support/task-context.ts'
import { whileRunning } from '../support/while-running.ts'

export interface Place {
  /** Holds the log. */
  readonly folder: string
  /** Of the endpoint. */
  readonly url: string
  /** Where timers are kept too; null = in the process alone. */
  readonly timers: string | null
}

const { signal } = new AbortController()
const topic = 's.t'
const keys = 8
/** Each key has one event a round, and a batch is one round: all of them are under way at a time. */
export const rounds = 6
const batchRows = 2 * keys
/** Keys some of whose events fail; fewer than would pause the endpoint, which pauses after ten in a row. */
const failingKeys = 3
const failures = 3
/** Of a batch: the events that fail, and those behind them. */
const waitingOfBatch = failingKeys * 2

/** An event is an update: its old row, then its new one, whose offset the event has. */
function offsetOf(round: number, key: number): number {
  return (round * keys + key) * 2 + 1
}

const roundOf = (offset: number): number => Math.floor(offset / batchRows)
const keyOf = (offset: number): number => ((offset - 1) / 2) % keys

export async function writeLog(folder: string): Promise<void> {
  const changes: Change[] = []
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < keys; key++) {
      changes.push(['-', 'update', key, `v${round - 1}`], ['+', 'update', key, `v${round}`])
    }
  }
  const batch = batchOf(changes, { changelog: 'retract' })
  await writeTopics(await testLog(`file://${folder}`), { kind: 'rows', topic, batch })
}

/**
 * What the endpoint keeps an answer back for, at first: `all sent`, in the first batch, until the last batch
 * has been sent, so that nothing is over before all is under way; `one waited`, in the second, until a row
 * that waited was taken, so that batches ahead are under way beside those that are due.
 */
export type Holds = 'all sent' | 'one waited'

export class Endpoint implements AsyncDisposable {
  readonly #taken = new Set<number>()
  readonly #wrong: string[] = []
  readonly #holds: Holds
  readonly #released = new AbortController()
  #receiver: Receiver | null = null

  constructor(holds: Holds) {
    this.#holds = holds
  }

  static async start(holds: Holds): Promise<Endpoint> {
    const endpoint = new Endpoint(holds)
    endpoint.#receiver = await startReceiver({
      secret,
      behaviour: (request) => endpoint.#answer(request),
      onTaken: ({ event }) => endpoint.#took(event.offset),
    })
    return endpoint
  }

  get url(): string {
    return this.#receiver!.url
  }

  get hasAll(): boolean {
    return this.#taken.size === rounds * keys
  }

  /** Every event was taken, under one id, with its rows, and none was sent before those of its key before it. */
  judge(): void {
    const { requests, unverified } = this.#receiver!
    assert.deepEqual(this.#wrong, [])
    assert.equal(unverified, 0)
    assert.equal(this.#taken.size, rounds * keys, 'events that were taken')
    const bodies = new Map<string, string>()
    const ids = new Map<number, string>()
    for (const { id, text, event } of requests) {
      assert.equal(ids.get(event.offset) ?? id, id, `row ${event.offset} has one webhook-id`)
      assert.equal(bodies.get(id) ?? text, text, `${id} has one body`)
      ids.set(event.offset, id)
      bodies.set(id, text)
    }
    assert.equal(bodies.size, rounds * keys, 'webhook-ids')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.abort()
    await this.#receiver![Symbol.asyncDispose]()
  }

  async #answer({ event, attempt }: Received): Promise<Answer | undefined> {
    const { offset } = event
    const round = roundOf(offset)
    const key = keyOf(offset)
    this.#look(event, round, key)
    const allSent = this.#holds === 'all sent'
    if (allSent && round === rounds - 1) this.#released.abort()
    const held = round === (allSent ? 0 : 1) && key === keys - 1 && attempt === 1
    if (held) await aborted(this.#released.signal)
    const fails = key < failingKeys && round % 3 === 0 && attempt <= failures
    return fails ? { status: 500 } : undefined
  }

  #took(offset: number): void {
    this.#taken.add(offset)
    if (this.#holds === 'one waited' && offset === offsetOf(0, 0)) this.#released.abort()
  }

  #look({ offset, data, previous }: Received['event'], round: number, key: number): void {
    for (let earlier = 0; earlier < round; earlier++) {
      if (this.#taken.has(offsetOf(earlier, key))) continue
      this.#wrong.push(`key ${key}: round ${round} before round ${earlier} was taken`)
    }
    const said = JSON.stringify([data, previous])
    const meant = [
      { id: key, name: `v${round}` },
      { id: key, name: `v${round - 1}` },
    ]
    if (said !== JSON.stringify(meant)) this.#wrong.push(`row ${offset}: ${said}`)
  }
}

/** Delivers until the signal is aborted. */
export async function deliver({ folder, url, timers }: Place, stop: AbortSignal): Promise<void> {
  const batching = () => ({
    rowsMax: batchRows,
    bytesMax: 1 << 20,
    pauseMsMin: 0,
    pauseMsMax: 0,
    ahead: rounds,
  })
  const connector = { ...webhook, batching } as unknown as SinkConnector<unknown>
  const schedule = Array.from({ length: 20 }, () => '400ms')
  const config = configOf(url, { retry: { schedule }, ...(timers === null ? {} : { timers }) })
  // A log of its own, as a process has it: it holds no chain that another one took over.
  const log = await openLog(openStore(`file://${folder}`), { signal })
  const task = { connector, config, from: [topic], chains: [sourceChain] }
  await runDeliver(task, taskContext(log, 'k', `test ${process.pid}`), stop)
}

/** Delivers in this process until all is taken and nothing waits. */
export async function deliverAll(place: Place, endpoint: Endpoint): Promise<void> {
  const all = async (): Promise<boolean> => {
    const { passed, waiting } = await stateOf(place)
    return passed === rounds && waiting === 0 && endpoint.hasAll
  }
  await whileRunning(
    (stop) => deliver(place, stop),
    () => waitFor('all events', all, 90_000),
  )
}

/** The same in a process that dies of the failpoint. */
export async function deliverAndDie(place: Place, failpoint: string): Promise<void> {
  const program = join(import.meta.dirname, 'waiting-child.ts')
  await killedAt(failpoint, [program, JSON.stringify(place)])
}

export interface State {
  /** Batches that the cursor has passed. */
  readonly passed: number
  /** Batches that were planned and are not over. */
  readonly planned: number
  /** Rows that wait, or were set aside for good. */
  readonly waiting: number
  /** Rows that waited and are over. */
  readonly over: number
}

/** What the log says. */
export async function stateOf({ folder }: Place): Promise<State> {
  const log = await testLog(`file://${folder}`)
  const state = (await notesOf(log))?.topics[topic]
  const planned = state?.plan == null ? 0 : 1 + (state.ahead?.length ?? 0)
  const passed = (state?.done ?? 0) / batchRows
  const waiting = (await lettersOf(log)).length
  return { passed, planned, waiting, over: passed * waitingOfBatch - waiting }
}
