/** What the log's tests share: a memory log whose operations are on record, and small batches. */
import { openLog, type Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import type { Commit } from '../../../core/log/types.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { makeBatch, type Batch } from '../../../core/record/batch.ts'
import { makeSchema, type Schema } from '../../../core/record/schema.ts'
import { MemoryBucket, MemoryStore, type MemoryFaults } from '../../../core/store/memory.ts'
import { seeded } from '../../support/random.ts'

export const signal = new AbortController().signal

export interface TestLog {
  readonly log: Log
  readonly bucket: MemoryBucket
  /** `create chains/…`, in order, since the last `clear`. */
  readonly operations: string[]
  readonly clock: { nowMs: number }
}

/** A new process on the bucket, a new one unless given: own cache, own wake-ups, a clock that stands still. */
export async function testLog(
  bucket = new MemoryBucket(),
  chances: Partial<MemoryFaults['chances']> = {},
): Promise<TestLog> {
  const operations: string[] = []
  const clock = { nowMs: 1_700_000_000_000 }
  const store = new MemoryStore('test', bucket, {
    // With the same faults in each run: by chance they may be more in a row than a writer gets over.
    random: seeded(1).next,
    turnsMax: 0,
    chances: { unavailable: 0, conflict: 0, lostAnswer: 0, ...chances },
    before: async (operation, key) => {
      operations.push(`${operation} ${key}`)
    },
  })
  const log = await openLog(store, {
    signal,
    nowMs: () => clock.nowMs,
    sleep: async (ms, signal) => {
      clock.nowMs += ms
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
    },
  })
  operations.length = 0
  return { log, bucket, operations, clock }
}

export const schema: Schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'name', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)
export const otherSchema: Schema = makeSchema(
  [...schema.fields, { name: 'more', type: { kind: 'int32' }, nullable: false }],
  [0],
  'upsert',
)

/** Rows with the ids from `from` on; row times are 10^15 + id. */
export function rows(from: number, count: number, of: Schema = schema): Batch {
  const ids = Float64Array.from({ length: count }, (_, i) => from + i)
  const name = new TextEncoder().encode('n'.repeat(count))
  const offsets = Int32Array.from({ length: count + 1 }, (_, i) => i)
  return makeBatch(
    of,
    [
      { encoding: 'float64', length: count, validity: null, values: ids },
      { encoding: 'bytes', length: count, validity: null, offsets, data: name },
      ...(of === schema
        ? []
        : [
            {
              encoding: 'int32',
              length: count,
              validity: null,
              values: new Int32Array(count),
            } as const,
          ]),
    ],
    new Int32Array(count).fill(1),
    new Uint8Array(count),
    ids.map((id) => 1e15 + id),
  )
}

/** Rows of random bytes, which no codec makes smaller. */
export function bulk(count: number, bytesEach: number): Batch {
  const data = new Uint8Array(count * bytesEach)
  for (let at = 0; at < data.length; at += 65_536) {
    crypto.getRandomValues(data.subarray(at, Math.min(data.length, at + 65_536)))
  }
  const of = makeSchema([{ name: 'data', type: { kind: 'bytes' }, nullable: false }], [], 'append')
  return makeBatch(
    of,
    [
      {
        encoding: 'bytes',
        length: count,
        validity: null,
        offsets: Int32Array.from({ length: count + 1 }, (_, i) => i * bytesEach),
        data,
      },
    ],
    new Int32Array(count).fill(1),
    new Uint8Array(count),
    new Float64Array(count),
  )
}

export const chain = 'shop/ingest'

export async function openWriter({ log }: TestLog, writer = 'w'): Promise<ChainWriter> {
  return ChainWriter.open(log, chain, { writer, signal })
}

export async function readFrom({ log }: TestLog, from: number): Promise<Commit[]> {
  const reader = ChainReader.open(log, chain, from)
  const commits: Commit[] = []
  for (let commit = await reader.tryNext(signal); commit !== null;) {
    commits.push(commit)
    commit = await reader.tryNext(signal)
  }
  await reader[Symbol.asyncDispose]()
  return commits
}
