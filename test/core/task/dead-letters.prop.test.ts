/**
 * A letter keeps its row exactly, whatever its types and encodings; what JSON shows of it can be written
 * back; letters from before the row was kept stay readable. Attacks invariants 5 and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Log } from '../../../core/log/log.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { sliceBatch } from '../../../core/record/batch-ops.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { jsonRows } from '../../../core/record/json.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { withScale } from '../../../core/record/value-convert.ts'
import { textAt } from '../../../core/record/value.ts'
import { batchOfKept, keptRow, letterEntry } from '../../../core/task/dead-letter-entry.ts'
import { deadLetterBatch, newLetter } from '../../../core/task/dead-letters.ts'
import { editRow, parseJson, type JsonInput } from '../../../core/task/value-edit.ts'
import { batchOf } from '../../conformance/rows.ts'
import { anyBatch } from '../../support/batches.ts'
import { waitFor } from '../../support/env.ts'
import { ask, lettersOf, notesOf, over, retryOf, sinkChain } from '../../support/letters.ts'
import { numberRows } from '../../support/number-rows.ts'
import { deliverTo, sinkScript, writeTopics } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const { signal } = new AbortController()

const letterOf = (batch: Batch, row: number) =>
  newLetter(
    {
      topic: 's.t',
      offset: row,
      code: 'sink.webhook.rejected',
      message: 'no',
      attempts: 1,
      row: { batch, row },
    },
    1_700_000_000_000,
  )

const texts = (batch: Batch, row: number): (string | null)[] =>
  batch.schema.fields.map(({ type }, i) => {
    const text = textAt(type, batch.columns[i]!, row)
    // One value has several texts where a column holds exact digits: 0 and 0.0.
    return text !== null && type.kind === 'decimal' && type.precision !== null
      ? (withScale(text, 100, type.scale ?? 0) ?? text)
      : text
  })

test('a row comes back from its letter as it was', () => {
  fc.assert(
    fc.property(anyBatch({ rowsMax: 12 }), (batch) => {
      const letters = deadLetterBatch(
        Array.from({ length: batch.rows }, (_, row) => letterOf(batch, row)),
      )
      for (let row = 0; row < batch.rows; row++) {
        const kept = keptRow(letters, row)
        assert.ok(kept !== null)
        const back = batchOfKept([kept])
        assert.equal(back.schema.id, batch.schema.id)
        assert.deepEqual(texts(back, 0), texts(batch, row))
        assert.deepEqual(
          [back.weights[0], back.ops[0], back.timesUs[0]],
          [batch.weights[row], batch.ops[row], batch.timesUs[row]],
        )
        assert.equal(letterEntry(letters, row, 100).letter, 100 + row)
      }
    }),
    { numRuns: 300 },
  )
})

test('what JSON shows of a row can be written back, and changes nothing', () => {
  fc.assert(
    fc.property(anyBatch({ rowsMax: 4 }), (batch) => {
      for (let row = 0; row < batch.rows; row++) {
        const text = jsonOf(batch, row)
        if (text === null) continue
        const changes = new Map(Object.entries(parseJson(text) as Record<string, JsonInput>))
        const one = sliceBatch(batch, row, row + 1)
        const writable = [...changes].filter(([name, value]) => isWritable(one, name, value))
        const { batch: back, problems } = editRow(one, new Map(writable))
        assert.deepEqual(problems, [])
        assert.deepEqual(texts(back!, 0), texts(one, 0))
      }
    }),
    { numRuns: 300 },
  )
})

/** null where a text is not UTF-8, or two columns have one name. */
function jsonOf(batch: Batch, row: number): string | null {
  try {
    return jsonRows(batch)(row)
  } catch {
    return null
  }
}

/** Columns whose JSON says what they hold: a null of JSON is also what NULL looks like. */
function isWritable(one: Batch, name: string, value: JsonInput): boolean {
  const index = one.schema.fields.findIndex((field) => field.name === name)
  const { type, nullable } = one.schema.fields[index]!
  if (value === null) return nullable && type.kind !== 'json'
  // Lists that only their source can write are its own text; what stands in a json column is its own.
  if (type.kind === 'list' || type.kind === 'json') return false
  // Columns of exact digits may hold some that their type has no place for.
  if (type.kind === 'decimal' && type.precision !== null)
    return typeof value === 'string' && withScale(value, type.precision, type.scale ?? 0) !== null
  // Sources have years that SQL's own text does not reach.
  const year = typeof value === 'string' ? /^([+-]?\d{4,})-\d\d-\d\d/.exec(value)?.[1] : undefined
  const temporal = type.kind === 'date' || type.kind.startsWith('timestamp')
  return !temporal || year === undefined || (Number(year) > -4700 && Number(year) < 294_000)
}

test('a value that the column does not hold exactly is refused, by column', () => {
  const schema = makeSchema(
    [
      { name: 'id', type: { kind: 'int64' }, nullable: false },
      { name: 'small', type: { kind: 'int16' }, nullable: true },
      { name: 'price', type: { kind: 'decimal', precision: 6, scale: 2 }, nullable: true },
      { name: 'day', type: { kind: 'date' }, nullable: true },
      { name: 'tags', type: { kind: 'list', element: { kind: 'int32' } }, nullable: true },
      { name: 'doc', type: { kind: 'json' }, nullable: true },
      { name: 'raw', type: { kind: 'bytes' }, nullable: true },
    ],
    [0],
    'upsert',
  )
  const row = batchOf(schema, [{ values: { id: 1 } }])
  const wrong = (column: string, value: JsonInput): string => {
    const { batch, problems } = editRow(row, new Map([[column, value]]))
    assert.equal(batch, null)
    assert.deepEqual(
      problems.map((problem) => problem.column),
      [column],
    )
    return problems[0]!.message
  }
  assert.match(wrong('id', null), /NULL is not allowed/)
  assert.match(wrong('small', '40000'), /not from -32768 to 32767 \(the column is int16\)/)
  assert.match(wrong('price', '1.005'), /too many digits/)
  assert.match(wrong('price', '12345.6'), /too many digits/)
  assert.match(wrong('day', '2026-02-30'), /date/)
  assert.match(wrong('tags', '[1, "x"]'), /whole number/)
  assert.match(wrong('doc', '{"a":'), /json/i)
  assert.match(wrong('raw', 'no base64!'), /neither hex/)
  assert.match(wrong('none', '1'), /no such column; there are id, small/)
  assert.match(wrong('smal', '1'), /no such column; did you mean "small"\?/)
  const good = parseJson(
    '{"id":9223372036854775807,"price":12.5,"day":"2026-02-28","tags":[1,null,3],"doc":{"n":1.000000000000000000001},"raw":"\\\\xff00"}',
  ) as Record<string, JsonInput>
  const { batch, problems } = editRow(row, new Map(Object.entries(good)))
  assert.deepEqual(problems, [])
  assert.equal(
    jsonRows(batch!)(0),
    '{"id":"9223372036854775807","small":null,"price":"12.50","day":"2026-02-28","tags":[1,null,3],"doc":{"n":1.000000000000000000001},"raw":"/wA="}',
  )
})

/** As letters were before their rows were kept with them. */
async function writeOldLetters(log: Log): Promise<void> {
  const schema = makeSchema(
    [
      { name: 'topic', type: { kind: 'text' }, nullable: false },
      { name: 'offset', type: { kind: 'int64' }, nullable: true },
      { name: 'code', type: { kind: 'text' }, nullable: false },
      { name: 'message', type: { kind: 'text' }, nullable: false },
      { name: 'attempts', type: { kind: 'int32' }, nullable: false },
      { name: 'row', type: { kind: 'json' }, nullable: true },
      { name: 'at', type: { kind: 'timestamptz' }, nullable: false },
    ],
    [],
    'append',
  )
  const letter = (offset: number) => ({
    values: {
      topic: 's.t',
      offset,
      code: 'sink.webhook.rejected',
      message: 'said 422',
      attempts: 3,
      row: `{"n":${offset * 10}}`,
      at: 1_700_000_000_000_000,
    },
  })
  await using writer = await ChainWriter.open(log, sinkChain, { writer: 'old', signal })
  const states = { 's.t': { done: 4, seq: 2, plan: null, parked: null } }
  const commits: readonly number[][] = [[1], [], [3], []]
  for (const offsets of commits) {
    const batch = batchOf(schema, offsets.map(letter))
    await writer.commit(
      {
        entries: offsets.length === 0 ? [] : [{ kind: 'rows', topic: 'k.dead_letters', batch }],
        notes: { topics: states },
      },
      signal,
    )
  }
}

test('letters of an older version are listed, sent again from the log, and counted', async () => {
  const log = await testLog()
  await writeTopics(log, { kind: 'rows', topic: 's.t', batch: numberRows([0, 10, 20, 30]) })
  await writeOldLetters(log)
  const before = await lettersOf(log)
  assert.deepEqual(
    before.map(({ letter, offset, attempts, row, op, firstUs, atUs }) => [
      letter,
      offset,
      attempts,
      row,
      op,
      firstUs === atUs,
    ]),
    [
      [0, 1, 3, '{"n":10}', null, true],
      [1, 3, 3, '{"n":30}', null, true],
    ],
  )
  await ask(log, retryOf(before.slice(0, 1)))
  const script = sinkScript()
  const stop = new AbortController()
  const running = deliverTo(script, taskContext(log, 'k'), stop.signal)
  assert.equal((await over(log, 0)).sent, 1)
  stop.abort()
  await running
  assert.deepEqual(
    script.attempts.map(({ offset, numbers, origin }) => [offset, numbers, origin]),
    [[1, [10], 'retry']],
  )
  assert.deepEqual(
    (await lettersOf(log)).map(({ letter }) => letter),
    [1],
  )
  assert.equal((await notesOf(log))?.letters?.open, 1)
  // A second start finds the old letter behind the trail of the new ones.
  const again = new AbortController()
  const second = deliverTo(script, taskContext(log, 'k'), again.signal)
  await ask(log, { kind: 'drop', letters: [1] })
  await waitFor('the drop', async () => (await lettersOf(log)).length === 0)
  again.abort()
  await second
})
