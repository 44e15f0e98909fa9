/** Chains: writing and taking over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { readHead } from '../../../core/log/head.ts'
import { commitKey } from '../../../core/log/keys.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { assertSameBatch } from '../../support/same-batch.ts'
import { failsWith } from '../../support/fails-with.ts'
import { bulk, chain, openWriter, otherSchema, readFrom, rows, signal, testLog } from './support.ts'

test('invariant 2: rows of several topics, position, cursors, notes and state in one object', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  world.operations.length = 0
  const commit = await writer.commit(
    {
      entries: [
        { kind: 'rows', topic: 'a', batch: rows(0, 5) },
        { kind: 'truncate', topic: 'a' },
        { kind: 'rows', topic: 'b', batch: rows(0, 2, otherSchema) },
        { kind: 'rows', topic: 'a', batch: rows(5, 0) },
        { kind: 'rows', topic: 'a', batch: rows(5, 3) },
      ],
      position: '0/16B3748',
      cursors: { upstream: 7 },
      notes: { plan: ['x'] },
      state: { kind: 'full', bytes: new Uint8Array([1, 2, 3]) },
    },
    signal,
  )
  assert.deepEqual(world.operations, [`create ${commitKey(chain, 2)}`], 'one PUT')
  assert.deepEqual(
    commit.blocks.map(({ topic, kind, baseOffset, rows }) => [topic, kind, baseOffset, rows]),
    [
      ['a', 'rows', 0, 5],
      ['a', 'truncate', 5, 1],
      ['b', 'rows', 0, 2],
      ['a', 'rows', 6, 0],
      ['a', 'rows', 6, 3],
    ],
  )
  const other = await testLog(world.bucket)
  const [fence, read] = await readFrom(other, 1)
  assert.deepEqual([fence?.blocks, fence?.epoch, fence?.seq], [[], 1, 1])
  assert.deepEqual(read, commit, 'reader and writer say the same')
  await using reader = ChainReader.open(other.log, chain, 2)
  const again = await reader.next(signal)
  assert.equal(await reader.readBlock(again, 1, signal), null)
  assertSameBatch((await reader.readBlock(again, 2, signal))!, rows(0, 2, otherSchema))
  assertSameBatch((await reader.readBlock(again, 4, signal))!, rows(5, 3))
  assert.equal((await reader.readBlock(again, 3, signal))?.rows, 0)
  // A commit is plain data: it can cross to another thread and still be read there.
  assertSameBatch((await reader.readBlock(structuredClone(again), 0, signal))!, rows(0, 5))
  assert.deepEqual(await readHead(other.log, chain, signal), writer.head)
  assert.deepEqual([...writer.head.topics.keys()], ['a', 'b'])
  assert.equal(writer.head.topics.get('a')?.nextOffset, 9)
})

test('what a draft does not say stays as it was; a full state resets the deltas', async () => {
  const world = await testLog()
  await using first = await openWriter(world)
  const state = (kind: 'full' | 'delta', byte: number) =>
    ({ kind, bytes: new Uint8Array(300).fill(byte) }) as const
  await first.commit({ entries: [], position: 'p', cursors: { x: 1 }, notes: [1] }, signal)
  await first.commit({ entries: [], state: state('delta', 1) }, signal)
  await first.commit({ entries: [], state: state('full', 2) }, signal)
  await first.commit({ entries: [], state: state('delta', 3) }, signal)
  await first.commit({ entries: [], notes: null, state: state('delta', 4) }, signal)
  await using second = await openWriter(await testLog(world.bucket))
  const { position, cursors, notes } = second.head
  assert.deepEqual([position, cursors, notes], ['p', { x: 1 }, null])
  const { full, deltas } = await second.state(signal)
  assert.deepEqual([full?.[299], full?.length], [2, 300])
  assert.deepEqual(
    deltas.map((delta) => delta[0]),
    [3, 4],
  )
})

test('blocks above 4 MiB and large states go to a segment, written before the commit', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  world.operations.length = 0
  const big = bulk(5000, 1000)
  await writer.commit(
    {
      entries: [
        { kind: 'rows', topic: 'a', batch: big },
        { kind: 'truncate', topic: 'a' },
        { kind: 'rows', topic: 'b', batch: rows(0, 3) },
      ],
      state: { kind: 'full', bytes: new Uint8Array(100).fill(9) },
    },
    signal,
  )
  assert.equal(world.operations.length, 2)
  assert.match(world.operations[0]!, /^create seg\/[0-9a-f]{2}\/shop%2Fingest\/1-[0-9A-Z]{26}$/)
  assert.equal(world.operations[1], `create ${commitKey(chain, 2)}`)
  const other = await testLog(world.bucket)
  await using reader = ChainReader.open(other.log, chain, 2)
  const commit = await reader.next(signal)
  assert.ok(commit.bytes > 5_000_000)
  assertSameBatch((await reader.readBlock(commit, 0, signal))!, big)
  assertSameBatch((await reader.readBlock(commit, 2, signal))!, rows(0, 3))
  await using second = await openWriter(other)
  assert.deepEqual((await second.state(signal)).full, new Uint8Array(100).fill(9))
})

test('staged segments are invisible until named, and take their offsets then', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const staged = await writer.stage(
    [
      { kind: 'rows', topic: 'a', batch: rows(10, 4) },
      { kind: 'truncate', topic: 'a' },
      { kind: 'rows', topic: 'b', batch: rows(0, 2, otherSchema) },
    ],
    signal,
  )
  await writer.stage([{ kind: 'rows', topic: 'a', batch: rows(90, 4) }], signal)
  assert.equal(writer.head.topics.size, 0)
  await writer.commit(
    {
      entries: [
        { kind: 'rows', topic: 'a', batch: rows(0, 3) },
        { kind: 'staged', segment: staged },
        { kind: 'rows', topic: 'a', batch: rows(14, 1) },
      ],
    },
    signal,
  )
  const [commit] = await readFrom(await testLog(world.bucket), 2)
  assert.deepEqual(
    commit?.blocks.map(({ topic, baseOffset }) => [topic, baseOffset]),
    [
      ['a', 0],
      ['a', 3],
      ['a', 7],
      ['b', 0],
      ['a', 8],
    ],
  )
  await using reader = ChainReader.open(world.log, chain, 2)
  assertSameBatch((await reader.readBlock(commit!, 1, signal))!, rows(10, 4))
  await assert.rejects(
    writer.stage([{ kind: 'staged', segment: staged }], signal),
    failsWith('internal.bug'),
  )
})

test('commits that overlap are made in the order of the calls', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const commits = await Promise.all(
    [bulk(2000, 1000), rows(0, 1), bulk(500, 1000), rows(1, 1)].map((batch, i) =>
      writer.commit(
        { entries: [{ kind: 'rows', topic: `t${i}`, batch }], position: `${i}` },
        signal,
      ),
    ),
  )
  assert.deepEqual(
    commits.map(({ seq, position }) => [seq, position]),
    [
      [2, '0'],
      [3, '1'],
      [4, '2'],
      [5, '3'],
    ],
  )
})

test('an idle chain writes nothing; snapshots come with commits: 256, or a minute and 16', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const snapshots = (): number => world.operations.filter((op) => op.includes('/snap/')).length
  // The fence is a commit too.
  for (let i = 0; i < 254; i++) await writer.commit({ entries: [] }, signal)
  assert.equal(snapshots(), 0)
  await writer.commit({ entries: [] }, signal)
  assert.equal(snapshots(), 1)
  world.clock.nowMs += 3_600_000
  assert.equal(snapshots(), 1)
  for (let i = 0; i < 15; i++) await writer.commit({ entries: [] }, signal)
  assert.equal(snapshots(), 1)
  await writer.commit({ entries: [] }, signal)
  assert.equal(snapshots(), 2)
  // Taking over starts at the newest snapshot: no commit before it is read again.
  const taker = await testLog(world.bucket)
  await using second = await openWriter(taker)
  assert.equal(second.head.seq, writer.head.seq + 1)
  assert.ok(taker.operations.length < 15, taker.operations.join('\n'))
})

test('a snapshot that cannot be written holds up no commit, is told once, and is tried again', async () => {
  const world = await testLog()
  const problems: unknown[] = []
  await using writer = await ChainWriter.open(world.log, chain, {
    writer: 'w',
    signal,
    onSnapshotProblem: (problem) => problems.push(problem),
  })
  const { store } = world.log
  const create = store.create.bind(store)
  const denied = new SluiceError('store.denied', { message: 'no' })
  store.create = async (key, ...rest) => {
    if (key.includes('/snap/')) throw denied
    return create(key, ...rest)
  }
  for (let i = 0; i < 260; i++) await writer.commit({ entries: [] }, signal)
  assert.deepEqual(problems, [denied])
  store.create = create
  world.operations.length = 0
  await writer.commit({ entries: [] }, signal)
  assert.equal(world.operations.filter((operation) => operation.includes('/snap/')).length, 1)
})

test('invariant 4: who lost its epoch cannot commit, and says who took over', async () => {
  const world = await testLog()
  await using old = await openWriter(world, 'old')
  await using young = await openWriter(await testLog(world.bucket), 'young')
  assert.deepEqual([old.epoch, young.epoch], [1, 2])
  const fencedByYoung = failsWith('log.fenced', /taken over by young with epoch 2/)
  await assert.rejects(old.commit({ entries: [] }, signal), fencedByYoung)
  await young.commit({ entries: [], position: 'x' }, signal)
  await assert.rejects(old.commit({ entries: [] }, signal), fencedByYoung)
  assert.equal(young.head.position, 'x')
})

test('invariant 4: of writers that open at once each epoch goes to one', async () => {
  const world = await testLog()
  const logs = await Promise.all(Array.from({ length: 6 }, () => testLog(world.bucket)))
  const opened = await Promise.allSettled(logs.map((log, i) => openWriter(log, `w${i}`)))
  const epochs = opened.flatMap((o) => (o.status === 'fulfilled' ? [o.value.epoch] : []))
  assert.equal(new Set(epochs).size, epochs.length)
  assert.ok(epochs.length >= 1)
  for (const o of opened) if (o.status === 'rejected') assert.ok(failsWith('log.fenced')(o.reason))
})

test('invariant 1: answers lost after the write are found out; the commit is there once', async () => {
  const world = await testLog()
  const { log } = await testLog(world.bucket, { conflict: 0.2 })
  await using writer = await ChainWriter.open(log, chain, { writer: 'w', signal })
  let lost = 0
  const create = log.store.create.bind(log.store)
  log.store.create = async (...args) => {
    const outcome = await create(...args)
    // Half of the answers: some as an error, some as the `exists` that a repeated request gets.
    if (lost++ % 4 === 0) throw new SluiceError('store.unavailable', { message: 'reset' })
    return lost % 4 === 2 ? 'exists' : outcome
  }
  for (let i = 0; i < 40; i++) {
    const batch = rows(i, 1)
    const commit = await writer.commit({ entries: [{ kind: 'rows', topic: 'a', batch }] }, signal)
    assert.equal(commit.seq, i + 2)
  }
  const commits = await readFrom(world, 2)
  assert.deepEqual(
    commits.map((commit) => commit.blocks[0]?.baseOffset),
    [...commits.keys()],
  )
  assert.equal(commits.length, 40)
})

test('invariant 8: a store that stays away ends a commit after bounded attempts, outcome open', async () => {
  const world = await testLog()
  await using writer = await openWriter(world)
  const { store } = world.log
  const create = store.create.bind(store)
  const away = new SluiceError('store.unavailable', { message: 'away' })
  let requests = 0
  const get = store.get.bind(store)
  store.get = async () => {
    requests++
    throw away
  }
  store.create = async (...args) => {
    // The first request arrives, late and unanswered.
    if (requests++ === 0) await create(...args)
    throw away
  }
  const unresolved = failsWith('log.commit_unresolved', /c\/0{19}2 was written is not known/)
  await assert.rejects(writer.commit({ entries: [], position: 'p' }, signal), unresolved)
  assert.ok(requests <= 12, `${requests}`)
  store.get = get
  store.create = create
  await assert.rejects(writer.commit({ entries: [], position: 'q' }, signal), unresolved)
  await using next = await openWriter(world)
  assert.deepEqual([next.head.position, next.head.seq], ['p', 3])
})

test('a crash loop of takers-over leaves snapshots too, so that taking over stays quick', async () => {
  const world = await testLog()
  for (let i = 0; i < 300; i++) await openWriter(await testLog(world.bucket))
  const taker = await testLog(world.bucket)
  assert.equal((await openWriter(taker)).epoch, 301)
  assert.ok(taker.operations.length < 60, `${taker.operations.length}`)
})

test('when the outcome stays unknown the writer refuses all further work', async () => {
  const world = await testLog()
  const away = { on: false }
  const { log } = await testLog(world.bucket)
  const get = log.store.get.bind(log.store)
  const create = log.store.create.bind(log.store)
  log.store.get = async (...args) => {
    if (away.on) throw new Error('unreachable')
    return get(...args)
  }
  await using writer = await ChainWriter.open(log, chain, { writer: 'w', signal })
  const controller = new AbortController()
  log.store.create = async (key, bytes, signal) => {
    await create(key, bytes, signal)
    controller.abort(new Error('stopped'))
    throw controller.signal.reason
  }
  await assert.rejects(
    writer.commit({ entries: [], position: 'mine' }, controller.signal),
    /stopped/,
  )
  log.store.create = create
  await assert.rejects(writer.commit({ entries: [] }, signal), /stopped/)
  await using next = await openWriter(await testLog(world.bucket))
  assert.equal(next.head.position, 'mine', 'opening again settles what happened')
})
