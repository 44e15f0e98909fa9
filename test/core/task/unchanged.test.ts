/**
 * Unchanged values where the schema moved on: columns added with a default, dropped and made again, of
 * another type; and topics without a key. Attacks invariants 5 and 9: what is filled in is the row's
 * own value, or the task stops and says what to do.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RowsChange } from '../../../core/connector/source.ts'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import { bitmapBytes, setBit } from '../../../core/record/bitmap.ts'
import { builderFor } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { Column } from '../../../core/record/column.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import { makeSchema, type Changelog, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { Unchanged } from '../../../core/task/unchanged.ts'
import { tempDir } from '../../support/env.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const signal = AbortSignal.timeout(60_000)
const unsent: unique symbol = Symbol('unsent')
type Value = number | string | null | typeof unsent

const int = (name: string): Field => ({ name, type: { kind: 'int32' }, nullable: true })
const text = (name: string): Field => ({ name, type: { kind: 'text' }, nullable: true })

function columnOf(type: LogicalType, values: readonly Value[]): Column {
  const builder = builderFor(type)
  for (const value of values) {
    if (value === null || value === unsent) builder.appendNull()
    else if (builder instanceof BytesBuilder) builder.appendString(String(value))
    else if (builder instanceof DecimalBuilder) {
      const digits = Buffer.from(String(value))
      builder.appendText(digits, 0, digits.length)
    } else if ('append' in builder) builder.append(Number(value))
  }
  return builder.finish()
}

interface Rows {
  readonly fields: readonly Field[]
  readonly rows: readonly (readonly Value[])[]
  readonly weights?: readonly number[]
  readonly key?: readonly number[]
  readonly changelog?: Changelog
  readonly previous?: readonly number[]
  readonly defaults?: readonly (Column | null)[]
  readonly edits?: RowsChange['edits']
}

function changeOf(given: Rows): RowsChange {
  const { fields, rows, key = [0], changelog = 'upsert', previous, defaults, edits } = given
  const columns = fields.map(({ type }, i) =>
    columnOf(
      type,
      rows.map((row) => row[i]!),
    ),
  )
  const batch = makeBatch(
    makeSchema(fields, key, changelog),
    columns,
    Int32Array.from(given.weights ?? rows.map(() => 1)),
    new Uint8Array(rows.length).fill(Op.update),
    new Float64Array(rows.length),
  )
  const unchanged = fields.map((_, i) => {
    const bits = new Uint8Array(bitmapBytes(rows.length))
    for (const [at, row] of rows.entries()) if (row[i] === unsent) setBit(bits, at)
    return bits.some((byte) => byte !== 0) ? bits : null
  })
  return {
    topic: 't',
    batch,
    unchanged,
    ...(previous === undefined ? {} : { previous: Int32Array.from(previous) }),
    ...(defaults === undefined ? {} : { defaults }),
    ...(edits === undefined ? {} : { edits }),
  }
}

function texts(batch: Batch): (string | null)[][] {
  return Array.from({ length: batch.rows }, (_, row) =>
    batch.schema.fields.map(({ type }, i) => textAt(type, batch.columns[i]!, row)),
  )
}

/** One ingest, without its loop: `send` resolves and commits, as whole transactions. */
async function withUnchanged(
  act: (
    send: (rows: Rows) => Promise<(string | null)[][]>,
    restart: () => Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  using dir = tempDir('unchanged')
  const log = await testLog()
  await using writer = await ChainWriter.open(log, 'c', { writer: 'w', signal })
  const open = (): Unchanged =>
    new Unchanged({
      log,
      chain: 'c',
      folder: join(dir.path, 'state'),
      bytesMax: 1 << 20,
      ctx: taskContext(log, 's'),
      signal,
    })
  let unchanged = open()
  try {
    await act(
      async (rows) => {
        const batch = await unchanged.resolve('t', changeOf(rows), null)
        const layer = unchanged.seal()
        const commit = await writer.commit(
          { entries: [{ kind: 'rows', topic: 't', batch }] },
          signal,
        )
        await unchanged.committed(layer, commit.seq)
        return texts(batch)
      },
      async () => {
        await unchanged[Symbol.asyncDispose]()
        unchanged = open()
      },
    )
  } finally {
    await unchanged[Symbol.asyncDispose]()
  }
}

const two = [int('id'), text('a')]
const three = [...two, int('n')]

for (const restarted of [false, true]) {
  const when = restarted ? ', after a restart' : ''

  test(`a column newer than the row has the default that the source tells${when}`, async () => {
    await withUnchanged(async (send, restart) => {
      await send({
        fields: two,
        rows: [
          [1, 'one'],
          [2, 'two'],
        ],
      })
      await send({ fields: two, rows: [[2, unsent]] })
      if (restarted) await restart()
      const defaults = [null, null, columnOf({ kind: 'int32' }, [7])]
      const rows: readonly (readonly Value[])[] = [
        [1, unsent, unsent],
        [1, 'uno', unsent],
      ]
      assert.deepEqual(await send({ fields: three, rows, defaults }), [
        ['1', 'one', '7'],
        ['1', 'uno', '7'],
      ])
      await assert.rejects(send({ fields: three, rows: [[2, unsent, unsent]] }), {
        code: 'task.unchanged_not_found',
        message: /left out n as unchanged, and the column is newer/,
      })
    })
  })

  test(`a column dropped and made again is another one${when}`, async () => {
    await withUnchanged(async (send, restart) => {
      await send({ fields: three, rows: [[1, 'one', 5]] })
      await send({ fields: three, rows: [[1, unsent, unsent]] })
      await send({ fields: two, rows: [] })
      if (restarted) await restart()
      const defaults = [null, null, columnOf({ kind: 'int32' }, [9])]
      const rows: readonly (readonly Value[])[] = [[1, unsent, unsent]]
      assert.deepEqual(await send({ fields: three, rows, defaults }), [['1', 'one', '9']])
    })
  })

  test(`a column of another type has the same value where that type holds it${when}`, async () => {
    await withUnchanged(async (send, restart) => {
      await send({
        fields: three,
        rows: [
          [1, 'one', 5],
          [2, 'two', 40_000],
        ],
      })
      await send({ fields: three, rows: [[1, unsent, unsent]] })
      if (restarted) await restart()
      const price: Field = {
        name: 'n',
        type: { kind: 'decimal', precision: 30, scale: 2 },
        nullable: true,
      }
      const wider = await send({ fields: [...two, price], rows: [[1, unsent, unsent]] })
      assert.deepEqual(wider, [['1', 'one', '5.00']])
      const small: Field = { name: 'n', type: { kind: 'int16' }, nullable: true }
      await assert.rejects(send({ fields: [...two, small], rows: [[2, unsent, unsent]] }), {
        code: 'task.unchanged_not_found',
        message: /left out n as unchanged, and its type has changed/,
      })
    })
  })
}

test('a topic without a key takes values from the old rows beside, and remembers nothing', async () => {
  await withUnchanged(async (send) => {
    const keyless = { fields: three, key: [], changelog: 'retract' } as const
    const rows: readonly (readonly Value[])[] = [
      [1, 'one', 5],
      [1, unsent, 6],
      [1, 'one', 6],
      [unsent, 'x', unsent],
    ]
    const sent = await send({ ...keyless, rows, weights: [-1, 1, -1, 1], previous: [-1, 0, -1, 2] })
    assert.deepEqual(sent.slice(1), [
      ['1', 'one', '6'],
      ['1', 'one', '6'],
      ['1', 'x', '6'],
    ])
    await assert.rejects(send({ ...keyless, rows: [[1, unsent, 6]] }), {
      code: 'task.unchanged_not_found',
    })
  })
})

test('an edit that does not fit its value is told with topic and column, never with the value', async () => {
  const refuse = (): never => {
    throw new SluiceError('source.mysql.json_diff', { message: 'it does not fit' })
  }
  await withUnchanged(async (send) => {
    await send({ fields: two, rows: [[1, 'secret']] })
    const edits = [null, new Map([[0, refuse]])]
    await assert.rejects(send({ fields: two, rows: [[1, unsent]], edits }), {
      code: 'source.mysql.json_diff',
      message: 't, column a: it does not fit',
    })
  })
})
