/** CircuitBreaker and Semaphore: who may go, and when. Every wait is bounded and abortable (invariant 8). */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CircuitBreaker } from '../../../core/connector/circuit-breaker.ts'
import { Semaphore } from '../../../core/connector/semaphore.ts'

function breaker(): { readonly circuit: CircuitBreaker; readonly clock: { nowMs: number } } {
  const clock = { nowMs: 1_000_000 }
  const circuit = new CircuitBreaker({
    failuresMax: 3,
    open: { baseMs: 1000, maxMs: 3000 },
    nowMs: () => clock.nowMs,
  })
  return { circuit, clock }
}

function fail(circuit: CircuitBreaker, times = 1): void {
  for (let i = 0; i < times; i++) circuit.failure(circuit.generation)
}

test('opens after failures in a row only', () => {
  const { circuit } = breaker()
  fail(circuit, 2)
  circuit.success()
  fail(circuit, 2)
  assert.equal(circuit.state, 'closed')
  fail(circuit)
  assert.equal(circuit.state, 'open')
  assert.equal(circuit.admit(), 1000)
})

test('half-open lets one probe through; its failure doubles the wait up to the bound', () => {
  const { circuit, clock } = breaker()
  fail(circuit, 3)
  const waits: number[] = []
  for (let round = 0; round < 4; round++) {
    const waitMs = circuit.admit()
    waits.push(waitMs)
    clock.nowMs += waitMs
    assert.equal(circuit.state, 'half-open')
    assert.equal(circuit.admit(), 0)
    assert.equal(circuit.admit(), Infinity)
    fail(circuit)
  }
  assert.deepEqual(waits, [1000, 2000, 3000, 3000])
})

test('a probe that succeeds closes it, and the next opening starts from the base again', () => {
  const { circuit, clock } = breaker()
  fail(circuit, 3)
  clock.nowMs += 1000
  assert.equal(circuit.admit(), 0)
  circuit.success()
  assert.equal(circuit.state, 'closed')
  fail(circuit, 3)
  assert.equal(circuit.waitMs, 1000)
})

test('a probe that was given up leaves its place to another', () => {
  const { circuit, clock } = breaker()
  fail(circuit, 3)
  clock.nowMs += 1000
  const { generation } = circuit
  assert.equal(circuit.admit(), 0)
  circuit.cancel(generation)
  assert.equal(circuit.admit(), 0)
})

test('an attempt from before the opening is not the probe', () => {
  const { circuit, clock } = breaker()
  const before = circuit.generation
  fail(circuit, 3)
  clock.nowMs += 1000
  assert.equal(circuit.admit(), 0)
  circuit.failure(before)
  circuit.cancel(before)
  assert.equal(circuit.admit(), Infinity)
})

test('semaphore: never more holders than slots, first come first served', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat({ max: 3 }), { maxLength: 40 }),
      async (slots, pauses) => {
        const semaphore = new Semaphore(slots)
        const { signal } = new AbortController()
        const served: number[] = []
        let holders = 0
        await Promise.all(
          pauses.map(async (turns, index) => {
            await semaphore.acquire(signal)
            served.push(index)
            assert.ok(++holders <= slots)
            for (let i = 0; i < turns; i++) await Promise.resolve()
            holders--
            semaphore.release()
          }),
        )
        assert.deepEqual(
          served,
          pauses.map((_, index) => index),
        )
        assert.equal(semaphore.held, 0)
      },
    ),
  )
})

test('semaphore: an aborted waiter leaves the queue and holds nothing', async () => {
  const semaphore = new Semaphore(1)
  const never = new AbortController().signal
  await semaphore.acquire(never)
  const gone = new AbortController()
  const first = semaphore.acquire(gone.signal)
  const second = semaphore.acquire(never)
  gone.abort(new Error('stop'))
  await assert.rejects(first, /stop/)
  semaphore.release()
  await second
  assert.equal(semaphore.held, 1)
  await assert.rejects(semaphore.acquire(gone.signal), /stop/)
  semaphore.release()
  assert.throws(() => semaphore.release(), RangeError)
})

test('semaphore: one signal ends all its waiters, another its own, and no listener is left', async () => {
  const semaphore = new Semaphore(1)
  const never = new AbortController().signal
  await semaphore.acquire(never)
  const stop = new AbortController()
  const gone = [1, 2, 3].map(() => semaphore.acquire(stop.signal))
  const served = semaphore.acquire(never)
  stop.abort(new Error('stop'))
  for (const wait of gone) await assert.rejects(wait, /stop/)
  semaphore.release()
  await served
  assert.deepEqual([getEventListeners(never, 'abort').length, semaphore.held], [0, 1])
})

test('semaphore: fewer slots take effect as slots are given back, more at once', async () => {
  const semaphore = new Semaphore(2)
  const { signal } = new AbortController()
  await semaphore.acquire(signal)
  await semaphore.acquire(signal)
  semaphore.slots = 1
  let served = false
  const third = semaphore.acquire(signal).then(() => (served = true))
  semaphore.release()
  await Promise.resolve()
  assert.equal(served, false)
  semaphore.slots = 2
  await third
  assert.equal(semaphore.held, 2)
})
