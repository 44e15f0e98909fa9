/**
 * Every bit flip and every truncation of every kind of object is an error that names the object and
 * a byte: invariant 5 (nothing vanishes) rests on it. Each case is a new process on a damaged bucket.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSegment } from '../../../core/log/codec-commit.ts'
import { decodeHint, decodeSnapshot } from '../../../core/log/codec-snapshot.ts'
import { decodeBlockSync } from '../../../core/log/codec-block.ts'
import { checksum } from '../../../core/log/codec-object.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { commitKey, hintKey, snapshotKey } from '../../../core/log/keys.ts'
import { decodeFormat, openLog } from '../../../core/log/log.ts'
import { loadState } from '../../../core/log/state.ts'
import { loadChain } from '../../../core/log/load.ts'
import { ChainReader } from '../../../core/log/reader.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { MemoryBucket, MemoryStore } from '../../../core/store/memory.ts'
import { otherSchema, rows, schema, signal, testLog } from './support.ts'

const chain = 'c'

/** Commit 2 holds two blocks and a state, commit 3 names a segment, 18 commits make a snapshot. */
async function written(): Promise<MemoryBucket> {
  const { log, bucket, clock } = await testLog()
  const writer = await ChainWriter.open(log, chain, { writer: 'w', signal })
  await writer.commit(
    {
      entries: [
        { kind: 'rows', topic: 'a', batch: rows(0, 5) },
        { kind: 'rows', topic: 'b', batch: rows(0, 3, otherSchema) },
      ],
      position: '0/1',
      cursors: { other: 3 },
      notes: { plan: [1, 2] },
      state: { kind: 'full', bytes: new Uint8Array(50).map((_, i) => i * 7) },
    },
    signal,
  )
  const segment = await writer.stage([{ kind: 'rows', topic: 'a', batch: rows(5, 6) }], signal)
  await writer.commit({ entries: [{ kind: 'staged', segment }] }, signal)
  clock.nowMs += 100_000
  for (let i = 0; i < 15; i++) await writer.commit({ entries: [] }, signal)
  return bucket
}

/** Reads everything that a reader, a state's owner and a taker-over would. */
async function readAll(bucket: MemoryBucket): Promise<number> {
  const log = await openLog(new MemoryStore('damaged', bucket), { signal })
  await loadState(log, await loadChain(log, chain, signal), signal)
  await using reader = ChainReader.open(log, chain, 1)
  let count = 0
  for (let commit = await reader.tryNext(signal); commit !== null;) {
    for (let i = 0; i < commit.blocks.length; i++) {
      count += (await reader.readBlock(commit, i, signal))?.rows ?? 0
    }
    commit = await reader.tryNext(signal)
  }
  return count
}

function* damages(bytes: Uint8Array): Generator<readonly [string, Uint8Array]> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice()
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    yield [`bit ${bit}`, damaged]
  }
  for (let length = 0; length < bytes.length; length++) {
    yield [`cut to ${length}`, bytes.slice(0, length)]
  }
  yield ['one byte more', Uint8Array.from([...bytes, 0])]
}

function namesIt(error: unknown, key: string): boolean {
  if (!(error instanceof SluiceError)) return false
  return (
    error.code === 'log.corrupt' && error.message.includes(key) && /byte \d+/.test(error.message)
  )
}

test('an undamaged log is read to its end', async () => {
  assert.equal(await readAll(await written()), 14)
})

test('every bit flip and every truncation of a commit', async () => {
  const bucket = await written()
  const key = commitKey(chain, 2)
  const bytes = bucket.objects.get(key)!
  for (const [what, damaged] of damages(bytes)) {
    bucket.objects.set(key, damaged)
    const log = await openLog(new MemoryStore('damaged', bucket), { signal })
    await using reader = ChainReader.open(log, chain, 2)
    await assert.rejects(
      async () => {
        const commit = await reader.tryNext(signal)
        await reader.readBlock(commit!, 0, signal)
        await reader.readBlock(commit!, 1, signal)
        // Bits of the body that are in neither block are those of the state.
        await readAll(bucket)
        bucket.objects.delete(snapshotKey(chain, 17))
        bucket.objects.delete(hintKey(chain))
        await readAll(bucket)
      },
      (error) => namesIt(error, key),
      what,
    )
  }
})

test('every bit flip and every truncation of a snapshot and of a hint', async () => {
  const bucket = await written()
  const snapshot = [...bucket.objects.keys()].find((key) => key.includes('/snap/'))!
  const seq = Number(snapshot.slice(-20))
  for (const [what, bytes] of damages(bucket.objects.get(snapshot)!)) {
    const part = { key: snapshot, bytes, start: 0 }
    assert.throws(
      () => decodeSnapshot(part, chain, seq),
      (error) => namesIt(error, snapshot),
      what,
    )
  }
  const hint = hintKey(chain)
  for (const [what, bytes] of damages(bucket.objects.get(hint)!)) {
    const part = { key: hint, bytes, start: 0 }
    assert.throws(
      () => decodeHint(part, chain),
      (error) => namesIt(error, hint),
      what,
    )
  }
})

test('every bit flip and every truncation of a segment, read by itself and through its commit', async () => {
  const bucket = await written()
  const key = [...bucket.objects.keys()].find((name) => name.startsWith('seg/'))!
  const bytes = bucket.objects.get(key)!
  const alone = (part: Uint8Array): void => {
    const footer = openSegment({ key, bytes: part, start: 0 })
    for (const block of footer.blocks) {
      const body = part.subarray(block.byteStart, block.byteEnd)
      if (checksum(body) !== block.crc32c) {
        throw new SluiceError('log.corrupt', {
          message: `${key}, byte ${block.byteStart}: checksum`,
        })
      }
      decodeBlockSync(schema, body, { object: key, byte: block.byteStart })
    }
  }
  alone(bytes)
  const [block] = openSegment({ key, bytes, start: 0 }).blocks
  for (const [what, damaged] of damages(bytes)) {
    assert.throws(
      () => alone(damaged),
      (error) => namesIt(error, key),
      what,
    )
    const hurt = /^bit (\d+)$/.exec(what)
    const inBlock = hurt !== null && Number(hurt[1]) < block!.byteEnd * 8
    if (!inBlock) continue
    bucket.objects.set(key, damaged)
    await assert.rejects(readAll(bucket), (error) => namesIt(error, key), what)
  }
})

test('every bit flip and every truncation of format.json', async () => {
  const bytes = (await written()).objects.get('format.json')!
  decodeFormat(bytes, 'memory://x')
  for (const [what, damaged] of damages(bytes)) {
    assert.throws(
      () => decodeFormat(damaged, 'memory://x'),
      (error) => namesIt(error, 'format.json'),
      what,
    )
  }
})

test('objects that are whole but stand in the wrong place are refused', async () => {
  const bucket = await written()
  const put = (to: string, from: string): void => {
    bucket.objects.set(to, bucket.objects.get(from)!)
  }
  put(commitKey(chain, 2), commitKey(chain, 5))
  await assert.rejects(readAll(bucket), (error) => namesIt(error, commitKey(chain, 2)))
  const foreign = await written()
  foreign.objects.set(commitKey(chain, 6), (await written()).objects.get(commitKey(chain, 6))!)
  await assert.rejects(readAll(foreign), (error) => namesIt(error, commitKey(chain, 6)))
})
