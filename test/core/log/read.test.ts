/** Chains: reading, waiting, finding a place, missing objects, names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { locate, readHead } from '../../../core/log/head.ts'
import { encodeHint } from '../../../core/log/codec-snapshot.ts'
import { commitKey, hintKey } from '../../../core/log/keys.ts'
import type { Log } from '../../../core/log/log.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import type { Schema } from '../../../core/record/schema.ts'
import { assertSameBatch } from '../../support/same-batch.ts'
import { failsWith } from '../../support/fails-with.ts'
import {
  bulk,
  chain,
  openWriter,
  otherSchema,
  readFrom,
  rows,
  schema,
  signal,
  testLog,
} from './support.ts'

test('a reader waits without polling when the writer is in its process, and stops with its signal', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  await using reader = ChainReader.open(world.log, chain, 2)
  const waiting = reader.next(signal)
  const commit = await writer.commit(
    { entries: [{ kind: 'rows', topic: 'a', batch: rows(0, 1) }] },
    signal,
  )
  assert.deepEqual(await waiting, commit)
  world.operations.length = 0
  assertSameBatch((await reader.readBlock(commit, 0, signal))!, rows(0, 1))
  assert.deepEqual(world.operations, [], 'what this process wrote is not fetched')
  const controller = new AbortController()
  const stopped = reader.next(controller.signal)
  controller.abort(new Error('enough'))
  await assert.rejects(stopped, /enough/)
  // It can be asked again.
  const [again, made] = await Promise.all([
    reader.next(signal),
    writer.commit({ entries: [] }, signal),
  ])
  assert.deepEqual(again, made)
})

test('a reader that starts anywhere knows the schemas, also when their commit is gone', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  await writer.commit({ entries: [{ kind: 'rows', topic: 'a', batch: rows(0, 1) }] }, signal)
  await writer.commit(
    { entries: [{ kind: 'rows', topic: 'a', batch: rows(1, 1, otherSchema) }] },
    signal,
  )
  for (let i = 0; i < 260; i++) {
    await writer.commit({ entries: [{ kind: 'rows', topic: 'a', batch: rows(i, 1) }] }, signal)
  }
  const [commit] = await readFrom(await testLog(world.bucket), 200)
  assert.deepEqual(commit?.blocks[0]?.schema, schema)
  world.bucket.objects.delete(commitKey(chain, 2))
  const [after] = await readFrom(await testLog(world.bucket), 200)
  assert.deepEqual(after, commit)
})

test('a reader that is disposed of waits for what it had fetched ahead, also when nobody waits for that any more', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  for (let i = 0; i < 3; i++) {
    await writer.commit({ entries: [{ kind: 'rows', topic: 'a', batch: rows(i, 1) }] }, signal)
  }
  const { log } = await testLog(world.bucket)
  const get = log.store.get.bind(log.store)
  let under = 0
  log.store.get = async (key, stop, range) => {
    if (key !== commitKey(chain, 3)) return get(key, stop, range)
    under++
    await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve()))
    // A connection takes a moment to end.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    under--
    throw stop.reason
  }
  const reader = ChainReader.open(log, chain, 1)
  for (const seq of [1, 2]) assert.equal((await reader.next(signal)).seq, seq)
  assert.equal(under, 1)
  const stop = new AbortController()
  const third = reader.tryNext(stop.signal)
  stop.abort()
  await assert.rejects(third, { name: 'AbortError' })
  await reader[Symbol.asyncDispose]()
  assert.equal(under, 0)
})

test('the schemas of a topic are told in the order in which they were last used', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const schemas = () => writer.head.topics.get('a')?.schemas
  const write = async (of: Schema): Promise<void> => {
    await writer.commit({ entries: [{ kind: 'rows', topic: 'a', batch: rows(0, 1, of) }] }, signal)
  }
  await write(schema)
  await write(otherSchema)
  assert.deepEqual(schemas(), [schema, otherSchema])
  await write(schema)
  assert.deepEqual(schemas(), [otherSchema, schema], 'a table may get a schema again')
  const head = await readHead((await testLog(world.bucket)).log, chain, signal)
  assert.deepEqual(head?.topics.get('a')?.schemas, [otherSchema, schema])
})

test('invariant 5: what is missing is an error with the floor, never a skip and never a wait', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const batch = bulk(5000, 1000)
  await writer.commit({ entries: [{ kind: 'rows', topic: 'a', batch }] }, signal)
  for (let i = 0; i < 256; i++) await writer.commit({ entries: [] }, signal)
  const hint = encodeHint(chain, { snapshot: 257, floor: 5 })
  world.bucket.objects.set(hintKey(chain), hint)
  for (let seq = 1; seq < 5; seq++) world.bucket.objects.delete(commitKey(chain, seq))
  const other = await testLog(world.bucket)
  const atFloor = failsWith(
    'log.object_missing',
    /c\/0{19}3 is missing; the chain's floor is commit 5/,
  )
  await assert.rejects(ChainReader.open(other.log, chain, 3).next(signal), atFloor)
  world.bucket.objects.delete(commitKey(chain, 100))
  await using reader = ChainReader.open(other.log, chain, 99)
  await reader.next(signal)
  await assert.rejects(reader.next(signal), failsWith('log.object_missing'))
})

test('a missing segment is an error with the floor', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const segment = await writer.stage([{ kind: 'rows', topic: 'a', batch: rows(0, 4) }], signal)
  await writer.commit({ entries: [{ kind: 'staged', segment }] }, signal)
  world.bucket.objects.delete(segment.key)
  const other = await testLog(world.bucket)
  await using reader = ChainReader.open(other.log, chain, 2)
  const commit = await reader.next(signal)
  await assert.rejects(
    reader.readBlock(commit, 0, signal),
    failsWith('log.object_missing', /floor/),
  )
})

test('locate: start, end, offsets and times, within one commit and across snapshots', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  await writer.commit({ entries: [{ kind: 'rows', topic: 'b', batch: rows(0, 1) }] }, signal)
  for (let i = 0; i < 600; i++) {
    await writer.commit(
      { entries: [{ kind: 'rows', topic: 'a', batch: rows(i * 10, 10) }] },
      signal,
    )
  }
  const { log } = await testLog(world.bucket)
  const at = (where: Parameters<typeof locate>[3]) => locate(log, chain, 'a', where, signal)
  assert.deepEqual(await at('start'), { seq: 3, offset: 0 })
  assert.deepEqual(await at('end'), { seq: 603, offset: 6000 })
  for (const offset of [0, 9, 10, 2559, 2560, 4321, 5999]) {
    assert.deepEqual(await at({ offset }), { seq: 3 + Math.floor(offset / 10), offset })
    assert.deepEqual(await at({ timeUs: 1e15 + offset }), {
      seq: 3 + Math.floor(offset / 10),
      offset,
    })
  }
  assert.deepEqual(await at({ offset: 6000 }), { seq: 603, offset: 6000 })
  assert.deepEqual(await at({ timeUs: 0 }), { seq: 3, offset: 0 })
  assert.deepEqual(await at({ timeUs: 2e15 }), { seq: 603, offset: 6000 })
  await assert.rejects(at({ offset: 6001 }), failsWith('log.offset_unknown'))
  await assert.rejects(at({ offset: -1 }), failsWith('log.offset_unknown'))
  assert.deepEqual(await locate(log, chain, 'never', 'start', signal), { seq: 603, offset: 0 })
  assert.equal(await readHead(log, 'no such chain', signal), null)
})

test('chains with odd names keep apart; names that cannot be are refused', async () => {
  const world = await testLog()
  for (const name of ['.', '..', 'a/b', 'a%2Fb', 'ä b', "it's (1)*!"]) {
    await using writer = await ChainWriter.open(world.log, name, { writer: name, signal })
    await writer.commit({ entries: [], position: name }, signal)
    assert.equal((await readHead(world.log, name, signal))?.position, name)
  }
  for (const name of ['', 'x'.repeat(201)]) {
    await assert.rejects(readHead(world.log, name, signal), failsWith('log.name_invalid'))
  }
  await using writer = await openWriter(world)
  await assert.rejects(
    writer.commit({ entries: [{ kind: 'truncate', topic: '' }] }, signal),
    failsWith('log.name_invalid'),
  )
})

test('readers that come for one commit have it opened once, and another one of its name is not taken for it', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  await writer.commit({ entries: [], notes: { plan: 1 } }, signal)
  const other = await testLog(world.bucket)
  const notesOf = async (log: Log): Promise<unknown> => {
    await using reader = ChainReader.open(log, chain, 2)
    return (await reader.next(signal)).notes
  }
  const [first, second] = [await notesOf(other.log), await notesOf(other.log)]
  assert.equal(second, first, 'the same object')
  // Nobody may do so; but what is in the store counts.
  const elsewhere = await testLog()
  await using impostor = await openWriter(elsewhere)
  await impostor.commit({ entries: [], notes: { plan: 2 } }, signal)
  other.log.cache.delete(commitKey(chain, 2))
  world.bucket.objects.set(commitKey(chain, 2), elsewhere.bucket.objects.get(commitKey(chain, 2))!)
  assert.deepEqual(await notesOf(other.log), { plan: 2 })
})
