/** The row memory when its folder is taken. Attacks invariant 4's other side: a take-over never waits for the old process. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ClassicLevel } from 'classic-level'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import { Int32Builder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import { textAt } from '../../../core/record/value.ts'
import { layoutIdOf } from '../../../core/task/row-layout.ts'
import { RowMemory } from '../../../core/task/row-memory.ts'
import { tempDir } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'

const id: Field = { name: 'id', type: { kind: 'int32' }, nullable: false }
const note: Field = { name: 'note', type: { kind: 'text' }, nullable: true }
const schema = makeSchema([id, note], [0], 'upsert')

function oneRow(text: string | null, weight = 1): { topic: string; batch: Batch; keys: string[] } {
  const ids = new Int32Builder()
  const notes = new BytesBuilder()
  ids.append(1)
  if (text === null) notes.appendNull()
  else notes.appendString(text)
  const batch = makeBatch(
    schema,
    [ids.finish(), notes.finish()],
    Int32Array.of(weight),
    Uint8Array.of(Op.insert),
    Float64Array.of(0),
  )
  return { topic: 't', batch, keys: ['key'] }
}

/** The note remembered under the key; undefined = no such row, or no such field. */
async function noteOf(memory: RowMemory, topic = 't'): Promise<string | null | undefined> {
  const [found] = await memory.find(topic, ['key'], [])
  if (found?.row == null) return undefined
  const rows = memory.layoutRows(topic, layoutIdOf(found.row))
  rows.add(found.row)
  const field = rows.field('note')
  return field === null ? undefined : textAt(field.type, field.column, 0)
}

test('a folder that another holds is left to it, and used again once it is free', async () => {
  using dir = tempDir('row-memory')
  const folder = join(dir.path, 'memory')
  {
    await using first = await RowMemory.open(folder)
    await first.remember('t', 'large')
    await first.put(oneRow('text'))
    await first.moveCursors(['t'], 5)
    await using second = await RowMemory.open(folder)
    assert.deepEqual(second.topics(), [], 'the second begins with nothing')
    assert.equal(await second.cursor('t'), 1)
    assert.equal(await noteOf(first), 'text')
  }
  await using again = await RowMemory.open(folder)
  assert.deepEqual([again.kept('t'), await again.cursor('t')], ['large', 5])
  assert.equal(await noteOf(again), 'text')
})

test('more columns are remembered from the beginning of the log', async () => {
  using dir = tempDir('row-memory')
  await using memory = await RowMemory.open(join(dir.path, 'memory'))
  await memory.remember('t', 'large')
  await memory.put(oneRow('text'))
  await memory.moveCursors(['t'], 5)
  await memory.remember('t', 'all')
  assert.deepEqual([memory.kept('t'), await memory.cursor('t')], ['all', 1])
  assert.equal(await noteOf(memory), undefined, 'rows with too few columns are not kept')
  await memory.put(oneRow('again'))
  await memory.moveCursors(['t'], 2)
  await memory.remember('t', 'large')
  assert.deepEqual([memory.kept('t'), await memory.cursor('t')], ['all', 2], 'all is enough')
})

test('a field that was dropped is not that of the rows before when its name comes again', async () => {
  using dir = tempDir('row-memory')
  const folder = join(dir.path, 'memory')
  {
    await using memory = await RowMemory.open(folder)
    await memory.remember('t', 'all')
    await memory.put(oneRow('old'))
    assert.deepEqual(memory.fieldNames('t'), new Set(['note']))
    await memory.dropFields('t', new Set(['note']))
    assert.equal(await noteOf(memory), undefined)
    assert.deepEqual(memory.fieldNames('t'), new Set())
  }
  await using memory = await RowMemory.open(folder)
  assert.equal(await noteOf(memory), undefined, 'nor after a restart')
  await memory.put(oneRow('new'))
  assert.equal(await noteOf(memory), 'new')
})

test('versions of an open transaction: parts rolled back show what was before them', async () => {
  using dir = tempDir('row-memory')
  await using memory = await RowMemory.open(join(dir.path, 'memory'))
  await memory.remember('t', 'all')
  await memory.put(oneRow('committed'))
  const aborted = new Set<string>()
  const scope = { id: 'x', aborted }
  const found = async (): Promise<readonly [number, boolean] | null> => {
    const [row] = await memory.find('t', ['key'], [scope])
    return row == null ? null : [row.from, row.row === null]
  }
  assert.deepEqual(await found(), [1, false])
  await memory.putOpen(scope, '', oneRow('first'))
  await memory.putOpen(scope, 'a', oneRow(null, -1))
  await memory.putOpen(scope, 'b', oneRow('third'))
  assert.deepEqual(await found(), [0, false])
  aborted.add('b')
  assert.deepEqual(await found(), [0, true], 'gone in part a')
  aborted.add('a')
  await memory.mergeOpen(scope)
  assert.deepEqual(await found(), [1, false])
  assert.equal(await noteOf(memory), 'first')
})

test('a memory of an older format is begun anew', async () => {
  using dir = tempDir('row-memory')
  const folder = join(dir.path, 'memory')
  {
    await using memory = await RowMemory.open(folder)
    await memory.remember('t', 'large')
    await memory.put(oneRow('text'))
    await memory.moveCursors(['t'], 7)
  }
  {
    await using level = new ClassicLevel(folder)
    await level.put('v', '1')
  }
  await using memory = await RowMemory.open(folder)
  assert.deepEqual([memory.kept('t'), await memory.cursor('t')], ['large', 1])
  assert.equal(await noteOf(memory), undefined)
})

test('a folder that is removed while it is in use is told as that, and is no bug', async () => {
  using dir = tempDir('row-memory')
  const folder = join(dir.path, 'memory')
  await using memory = await RowMemory.open(folder)
  await memory.remember('t', 'large')
  rmSync(folder, { recursive: true })
  const rows = oneRow('x'.repeat(1 << 20))
  // Until the database needs a new file.
  const writing = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) await memory.put(rows)
  }
  await assert.rejects(
    writing(),
    failsWith('task.state_unusable', 'config', /memory: LEVEL_IO_ERROR/),
  )
})
