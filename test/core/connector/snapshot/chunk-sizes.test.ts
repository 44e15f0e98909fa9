/** Chunks by what rows were measured to take: bounded in bytes, whatever a database guesses (invariant 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChunkSizes } from '../../../../core/connector/snapshot/chunk-sizes.ts'
import { SnapshotTableChanged } from '../../../../core/connector/snapshot/reader.ts'

const mebibyte = 1 << 20

test('a guess is trusted for a first, short chunk only', () => {
  const sizes = new ChunkSizes(mebibyte)
  assert.equal(sizes.rows('t', 1), 2000)
  assert.equal(sizes.rows('t', 0), 2000, 'no guess')
  assert.equal(sizes.rows('t', mebibyte / 8), 8)
  assert.equal(sizes.rows('t', 10 * mebibyte), 1, 'never none')
})

test('large rows make the next chunk shorter at once, small ones longer by and by', () => {
  const sizes = new ChunkSizes(mebibyte)
  sizes.measure('t', { rows: 100, bytes: 100 * 1024 })
  assert.equal(sizes.rows('t', 1), 1024)
  sizes.measure('t', { rows: 100, bytes: 100 * 4096 })
  assert.equal(sizes.rows('t', 1), 256)
  sizes.measure('t', { rows: 100, bytes: 100 })
  assert.equal(sizes.rows('t', 1), 512)
  sizes.measure('t', { rows: 0, bytes: 0 })
  assert.equal(sizes.rows('t', 1), 512, 'an empty chunk says nothing')
  assert.equal(sizes.rows('u', 1), 2000, 'nor does another table')
})

test('a chunk that grows out of all proportion is given up once, and then divided', () => {
  const sizes = new ChunkSizes(mebibyte)
  sizes.measure('t', { rows: 1000, bytes: 1000 })
  const read = { rows: 17, bytes: 17 * mebibyte }
  sizes.check('t', { rows: 16, bytes: 16 * mebibyte })
  assert.throws(() => sizes.check('t', read), SnapshotTableChanged)
  assert.equal(sizes.rows('t', 1), 1)
  // Rows cannot be divided: what is known to be so large is read.
  sizes.check('t', read)
})
