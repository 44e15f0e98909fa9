/**
 * Records that a source could not read: set aside in the commit that passes them, tried again by the
 * source, dropped, and bounded by a budget. Attacks invariants 2, 5 and 8.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import type { Decoded } from '../../../core/connector/format/format.ts'
import { position, type Position, type SourceConnector } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { readHead } from '../../../core/log/head.ts'
import type { Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { RecordTable, required } from '../../../core/record/records.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { textAt } from '../../../core/record/value.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import type { OverRequest, RequestNotes } from '../../../core/task/request-desk.ts'
import { listLetters, type ListedLetter } from '../../../core/task/letter-list.ts'
import { requestChain, type RequestBody } from '../../../core/task/requests.ts'
import { writeRequest } from '../../../core/task/request-writer.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const chain = 'p.source.s'
const { signal: never } = new AbortController()

/** A source of texts, each of which should be a number; `base` is how they are written. */
interface Texts {
  readonly texts: string[]
  base: 10 | 16
  keyed: boolean
  budget: number
  topic?: string
  /** The topic is not read any more; what keeps it from being decoded now. */
  gone?: boolean
  fails?: SluiceError
}

const raw = new RecordTable<string>([required('value', 'text', (text) => text)], () => 1)
const numbers = new RecordTable<number>([required('n', 'int64', (n) => n)], () => 1)

function decode(texts: readonly string[], { base, keyed, topic = 'numbers' }: Texts): Decoded {
  const value = (text: string): number => (base === 16 ? Number(`0x${text}`) : Number(text))
  const good = texts.filter((text) => Number.isInteger(value(text)))
  const bad = texts.filter((text) => !good.includes(text))
  const batch = numbers.batch(good.map(value))
  const schema = keyed ? makeSchema(batch.schema.fields, [0], 'upsert') : batch.schema
  const error = new SluiceError('task.letter_without_row', { message: 'n: not a number' })
  return {
    changes: [{ topic, batch: { ...batch, schema } }],
    rejected: [
      {
        topic,
        batch: raw.batch(bad),
        errors: bad.map(() => error),
        indexes: bad.map((text) => texts.indexOf(text)),
      },
    ],
  }
}

function textsOf(batch: Batch): string[] {
  return Array.from({ length: batch.rows }, (_, row) =>
    textAt({ kind: 'text' }, batch.columns[0]!, row)!,
  )
}

function connectorOf(state: Texts): SourceConnector<unknown> {
  async function* read(after: Position | null, signal: AbortSignal) {
    for (let at = after === null ? 0 : Number(after); ;) {
      if (at === state.texts.length) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        signal.throwIfAborted()
        continue
      }
      const { changes, rejected } = decode([state.texts[at]!], state)
      at++
      yield { changes, rejected, transaction: null, end: null, position: position(String(at)) }
    }
  }
  return {
    kind: 'texts',
    config: z.unknown(),
    check: async () => [],
    atOrAfter: (a, b) => Number(a) >= Number(b),
    letterBudget: () => ({ max: state.budget, rate: 1 }),
    open: async () => ({
      read,
      ack: async () => {},
      decodeAgain: async (_, batch) => {
        if (state.fails !== undefined) throw state.fails
        return state.gone === true ? null : decode(textsOf(batch), state)
      },
      [Symbol.asyncDispose]: async () => {},
    }),
  }
}

interface Running extends AsyncDisposable {
  readonly done: Promise<void>
}

function run(log: Log, state: Texts, folder: string): Running {
  const stop = new AbortController()
  const flush = { bytesMax: 1 << 20, intervalMs: 2, intervalMsMax: 20 }
  const task = { connector: connectorOf(state), config: {}, flush, openBytesMax: 1 << 20 }
  const done = runIngest({ ...task, stateDir: folder }, taskContext(log, 's'), stop.signal)
  done.catch(() => {})
  return {
    done,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await done.catch(() => {})
    },
  }
}

async function lettersOf(log: Log, all = false): Promise<ListedLetter[]> {
  const letters = { log, chain, topic: 's.dead_letters' }
  const task = { kind: 'ingest', name: 's' } as const
  const found: ListedLetter[] = []
  for await (const letter of listLetters(letters, task, all, never)) found.push(letter)
  return found.toSorted((a, b) => a.entry.letter - b.entry.letter)
}

async function rowsOf(log: Log): Promise<string[]> {
  const rows: string[] = []
  await using reader = ChainReader.open(log, chain, 1)
  for (;;) {
    const commit = await reader.tryNext(never)
    if (commit === null) return rows
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== 's.numbers') continue
      const batch = await reader.readBlock(commit, index, never)
      for (let row = 0; row < batch!.rows; row++)
        rows.push(textAt({ kind: 'int64' }, batch!.columns[0]!, row)!)
    }
  }
}

async function asked(log: Log, body: RequestBody): Promise<OverRequest> {
  const wanted = { chain: requestChain(chain), body, edited: [], by: 'test' }
  const { number } = await writeRequest(log, wanted, never)
  let found: OverRequest | undefined
  await waitFor(`request ${number}`, async () => {
    const notes = (await readHead(log, chain, never))?.notes as { requests?: RequestNotes } | null
    found = notes?.requests?.over.find((request) => request.number === number)
    return found !== undefined
  })
  return found!
}

function retryOf(letters: readonly ListedLetter[]): RequestBody {
  return {
    kind: 'retry',
    letters: { 's.numbers': letters.map(({ entry }) => [entry.letter, entry.letter]) },
  }
}

test('a record that does not fit is a letter, once, over restarts (invariants 2, 5)', async () => {
  using dir = tempDir('letters')
  const log = await testLog()
  const state: Texts = { texts: ['1', 'ff', '2'], base: 10, keyed: false, budget: 100 }
  for (let round = 1; round <= 3; round++) {
    await using _running = run(log, state, dir.path)
    await waitFor('the rows', async () => (await rowsOf(log)).length === round * 2)
    await waitFor('the letters', async () => (await lettersOf(log)).length === round)
    state.texts.push(String(round * 10), `f${round}`, String(round * 10 + 1))
  }
  const [first] = await lettersOf(log)
  assert.equal(first?.entry.topic, 's.numbers')
  assert.equal(first.entry.offset, null)
  assert.equal(first.entry.row, '{"value":"ff"}')
  assert.deepEqual(await rowsOf(log), ['1', '2', '10', '11', '20', '21'])
})

test('tried again once the schema is mended: the row comes, the letter goes (invariant 5)', async () => {
  using dir = tempDir('letters')
  const log = await testLog()
  const state: Texts = { texts: ['1', 'ff', 'xyz'], base: 10, keyed: false, budget: 100 }
  await using _running = run(log, state, dir.path)
  await waitFor('the letters', async () => (await lettersOf(log)).length === 2)
  const first = await asked(log, retryOf(await lettersOf(log)))
  assert.deepEqual([first.how, first.sent, first.refused], ['done', 0, 2])
  state.base = 16
  const second = await asked(log, retryOf(await lettersOf(log)))
  assert.deepEqual([second.how, second.sent, second.refused], ['done', 1, 1])
  assert.deepEqual(await rowsOf(log), ['1', '255'])
  const [left, ...more] = await lettersOf(log)
  assert.deepEqual([left?.entry.row, left?.entry.attempts, more.length], ['{"value":"xyz"}', 3, 0])
  // What is over stays so.
  const third = await asked(log, retryOf(await lettersOf(log, true)))
  assert.deepEqual([third.sent, third.refused, third.skipped], [0, 1, 1])
})

test('in a topic with keys an old record would undo newer rows: it is not tried again', async () => {
  using dir = tempDir('letters')
  const log = await testLog()
  const state: Texts = { texts: ['1', 'ff'], base: 10, keyed: true, budget: 100 }
  await using _running = run(log, state, dir.path)
  await waitFor('the letter', async () => (await lettersOf(log)).length === 1)
  state.base = 16
  const { how, problem } = await asked(log, retryOf(await lettersOf(log)))
  assert.equal(how, 'failed')
  assert.match(problem!, /s\.numbers have a key.*then drop the letter/)
  assert.equal((await lettersOf(log)).length, 1)
})

test('a letter that cannot be tried now stays, and the source goes on (invariant 5)', async () => {
  using dir = tempDir('letters')
  const log = await testLog()
  const state: Texts = { texts: ['1', 'ff'], base: 10, keyed: false, budget: 100 }
  await using _running = run(log, state, dir.path)
  await waitFor('the letter', async () => (await lettersOf(log)).length === 1)
  state.base = 16
  state.gone = true
  const gone = await asked(log, retryOf(await lettersOf(log)))
  assert.deepEqual([gone.how, gone.sent], ['failed', 0])
  assert.match(gone.problem!, /numbers is not read any more/)
  state.fails = new SluiceError('source.kafka.registry_unreachable', { message: 'nobody' })
  const failed = await asked(log, retryOf(await lettersOf(log)))
  assert.deepEqual(
    [failed.how, failed.problem],
    ['failed', 'nobody (source.kafka.registry_unreachable)'],
  )
  assert.equal((await lettersOf(log)).length, 1)
  state.texts.push('2')
  await waitFor('the next row', async () => (await rowsOf(log)).length === 2)
  delete state.fails
  state.gone = false
  const sent = await asked(log, retryOf(await lettersOf(log)))
  assert.deepEqual([sent.how, sent.sent], ['done', 1])
  assert.deepEqual(await rowsOf(log), ['1', '2', '255'])
})

test('over its budget the source waits, and goes on when letters were seen to (invariant 8)', async () => {
  using dir = tempDir('letters')
  const log = await testLog()
  const bad = Array.from({ length: 20 }, (_, i) => `z${i}`)
  const state: Texts = { texts: ['1', ...bad, '2'], base: 10, keyed: false, budget: 5 }
  {
    await using running = run(log, state, dir.path)
    await assert.rejects(running.done, { code: 'task.dead_letter_budget' })
  }
  const letters = await lettersOf(log)
  assert.equal(letters.length, 5)
  {
    await using again = run(log, state, dir.path)
    await assert.rejects(again.done, { code: 'task.dead_letter_budget' })
  }
  assert.equal((await lettersOf(log)).length, 5)
  // Asked while it stands still; taken at its next start.
  const drop = { kind: 'drop', letters: letters.map(({ entry }) => entry.letter) } as const
  const wanted = { chain: requestChain(chain), body: drop, edited: [], by: 'test' }
  await writeRequest(log, wanted, never)
  state.budget = 100
  await using _running = run(log, state, dir.path)
  await waitFor('the last row', async () => (await rowsOf(log)).includes('2'))
  await waitFor('the letters', async () => (await lettersOf(log)).length === 15)
  assert.deepEqual(await rowsOf(log), ['1', '2'])
})

test('a topic of the source’s own with the name of its letters stops it, before rows are mixed', async () => {
  using dir = tempDir('letters')
  const log = await testLog()
  const texts = ['ff', '1']
  const state: Texts = { texts, base: 16, keyed: false, budget: 5, topic: 'dead_letters' }
  await using running = run(log, state, dir.path)
  await assert.rejects(running.done, { code: 'task.topic_reserved' })
})
