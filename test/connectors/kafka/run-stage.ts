/** A life of the source on a driver and a clock that do as a test says: what comes of it, and what is on show. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { FetchedPartition, FetchPosition } from '../../../connectors/kafka/driver.ts'
import type { FollowSettings } from '../../../connectors/kafka/follow-topics.ts'
import { SourceRun } from '../../../connectors/kafka/source-run.ts'
import { TopicsWanted } from '../../../connectors/kafka/topics-wanted.ts'
import type { RecordDecoder, ValueFormat } from '../../../core/connector/format/format.ts'
import { JsonFormat } from '../../../core/connector/format/json-format.ts'
import { PlainDecoder } from '../../../core/connector/format/record-decoder.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { textAt } from '../../../core/record/value.ts'
import { fieldsOf } from '../../core/connector/format/support.ts'
import { ScriptedDriver, topic } from './scripted-driver.ts'
import { contextOf } from './support.ts'
import { writtenBatch } from './written-batch.ts'

/** Time passes when the test says so. */
class TestClock {
  #nowMs = 1_000_000
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason as Error)
      }
      const wake = (): void => {
        this.#sleepers.delete(sleeper)
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const sleeper = { atMs: this.#nowMs + ms, wake }
      if (signal.aborted) return stop()
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  pass(ms: number): void {
    this.#nowMs += ms
    for (const sleeper of this.#sleepers) if (sleeper.atMs <= this.#nowMs) sleeper.wake()
  }
}

/** Texts by topic, of one partition each; of others by `topic/partition`. */
export class TextDriver extends ScriptedDriver {
  readonly texts = new Map<string, string[]>()
  /** `topic offset` of what compaction took; its batch is still there. */
  readonly removed = new Set<string>()
  override latest = 0n

  override async fetch(
    _broker: number,
    positions: readonly FetchPosition[],
  ): Promise<readonly FetchedPartition[]> {
    await turn()
    return Promise.all(
      positions.map(async ({ topic: name, partition, offset }): Promise<FetchedPartition> => {
        const texts = this.texts.get(partition === 0 ? name : `${name}/${partition}`) ?? []
        const from = Number(offset)
        const records = await writtenBatch(
          from,
          texts.slice(from).map((value, i) => {
            return this.removed.has(`${name} ${from + i}`) ? null : { value }
          }),
        )
        const end = BigInt(texts.length)
        const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0n }
        return { topic: name, partition, isById: true, error: null, ...ends, aborted: [], records }
      }),
    )
  }
}

export interface Stage extends AsyncDisposable {
  readonly clock: TestClock
  readonly driver: TextDriver
  /** `topic value`, in the order in which they came. */
  readonly rows: string[]
  readonly shown: Map<string, string>
  error: unknown
  /** Resolves when it is so, or fails after many turns. */
  until(what: string, isSo: () => boolean): Promise<void>
}

export function start(
  topics: Readonly<Record<string, string[]>>,
  decoderOf: (topic: string) => RecordDecoder,
  {
    driver = new TextDriver(),
    maxBytes = 1 << 20,
    partitionBytes = 1 << 16,
  }: {
    readonly driver?: TextDriver
    readonly maxBytes?: number
    readonly partitionBytes?: number
  } = {},
): Stage {
  const clock = new TestClock()
  const shown = new Map<string, string>()
  const settings: FollowSettings = { startOf: () => ({ kind: 'earliest' }), keyed: false }
  const wanted = new TopicsWanted(new Map([['*', settings]]))
  for (const [name, texts] of Object.entries(topics)) {
    driver.texts.set(name, texts)
    if (name.includes('/')) continue
    const partitions = Object.keys(topics).filter((each) => each.startsWith(`${name}/`)).length
    driver.there.push(topic(name, `id of ${name}`, 1 + partitions))
  }
  const run = new SourceRun(
    {
      driver,
      follow: { wanted, group: null, onDeleted: 'keep', restart: {} },
      limits: { maxBytes, partitionBytes, minBytes: 1, maxWaitMs: 10 },
      metadataIntervalMs: 30_000,
      onLost: () => 'stop',
      errorOf: (name) => new SluiceError('source.kafka.protocol', { message: name }),
      decoderOf,
      ctx: contextOf({
        clock,
        trouble: (error, about = '') => {
          if (error === null) shown.delete(about)
          else shown.set(about, error.code)
        },
      }),
    },
    null,
  )
  const stop = new AbortController()
  const rows: string[] = []
  const stage = {
    clock,
    driver,
    rows,
    shown,
    error: null as unknown,
    until: async (what: string, isSo: () => boolean): Promise<void> => {
      for (let turns = 0; !isSo(); turns++) {
        assert.ok(turns < 3000, `${what} did not come; ${rows.join(', ')}`)
        clock.pass(5)
        await turn()
      }
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      stop.abort()
      await pulling
    },
  }
  const pull = async (): Promise<void> => {
    try {
      for await (const batch of run.read(stop.signal)) take(batch, rows)
    } catch (error) {
      stage.error = error
    }
  }
  const pulling = pull()
  return stage
}

function take({ changes }: SourceBatch, rows: string[]): void {
  for (const change of changes) {
    assert.ok('batch' in change)
    const { schema, columns, rows: count } = change.batch
    for (let row = 0; row < count; row++)
      rows.push(`${change.topic} ${textAt(schema.fields[0]!.type, columns[0]!, row)}`)
  }
}

export function plain(
  name: string,
  value: ValueFormat,
  keyColumns: readonly string[] = [],
): PlainDecoder {
  return new PlainDecoder({
    topic: name,
    value,
    key: null,
    keyColumns,
    extra: [],
    tombstones: 'delete',
  })
}

export const ids = (): ValueFormat => new JsonFormat(fieldsOf({ id: 'int64' }))
export const texts = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `{"id":${from + i}}`)
export const rowsOf = (rows: readonly string[], name: string): readonly string[] =>
  rows.filter((row) => row.startsWith(`${name} `))
export const named = (name: string, from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${from + i}`)
