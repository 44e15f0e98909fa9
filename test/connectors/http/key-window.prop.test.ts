/** The window of idempotency keys against a plain map, through growing, expiring and running full (invariant 8). */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyWindow } from '../../../connectors/http/key-window.ts'

const keyOf = (name: number): Buffer => hash('sha256', String(name), 'buffer').subarray(0, 16)
/** Keys whose first words are the same: all in one place of the table. */
const clashing = (name: number): Buffer => {
  const key = Buffer.alloc(16)
  key.writeUInt32LE(name, 12)
  return key
}

for (const [kind, make] of [
  ['hashes', keyOf],
  ['keys that clash', clashing],
] as const) {
  test(`is a map of the keys of the window: ${kind}`, () => {
    const step = fc.record({ key: fc.nat({ max: 60 }), waitMs: fc.nat({ max: 40 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const window = new KeyWindow(500, 1_000_000)
        const model = new Map<number, number>()
        let nowMs = 1e12
        for (const { key, waitMs } of steps) {
          nowMs += waitMs
          for (const [name, atMs] of model) if (atMs <= nowMs - 500) model.delete(name)
          assert.equal(window.has(make(key), nowMs), model.has(key))
          window.add(make(key), nowMs)
          if (!model.has(key)) model.set(key, nowMs)
          assert.ok(window.has(make(key), nowMs))
        }
        for (let name = 0; name <= 60; name++) {
          assert.equal(window.has(make(name), nowMs), model.has(name), String(name))
        }
      }),
      { numRuns: 200 },
    )
  })
}

test('grows to its bound, then forgets the oldest and says so', () => {
  const window = new KeyWindow(1e9, 5000)
  for (let name = 0; name < 12_000; name++) window.add(keyOf(name), name)
  assert.equal(window.size, 5000)
  assert.equal(window.forgotten, 7000)
  for (let name = 0; name < 12_000; name += 7) {
    assert.equal(window.has(keyOf(name), 12_000), name >= 7000, String(name))
  }
})

test('what is older than the window takes no room', () => {
  const window = new KeyWindow(1000, 1_000_000)
  for (let name = 0; name < 20_000; name++) window.add(keyOf(name), name)
  assert.equal(window.size, 1000)
  assert.equal(window.forgotten, 0)
})
