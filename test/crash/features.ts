/**
 * What the crash tests of feature stores share: a log with rows, deletions and a truncate, the sinks that
 * deliver it, and what is to be there at the end.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { SchemaPolicy } from '../../core/connector/schema-policy.ts'
import type { SinkConnector } from '../../core/connector/sink.ts'
import { openLog } from '../../core/log/log.ts'
import type { LogEntry } from '../../core/log/types.ts'
import { makeSchema } from '../../core/record/schema.ts'
import { openStore } from '../../core/store/open.ts'
import { runDeliver } from '../../core/task/deliver.ts'
import { feast } from '../../sinks/feast/connector.ts'
import { openReader } from '../../sinks/feast/verify/online.ts'
import { planView } from '../../sinks/feast/view.ts'
import { redis } from '../../sinks/redis/connector.ts'
import { batchOf, type Row } from '../conformance/rows.ts'
import { quietContext } from '../support/context.ts'
import { killedAt } from '../support/child.ts'
import { waitFor } from '../support/env.ts'
import { notesOf } from '../support/letters.ts'
import { sourceChain, writeTopics } from '../support/scripted-sink.ts'
import { taskContext, testLog } from '../support/task-context.ts'
import { whileRunning } from '../support/while-running.ts'

export type Kind = 'feast redis' | 'feast postgres' | 'redis'

export interface Place {
  readonly kind: Kind
  /** Of the server. */
  readonly url: string
  /** Holds the log and the offline log. */
  readonly folder: string
}

const { signal } = new AbortController()
export const topic = 's.users'
const users = 23
const batchRows = 40
/** Of the truncate, among batches. */
const truncateAfter = 3
const batches = 6
export const truncateOffset = truncateAfter * batchRows
/** After the last row. */
export const endOffset = batches * batchRows + 1

const schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'score', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)

function isDeletion(offset: number): boolean {
  return offset % 11 === 10
}

function offsetOf(batch: number): number {
  return batch * batchRows + (batch >= truncateAfter ? 1 : 0)
}

/** What the log says of each user at the end: the offset of its newest row, which is its score. */
export function foldedScores(): ReadonlyMap<number, number> {
  const scores = new Map<number, number>()
  for (let offset = truncateOffset + 1; offset < endOffset; offset++) {
    if (isDeletion(offset)) scores.delete(offset % users)
    else scores.set(offset % users, offset)
  }
  return scores
}

export async function writeLog(folder: string): Promise<void> {
  const entries: LogEntry[] = []
  for (let batch = 0; batch < batches; batch++) {
    if (batch === truncateAfter) entries.push({ kind: 'truncate', topic })
    const rows = Array.from({ length: batchRows }, (_, i): Row => {
      const offset = offsetOf(batch) + i
      const id = BigInt(offset % users)
      const timeUs = 1_767_225_600_000_000 + offset * 1_000_000
      if (isDeletion(offset)) return { timeUs, weight: -1, values: { user_id: id } }
      return { timeUs, values: { user_id: id, score: offset } }
    })
    entries.push({ kind: 'rows', topic, batch: batchOf(schema, rows) })
  }
  await writeTopics(await testLog(`file://${folder}/log`), ...entries)
}

function feastConfigOf({ kind, url, folder }: Place): ReturnType<typeof feast.config.parse> {
  return feast.config.parse({
    project: 'shop',
    target: { type: kind === 'feast redis' ? 'redis' : 'postgres', url },
    views: { users: {} },
    offline: { url: `file://${folder}/offline`, compaction: { files: 3, quiet: '0s' } },
  })
}

/** Delivers until the signal is aborted. */
export async function deliver(place: Place, stop: AbortSignal): Promise<void> {
  const batching = () => ({ rowsMax: batchRows, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 })
  const isPlain = place.kind === 'redis'
  const connector = { ...(isPlain ? redis : feast), batching } as unknown as SinkConnector<unknown>
  const config = isPlain ? redis.config.parse({ url: place.url }) : feastConfigOf(place)
  // A log of its own, as a process has it: it holds no chain that another one took over.
  const log = await openLog(openStore(`file://${place.folder}/log`), { signal })
  const onSchemaChange: SchemaPolicy = { policy: 'lenient', truncate: 'apply' }
  const task = { connector, config, from: [topic], chains: [sourceChain], onSchemaChange }
  await runDeliver(task, taskContext(log, 'k', `test ${process.pid}`), stop)
}

/**
 * Delivers in this process until all is there, and `settled` says that nothing is left to be mended, such
 * as files whose rows are in a merged one already.
 */
export async function deliverAll(place: Place, settled: () => Promise<boolean>): Promise<void> {
  const log = await testLog(`file://${place.folder}/log`)
  const all = async (): Promise<boolean> =>
    (await notesOf(log))?.topics[topic]?.done === endOffset && (await settled())
  await whileRunning(
    (stop) => deliver(place, stop),
    () => waitFor('all rows', all),
  )
}

/** The same in a process that dies of the failpoint. */
export async function deliverAndDie(place: Place, failpoint: string): Promise<void> {
  const program = join(import.meta.dirname, 'features-child.ts')
  await killedAt(failpoint, [program, JSON.stringify(place)])
}

/** Scores by user as the online store has them. */
export async function onlineScores(place: Place): Promise<ReadonlyMap<number, number>> {
  const config = feastConfigOf(place)
  const view = planView(config, 'users', topic, schema)
  await using reader = await openReader(config, quietContext())
  const scores = new Map<number, number>()
  for await (const keys of reader.keys(view, signal)) {
    const found = await reader.read(view, keys, signal)
    for (const [i, key] of keys.entries()) {
      const value = found[i]?.values[0] ?? null
      if (value === null) continue
      const user = Buffer.from(key.buffer, key.byteOffset, key.length).readInt32LE(key.length - 8)
      scores.set(user, varint(value))
    }
  }
  return scores
}

/** Of an INT64 value message. */
function varint(message: Uint8Array): number {
  assert.equal(message[0], 0x20)
  return message.slice(1).reduceRight((value, byte) => value * 128 + (byte & 0x7f), 0)
}

/** Whether `features verify` finds a difference, in how many places. */
export async function differences(place: Place): Promise<number> {
  const options = { topics: [{ name: topic, schema }], views: null, sample: null, seed: 1, signal }
  const found = await feast.features!.verify(
    feastConfigOf(place),
    { ...options, asOfMs: Date.now() },
    quietContext(),
  )
  assert.ok(found.length > 0 && found.every(({ keys }) => keys > 0))
  return found.reduce(
    (sum, { mismatched, missing, extra }) => sum + mismatched + missing + extra,
    0,
  )
}
