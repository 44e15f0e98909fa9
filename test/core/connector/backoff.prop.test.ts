/** Backoff and durations: bounds that no attempt number, base or random draw may break (invariant 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { backoffMs, ceilingMs } from '../../../core/connector/backoff.ts'
import { durationOf, durationText, parseDuration } from '../../../core/connector/duration.ts'
import { parseSize, sizeOf, sizeText } from '../../../core/connector/size.ts'

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('a wait is a whole number below its ceiling, and the ceiling below maxMs (invariant 8)', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e9 }),
      fc.nat({ max: 1e6 }),
      fc.nat({ max: 1e9 }),
      unit,
      (attempt, baseMs, maxMs, draw) => {
        const wait = backoffMs(attempt, { baseMs, maxMs }, () => draw)
        assert.ok(Number.isSafeInteger(wait) && wait >= 0 && wait <= maxMs)
        assert.ok(wait <= ceilingMs(attempt, { baseMs, maxMs }))
      },
    ),
  )
})

test('the ceiling doubles until it meets maxMs', () => {
  const ceilings = [1, 2, 3, 4, 5].map((n) => ceilingMs(n, { baseMs: 100, maxMs: 1000 }))
  assert.deepEqual(ceilings, [100, 200, 400, 800, 1000])
  assert.equal(ceilingMs(5000, { baseMs: 0, maxMs: 1000 }), 0)
})

test('the whole interval is used, its start included (full jitter)', () => {
  assert.equal(
    backoffMs(3, { baseMs: 100, maxMs: 1000 }, () => 0),
    0,
  )
  assert.equal(
    backoffMs(3, { baseMs: 100, maxMs: 1000 }, () => 0.9999),
    399,
  )
})

test('durations and sizes: what is printed reads back as the same number', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 40 }), (n) => {
      assert.equal(parseDuration(durationOf(n)), n)
      assert.equal(parseSize(sizeOf(n)), n)
    }),
  )
})

test('durations and sizes: exact, or refused', () => {
  assert.equal(parseDuration('250ms'), 250)
  assert.equal(parseDuration('4.35s'), 4350)
  assert.equal(parseDuration('0.1s'), 100)
  assert.equal(parseDuration('1.5h'), 5_400_000)
  assert.equal(parseDuration('7d'), 604_800_000)
  assert.equal(parseSize('16MiB'), 16 * 2 ** 20)
  assert.equal(parseSize('64kB'), 64_000)
  assert.equal(parseSize('1.5KiB'), 1536)
  for (const text of ['', '5', ' 5s', '5 s', '-5s', '5S', '0.0001s', '1.s', '.5s', '5sec', '1e3s'])
    assert.equal(parseDuration(text), null, text)
  for (const text of ['', '5', '5K', '5kb', '0.5B', '-1B', '1.0001kB', '99999999999999GiB'])
    assert.equal(parseSize(text), null, text)
})

test('schemas: bounds and units in the message, numbers refused', () => {
  const timeout = durationText('Time limit.', { minMs: 1000, maxMs: 60_000 }).prefault('15s')
  assert.equal(timeout.parse(undefined), 15_000)
  assert.equal(timeout.parse('1m'), 60_000)
  assert.match(messageOf(timeout.safeParse('2m')), /from 1s to 1m/)
  assert.match(messageOf(timeout.safeParse(15)), /with its unit/)
  const size = sizeText('Size.', { maxBytes: 1000 })
  assert.equal(size.parse('1kB'), 1000)
  assert.match(messageOf(size.safeParse('1MiB')), /from 0B to 1kB/)
})

function messageOf(result: {
  error?: { issues: readonly { message: string }[] } | undefined
}): string {
  return result.error?.issues[0]?.message ?? ''
}
