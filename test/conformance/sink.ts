/**
 * What every sink must do, run against its real target: a sink's test calls `sinkConformance` with a
 * harness and adds only what is its own. The rows have one key column `n` (int64) and one text `v`.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Sink, SinkBatch } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import { makeSchema, type Field, type Schema } from '../../core/record/schema.ts'
import { missingService, waitFor } from '../support/env.ts'
import { step } from '../support/schema-step.ts'
import { batchOf, type Row } from './rows.ts'

export interface SinkHarness {
  /** Whose sinks it opens. */
  readonly connector: { readonly kind: string; readonly resyncs?: boolean }
  /** Opens the sink on one and the same target; a second call is what a restart does. */
  open(): Promise<Sink>
  /**
   * What a reader of the target sees of the topic who follows the sink's rules (FINAL, the live view,
   * dropping events whose id it has seen): values as text, under their column names.
   */
  delivered(topic: string): Promise<readonly Readonly<Record<string, string | null>>[]>
  /** The target does what the next write asks, and its answer is lost. */
  loseNextAnswer(): Promise<void>
  /** The next write gets no answer until `release` is called. */
  stallNextAnswer(): Promise<{ release(): Promise<void> }>
  /** A text for `v` that the target refuses, once `prepare` was called for the topic. */
  readonly poison?: { readonly text: string; prepare(topic: string): Promise<void> }
  /** Whether a truncate takes the topic's rows away in the target. */
  readonly truncates: boolean
  /** Whether the target can get a column while it runs; it can when absent. */
  readonly addsColumns?: boolean
  /** Whether it may be the name of a column; any may when absent. */
  readonly takesColumn?: (name: string) => boolean
}

const keyField: Field = { name: 'n', type: { kind: 'int64' }, nullable: false }
const textField: Field = { name: 'v', type: { kind: 'text' }, nullable: true }
const schema = makeSchema([keyField, textField], [0], 'upsert')
const signal = new AbortController().signal

function rows(from: number, to: number, text = 'row'): Row[] {
  return Array.from({ length: to - from }, (_, i) => ({
    values: { n: BigInt(from + i), v: `${text} ${from + i}` },
  }))
}

function sinkBatch(topic: string, batch: Batch, offset = 0, attempt = 1): SinkBatch {
  return { id: `${topic}:${offset}-${offset + batch.rows}`, topic, batch, offset, attempt }
}

async function deliver(sink: Sink, batch: SinkBatch, from: Schema | null = null) {
  await sink.evolve(batch.topic, step(from, batch.batch.schema), signal)
  return sink.write(batch, signal)
}

/** The rows of the target in the order of `n`. */
async function seen(harness: SinkHarness, topic: string) {
  const found = [...(await harness.delivered(topic))]
  return found.sort((a, b) => Number(a['n']) - Number(b['n'])).map((row) => ({ ...row }))
}

function expected(given: readonly Row[]) {
  return given.map(({ values }) => ({
    n: String(values['n']),
    v: values['v'] === null ? null : String(values['v']),
  }))
}

/** `start` is called once and its result disposed of at the end; it throws when the target is missing. */
export function sinkConformance(
  name: string,
  start: () => Promise<SinkHarness & AsyncDisposable>,
): void {
  // For all of the suite, with the start of its target.
  describe(`sink conformance: ${name}`, { timeout: 600_000 }, () => {
    let starting: Promise<SinkHarness & AsyncDisposable> | null = null
    const stop = async (): Promise<void> => {
      const started = starting
      starting = null
      // One that could not start has nothing to stop.
      const harness = await started?.catch(() => null)
      await harness?.[Symbol.asyncDispose]()
    }
    const run = (what: string, body: (harness: SinkHarness) => Promise<void>): void => {
      test(what, async (t) => {
        let harness: SinkHarness
        try {
          starting ??= start()
          harness = await starting
        } catch (error) {
          starting = null
          return missingService(t, `the target of ${name}`, error)
        }
        await body(harness)
      })
    }

    deliveryTests(run)
    replayTests(run)
    schemaTests(run)
    boundaryTests(run)

    test('stops what it started', stop)
    // A suite that runs out of time does not come that far.
    after(stop)
  })
}

type Run = (what: string, body: (harness: SinkHarness) => Promise<void>) => void

function deliveryTests(run: Run): void {
  run('its connector says whether it builds a target anew', async (harness) => {
    await using sink = await harness.open()
    assert.equal(sink.resync !== undefined, harness.connector.resyncs === true)
  })

  run('values arrive exactly (invariant 9)', async (harness) => {
    await using sink = await harness.open()
    const given: Row[] = [
      { values: { n: 0n, v: null } },
      { values: { n: 1n, v: '' } },
      { values: { n: 2n, v: 'é 😀 " \' \\ \n \t `' } },
      { values: { n: 9007199254740993n, v: 'beyond a double' } },
      { values: { n: 9223372036854775807n, v: 'x'.repeat(100_000) } },
    ]
    assert.deepEqual(await deliver(sink, sinkBatch('src.exact', batchOf(schema, given))), {
      rejected: [],
    })
    assert.deepEqual(await seen(harness, 'src.exact'), expected(given))
  })

  run('a batch of no rows is no error', async (harness) => {
    await using sink = await harness.open()
    assert.deepEqual(await deliver(sink, sinkBatch('src.empty', batchOf(schema, []))), {
      rejected: [],
    })
    assert.deepEqual(await seen(harness, 'src.empty'), [])
  })

  run('topics are written side by side, each its own rows', async (harness) => {
    await using sink = await harness.open()
    const topics = ['src.par_a', 'src.par_b', 'src.par_c', 'src.par_d']
    await Promise.all(
      topics.map(async (topic) => {
        await deliver(sink, sinkBatch(topic, batchOf(schema, rows(0, 20, topic))))
        await deliver(sink, sinkBatch(topic, batchOf(schema, rows(20, 40, topic)), 20))
      }),
    )
    for (const topic of topics) {
      assert.deepEqual(await seen(harness, topic), expected(rows(0, 40, topic)))
    }
  })

  run('a refused row is reported, the others are delivered (invariant 5)', async (harness) => {
    const { poison } = harness
    if (poison === undefined) return
    await using sink = await harness.open()
    const topic = 'src.poisoned'
    await deliver(sink, sinkBatch(topic, batchOf(schema, rows(0, 1))))
    await poison.prepare(topic)
    const given = rows(1, 41).map((row, i) =>
      i === 7 || i === 8 || i === 39 ? { values: { ...row.values, v: poison.text } } : row,
    )
    const batch = sinkBatch(topic, batchOf(schema, given), 1)
    const wanted = [...rows(0, 1), ...given.filter((row) => row.values['v'] !== poison.text)]
    for (const attempt of [1, 2]) {
      const { rejected } = await sink.write({ ...batch, attempt }, signal)
      assert.deepEqual(
        rejected.map(({ row }) => row),
        [7, 8, 39],
      )
      for (const { message } of rejected) assert.ok(!message.includes(poison.text), message)
      assert.deepEqual(await seen(harness, topic), expected(wanted))
    }
  })
}

function replayTests(run: Run): void {
  run('the same batch twice is there once (invariant 6)', async (harness) => {
    const batch = sinkBatch('src.twice', batchOf(schema, rows(0, 30)))
    await using sink = await harness.open()
    await deliver(sink, batch)
    await sink.write({ ...batch, attempt: 2 }, signal)
    assert.deepEqual(await seen(harness, 'src.twice'), expected(rows(0, 30)))
  })

  run('the same batch from another process is there once (invariant 6)', async (harness) => {
    const batch = sinkBatch('src.again', batchOf(schema, rows(0, 30)))
    for (let start = 0; start < 2; start++) {
      await using sink = await harness.open()
      await deliver(sink, batch)
    }
    assert.deepEqual(await seen(harness, 'src.again'), expected(rows(0, 30)))
  })

  run('a lost answer is a transient fault, and the retry is there once', async (harness) => {
    const batch = sinkBatch('src.lost', batchOf(schema, rows(0, 30)))
    await using sink = await harness.open()
    await sink.evolve(batch.topic, step(null, schema), signal)
    await harness.loseNextAnswer()
    await assert.rejects(
      sink.write(batch, signal),
      (error) => error instanceof SluiceError && error.fault === 'transient',
    )
    await sink.write({ ...batch, attempt: 2 }, signal)
    assert.deepEqual(await seen(harness, 'src.lost'), expected(rows(0, 30)))
  })

  run('an aborted write rejects without an answer, and may be sent again', async (harness) => {
    const batch = sinkBatch('src.aborted', batchOf(schema, rows(0, 30)))
    await using sink = await harness.open()
    await sink.evolve(batch.topic, step(null, schema), signal)
    const stall = await harness.stallNextAnswer()
    const abort = new AbortController()
    const reason = new Error('stopping')
    const written = sink.write(batch, abort.signal)
    setTimeout(() => abort.abort(reason), 50)
    // The answer is still held back here: a sink that waits for it would never get past this line.
    await assert.rejects(written)
    await stall.release()
    await sink.write({ ...batch, attempt: 2 }, signal)
    assert.deepEqual(await seen(harness, 'src.aborted'), expected(rows(0, 30)))
  })

  run('a signal that is aborted already stops every call', async (harness) => {
    await using sink = await harness.open()
    const batch = sinkBatch('src.never', batchOf(schema, rows(0, 1)))
    await sink.evolve(batch.topic, step(null, schema), signal)
    await assert.rejects(sink.write(batch, AbortSignal.abort()))
    assert.deepEqual(await seen(harness, 'src.never'), [])
  })

  run('a truncate takes the rows before it, once, and leaves those after it', async (harness) => {
    if (!harness.truncates) return
    const topic = 'src.truncated'
    await using sink = await harness.open()
    await deliver(sink, sinkBatch(topic, batchOf(schema, rows(0, 10))))
    await sink.truncate(topic, { id: 'truncate-10', offset: 10 }, signal)
    await sink.truncate(topic, { id: 'truncate-10', offset: 10 }, signal)
    assert.deepEqual(await seen(harness, topic), [])
    await sink.write(sinkBatch(topic, batchOf(schema, rows(5, 15)), 11), signal)
    await sink.truncate(topic, { id: 'truncate-10', offset: 10 }, signal)
    assert.deepEqual(await seen(harness, topic), expected(rows(5, 15)))
  })
}

function schemaTests(run: Run): void {
  run('evolve may be called again and again', async (harness) => {
    await using sink = await harness.open()
    for (let i = 0; i < 3; i++) await sink.evolve('src.calm', step(null, schema), signal)
    await sink.evolve('src.calm', step(schema, schema), signal)
    await sink.write(sinkBatch('src.calm', batchOf(schema, rows(0, 3))), signal)
    assert.deepEqual(await seen(harness, 'src.calm'), expected(rows(0, 3)))
  })

  run('a column added in mid-stream is there from its first row on', async (harness) => {
    if (harness.addsColumns === false) return
    await using sink = await harness.open()
    const topic = 'src.grown'
    const extra: Field = { name: 'extra', type: { kind: 'int32' }, nullable: true }
    const grown = makeSchema([keyField, textField, extra], [0], 'upsert')
    await deliver(sink, sinkBatch(topic, batchOf(schema, rows(0, 2))))
    const after = rows(2, 4).map(({ values }) => ({ values: { ...values, extra: 7 } }))
    await deliver(sink, sinkBatch(topic, batchOf(grown, after), 2), schema)
    assert.deepEqual(
      (await seen(harness, topic)).map((row) => row['extra'] ?? null),
      [null, null, '7', '7'],
    )
  })
}

const hostile = [
  "'; DROP TABLE x; --",
  '`',
  '\\`',
  '"quoted"',
  'two\nlines',
  'tab\there',
  '${env.SECRET}',
  '../../etc/passwd',
  'имя 😀',
  '{n:String}',
  '--',
  'a/*b*/',
]

/** Every topic of the suite, for sinks that have to be told of each. */
export const conformanceTopics: readonly string[] =
  'exact empty par_a par_b par_c par_d poisoned twice again lost aborted never truncated calm grown tidy'
    .split(' ')
    .concat(hostile.map(hostileTopic))
    .map((name) => `src.${name}`)

/** Every column of the suite but the key. */
export const conformanceColumns: readonly string[] = ['v', 'extra', 'plain', ...hostile]

function hostileTopic(name: string, i: number): string {
  return `h${i}${name}`
}

function boundaryTests(run: Run): void {
  run('hostile topic and column names are only names', async (harness) => {
    await using sink = await harness.open()
    for (const [i, text] of hostile.entries()) {
      const topic = `src.${hostileTopic(text, i)}`
      const name = harness.takesColumn?.(text) === false ? 'plain' : text
      const odd = makeSchema([keyField, textField, { ...textField, name }], [0], 'upsert')
      const given = rows(0, 2).map(({ values }) => ({ values: { ...values, [name]: text } }))
      await deliver(sink, sinkBatch(topic, batchOf(odd, given)))
      const found = await seen(harness, topic)
      assert.deepEqual(
        found.map((row) => row[name]),
        [text, text],
        topic,
      )
    }
  })

  run('leaves no socket or timer behind', async (harness) => {
    const count = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
    const before = count()
    for (let i = 0; i < 3; i++) {
      await using sink = await harness.open()
      await deliver(sink, sinkBatch('src.tidy', batchOf(schema, rows(i, i + 1)), i))
    }
    await waitFor('the sockets to close', () => count() <= before)
  })
}
