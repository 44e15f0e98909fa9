/**
 * A life of the source in which one topic cannot go on: what is read of the others, what is on show, and what
 * comes once it is mended. Attacks invariants 2 and 5: each record once, whoever had to wait.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { FetchedPartition, FetchPosition } from '../../../connectors/kafka/driver.ts'
import type { FollowSettings } from '../../../connectors/kafka/follow-topics.ts'
import { SourceRun } from '../../../connectors/kafka/source-run.ts'
import { TopicsWanted } from '../../../connectors/kafka/topics-wanted.ts'
import type { RecordDecoder, ValueFormat } from '../../../core/connector/format/format.ts'
import { notReady } from '../../../core/connector/format/format.ts'
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
class TextDriver extends ScriptedDriver {
  readonly texts = new Map<string, string[]>()
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
          texts.slice(from).map((value) => ({ value })),
        )
        const end = BigInt(texts.length)
        const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0n }
        return { topic: name, partition, isById: true, error: null, ...ends, aborted: [], records }
      }),
    )
  }
}

interface Stage extends AsyncDisposable {
  readonly clock: TestClock
  readonly driver: TextDriver
  /** `topic value`, in the order in which they came. */
  readonly rows: string[]
  readonly shown: Map<string, string>
  error: unknown
  /** Resolves when it is so, or fails after many turns. */
  until(what: string, isSo: () => boolean): Promise<void>
}

function start(
  topics: Readonly<Record<string, string[]>>,
  decoderOf: (topic: string) => RecordDecoder,
  maxBytes = 1 << 20,
): Stage {
  const driver = new TextDriver()
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
      limits: { maxBytes, partitionBytes: 1 << 16, minBytes: 1, maxWaitMs: 10 },
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

function plain(name: string, value: ValueFormat, keyColumns: readonly string[] = []): PlainDecoder {
  return new PlainDecoder({
    topic: name,
    value,
    key: null,
    keyColumns,
    extra: [],
    tombstones: 'delete',
  })
}

const ids = (): ValueFormat => new JsonFormat(fieldsOf({ id: 'int64' }))
const texts = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `{"id":${from + i}}`)
const rowsOf = (rows: readonly string[], name: string): readonly string[] =>
  rows.filter((row) => row.startsWith(`${name} `))
const named = (name: string, from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${from + i}`)

test('columns that contradict each other hold their topic alone, until that is mended', async () => {
  let isMended = false
  await using stage = start({ good: texts(0, 3), odd: texts(0, 3) }, (name) =>
    plain(name, ids(), name === 'odd' && !isMended ? ['missing'] : ['id']),
  )
  const { clock, driver, rows, shown } = stage
  await stage.until('the good topic', () => rows.length === 3)
  await stage.until('the trouble', () => shown.get('schema of odd') === 'format.schema')
  driver.texts.get('good')!.push(...texts(3, 2))
  driver.texts.get('odd')!.push(...texts(3, 2))
  await stage.until('what came later', () => rows.length === 5)
  clock.pass(61_000)
  await stage.until('another look', () => shown.size === 1)
  isMended = true
  clock.pass(61_000)
  await stage.until('the topic that waited', () => rows.length === 10)
  await stage.until('nothing on show', () => shown.size === 0)
  assert.deepEqual(rowsOf(rows, 'good'), named('good', 0, 5))
  assert.deepEqual(rowsOf(rows, 'odd'), named('odd', 0, 5))
  assert.equal(stage.error, null)
})

/** Asks before its second value, and is refused until it is not. */
class RefusedFormat extends JsonFormat {
  asked = 0
  refusal: SluiceError | null = new SluiceError('source.kafka.registry_auth', { message: 'no' })
  #reads = 0

  constructor() {
    super(fieldsOf({ id: 'int64' }))
  }

  override read(...args: Parameters<JsonFormat['read']>): ReturnType<JsonFormat['read']> {
    if (this.#reads++ > 0 && this.refusal !== null) return notReady
    return super.read(...args)
  }

  override prepare(): Promise<void> {
    this.asked++
    return this.refusal === null ? Promise.resolve() : Promise.reject(this.refusal)
  }
}

test('a registry that refuses holds the topic that asks, and each record comes once', async () => {
  const format = new RefusedFormat()
  await using stage = start({ good: texts(0, 2), odd: texts(0, 4) }, (name) =>
    plain(name, name === 'odd' ? format : ids()),
  )
  const { clock, rows, shown } = stage
  await stage.until('what needs no registry', () => rows.length === 3)
  await stage.until(
    'the trouble',
    () => shown.get('schema of odd') === 'source.kafka.registry_auth',
  )
  clock.pass(61_000)
  await stage.until('the question again', () => format.asked === 2)
  format.refusal = null
  clock.pass(61_000)
  await stage.until('the rest', () => rows.length === 6)
  assert.deepEqual(rowsOf(rows, 'odd'), named('odd', 0, 4))
  await stage.until('nothing on show', () => shown.size === 0)
})

test('topics that wait take no room from the others, however many they are', async () => {
  let isMended = false
  const odd = Array.from({ length: 20 }, (_, i) => `odd${i}`)
  const topics = Object.fromEntries(odd.map((name) => [name, texts(0, 50)]))
  const decoderOf = (name: string): PlainDecoder =>
    plain(name, ids(), name !== 'good' && !isMended ? ['missing'] : [])
  await using stage = start({ ...topics, good: texts(0, 1) }, decoderOf, 4096)
  const { clock, driver, rows, shown } = stage
  await stage.until('the troubles', () => shown.size === odd.length)
  for (let from = 1; from < 200; from += 20) {
    driver.texts.get('good')!.push(...texts(from, 20))
    await stage.until('the good topic', () => rows.length === from + 20)
  }
  isMended = true
  clock.pass(61_000)
  await stage.until('those that waited', () => rows.length === 201 + odd.length * 50)
  for (const name of odd) assert.deepEqual(rowsOf(rows, name), named(name, 0, 50))
})

test('the record that asked comes before those of other partitions, and each comes once', async () => {
  const format = new RefusedFormat()
  const topics = { odd: texts(0, 30), 'odd/1': texts(100, 30), 'odd/2': texts(200, 30) }
  await using stage = start({ ...topics, good: texts(0, 1) }, (name) =>
    plain(name, name === 'odd' ? format : ids()),
  )
  const { clock, rows } = stage
  await stage.until('the question', () => format.asked === 1)
  clock.pass(61_000)
  await stage.until('the question again', () => format.asked === 2)
  format.refusal = null
  clock.pass(61_000)
  await stage.until('all', () => rows.length === 91)
  const came = rowsOf(rows, 'odd').map((row) => Number(row.slice(4)))
  // One came before the question; the second record of its partition asked.
  assert.deepEqual(came.slice(0, 2), [came[0], came[0]! + 1])
  for (const from of [0, 100, 200]) {
    const own = came.filter((id) => id >= from && id < from + 100)
    assert.deepEqual(
      own,
      Array.from({ length: 30 }, (_, i) => from + i),
    )
  }
})

test('a topic that is gone has nothing to be mended', async () => {
  await using stage = start({ good: texts(0, 1), odd: texts(0, 1) }, (name) =>
    plain(name, ids(), name === 'odd' ? ['missing'] : []),
  )
  const { clock, driver, shown } = stage
  await stage.until('the trouble', () => shown.has('schema of odd'))
  driver.there = driver.there.filter(({ name }) => name === 'good')
  // Looked for every 30 s, and believed when it was missing for ten.
  for (let i = 0; i < 60 && shown.has('schema of odd'); i++) {
    clock.pass(1000)
    for (let turns = 0; turns < 20; turns++) await turn()
  }
  assert.deepEqual(
    [...shown.keys()].filter((about) => about.startsWith('schema')),
    [],
  )
  assert.equal(stage.error, null)
})

test('where there is nothing else to read, what has to be mended ends the source', async () => {
  await using stage = start({ odd: texts(0, 3) }, (name) => plain(name, ids(), ['missing']))
  await stage.until('the end', () => stage.error !== null)
  assert.equal((stage.error as SluiceError).code, 'format.schema')
  assert.deepEqual(stage.rows, [])
})

test('a bug of a decoder ends the source, and nothing that it took half is handed over', async () => {
  const broken = ids()
  let reads = 0
  const format: ValueFormat = {
    fields: broken.fields,
    prepare: () => Promise.resolve(),
    read: (...args) => {
      if (++reads === 3) throw new TypeError('a bug')
      return broken.read(...args)
    },
  }
  await using stage = start({ good: texts(0, 1), odd: texts(0, 5) }, (name) =>
    plain(name, name === 'odd' ? format : ids()),
  )
  await stage.until('the end', () => stage.error !== null)
  assert.match(String(stage.error), /a bug/)
  assert.deepEqual(rowsOf(stage.rows, 'odd'), [])
})
