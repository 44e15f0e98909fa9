/**
 * What a chunk has to wait for: a transaction whose commit the stream brought, and whose rows a snapshot
 * does not show yet, would be in neither (invariant 5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitLog } from '../../../connectors/postgres/commit-log.ts'
import { Visibility } from '../../../connectors/postgres/snapshot-filter.ts'

const snapshot = (xmin: number, xmax: number, ...xip: number[]): Visibility =>
  new Visibility({ xmin: String(xmin), xmax: String(xmax), xip: xip.map(String) })

test('a snapshot that lacks a transaction is not taken before that one is visible', () => {
  const commits = new CommitLog()
  commits.committed(10, 100n)
  commits.committed(12, 200n)
  assert.equal(commits.isShown(snapshot(11, 12), 100n), true)
  assert.equal(commits.isShown(snapshot(12, 14, 12), 200n), false)
  assert.equal(commits.isShown(snapshot(12, 14, 12), 199n), true)
  assert.equal(commits.isShown(snapshot(13, 15, 13), 200n), true)
})

test('transactions that commit in another order than they began are each asked about', () => {
  const commits = new CommitLog()
  commits.committed(20, 100n)
  commits.committed(15, 200n)
  assert.equal(commits.isShown(snapshot(15, 21, 15, 18), 100n), true)
  assert.equal(commits.isShown(snapshot(15, 21, 15, 18), 200n), false)
  // 18 began before that snapshot and ended after it.
  commits.committed(18, 300n)
  assert.equal(commits.isShown(snapshot(18, 25, 18), 300n), false)
  assert.equal(commits.isShown(snapshot(21, 25), 300n), true)
})

test('the ids go round after 2^32', () => {
  const commits = new CommitLog()
  const round = 2 ** 32
  commits.committed(round - 1, 100n)
  commits.committed(3, 200n)
  assert.equal(commits.isShown(snapshot(round - 1, round + 3, round - 1), 100n), false)
  assert.equal(commits.isShown(snapshot(round + 2, round + 3), 100n), true)
  assert.equal(commits.isShown(snapshot(round + 2, round + 3), 200n), false)
  assert.equal(commits.isShown(snapshot(round + 4, round + 5), 200n), true)
})
