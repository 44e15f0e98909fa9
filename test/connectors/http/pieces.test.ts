/** Bytes in pieces cut anywhere: as they were, and in about as much memory as they are (invariant 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pieces } from '../../../connectors/http/pieces.ts'
import { collect } from './support.ts'

test('pieces of any sizes are what they were', () => {
  const pieces = new Pieces()
  assert.equal(pieces.take().length, 0)
  for (const sizes of [
    [1],
    [0, 5000, 0],
    [4096, 1, 4095],
    Array<number>(1000).fill(1),
    [3, 70_000],
  ]) {
    const all: Buffer[] = []
    // Small ones among large ones, whose order a mistake would show.
    for (let round = 0; round < 3; round++) {
      for (const size of sizes) all.push(Buffer.alloc(size, all.length % 251))
    }
    for (const piece of all) pieces.push(piece)
    assert.equal(pieces.bytes, Buffer.concat(all).length)
    assert.ok(pieces.take().equals(Buffer.concat(all)), String(sizes.length))
    assert.equal(pieces.bytes, 0)
  }
})

for (const [among, everyOther] of [
  ['', Infinity],
  [' among large ones', 255],
] as const) {
  test(`pieces of one byte${among} do not take two hundred each`, () => {
    const pieces = new Pieces()
    const count = 400_000
    const before = process.memoryUsage().arrayBuffers
    for (let at = 0; at < count; at++) {
      const size = at % everyOther === 254 ? 4096 : 1
      pieces.push(Buffer.from(new ArrayBuffer(Math.max(64, size)), 0, size).fill(at))
    }
    // What was put together is garbage, and only the memory of what is held is sure to be there.
    collect()
    const held = process.memoryUsage().arrayBuffers - before
    assert.ok(held < 1.2 * pieces.bytes + count, `${held} bytes for ${pieces.bytes}`)
  })
}
