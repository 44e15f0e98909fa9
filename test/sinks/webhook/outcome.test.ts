/** What each answer means. Every status has a meaning, and only 2xx counts as delivered (invariant 5). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SluiceError } from '../../../core/errors/error.ts'
import {
  outcomeOfAnswer,
  outcomeOfFailure,
  parseRetryAfter,
  retryAfterMsMax,
  type Outcome,
} from '../../../sinks/webhook/outcome.ts'

const nowMs = Date.UTC(2026, 0, 1)
const reject = new Set([400, 413, 422])

function of(status: number, retryAfter: string | null = null): Outcome {
  return outcomeOfAnswer({ status, retryAfter }, reject, nowMs)
}

function summary(outcome: Outcome): string {
  if (outcome.kind === 'stop') return `stop ${outcome.error.code} ${outcome.error.fault}`
  if (outcome.kind !== 'retry') return outcome.kind
  return `retry${outcome.charged ? ' charged' : ''}${outcome.throttle ? ' throttle' : ''}`
}

test('every status from 200 to 599', () => {
  const expected = new Map<string, number[]>()
  for (let status = 200; status < 600; status++) {
    const text = summary(of(status))
    expected.set(text, [...(expected.get(text) ?? []), status])
  }
  const { 'retry charged': others = [], ...special } = Object.fromEntries(expected)
  assert.deepEqual(special, {
    delivered: Array.from({ length: 100 }, (_, i) => 200 + i),
    rejected: [400, 413, 422],
    'stop sink.webhook.moved config': [301, 308],
    'stop sink.webhook.gone config': [410],
    'retry throttle': [429, 503],
    'retry charged throttle': [502, 504],
  })
  for (const status of [302, 303, 307, 401, 403, 404, 408, 409, 425, 500]) {
    assert.ok(others.includes(status), String(status))
  }
})

test('a status that the user calls a rejection is one; 2xx and 410 keep their meaning', () => {
  const own = new Set([404, 410])
  assert.equal(outcomeOfAnswer({ status: 404, retryAfter: null }, own, nowMs).kind, 'rejected')
  assert.equal(outcomeOfAnswer({ status: 410, retryAfter: null }, own, nowMs).kind, 'stop')
})

test('Retry-After: seconds, all three forms of a date, bounded, else nothing', () => {
  assert.equal(parseRetryAfter('120', nowMs), 120_000)
  assert.equal(parseRetryAfter(' 0 ', nowMs), 0)
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', nowMs), 30_000)
  assert.equal(parseRetryAfter('Thursday, 01-Jan-26 00:00:30 GMT', nowMs), 30_000)
  assert.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', nowMs), 0)
  assert.equal(parseRetryAfter('99999999999', nowMs), retryAfterMsMax)
  assert.equal(parseRetryAfter('Fri, 01 Jan 2100 00:00:00 GMT', nowMs), retryAfterMsMax)
  for (const text of [null, '', '-1', '1.5', 'soon', '1 January 2026', '2026-01-01', '0x10'])
    assert.equal(parseRetryAfter(text, nowMs), null, String(text))
})

test('Retry-After: whatever an endpoint writes, the wait is bounded (invariant 8)', () => {
  const wild = fc.oneof(
    fc.string(),
    fc.nat().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
  )
  fc.assert(
    fc.property(wild, (text) => {
      const ms = parseRetryAfter(text, nowMs)
      assert.ok(ms === null || (ms >= 0 && ms <= retryAfterMsMax), String(ms))
    }),
  )
})

test('Retry-After on any failure holds back the whole endpoint', () => {
  assert.equal(summary(of(500, '3')), 'retry charged throttle')
  const outcome = of(503, '3')
  assert.equal(outcome.kind === 'retry' && outcome.retryAfterMs, 3000)
})

test('failures without an answer: charged only when the event was sent', () => {
  const failure = (code: string, before: boolean): Outcome =>
    outcomeOfFailure({ error: Object.assign(new Error('x'), { code }), before })
  assert.equal(summary(failure('ECONNREFUSED', true)), 'retry')
  assert.equal(summary(failure('ENOTFOUND', true)), 'retry')
  assert.equal(summary(failure('UND_ERR_SOCKET', false)), 'retry charged')
  assert.equal(summary(failure('DEADLINE', false)), 'retry charged')
  const codeOf = (outcome: Outcome): string => (outcome.kind === 'retry' ? outcome.code : '')
  assert.equal(codeOf(failure('ECONNREFUSED', true)), 'sink.webhook.unreachable')
  assert.equal(codeOf(failure('CERT_HAS_EXPIRED', true)), 'sink.webhook.tls_failed')
  assert.equal(codeOf(failure('ERR_TLS_CERT_ALTNAME_INVALID', true)), 'sink.webhook.tls_failed')
  assert.equal(codeOf(failure('ECONNRESET', false)), 'sink.webhook.attempt_failed')
  const stop = outcomeOfFailure({
    error: new SluiceError('sink.webhook.address_refused', { message: 'x' }),
    before: true,
  })
  assert.equal(summary(stop), 'stop sink.webhook.address_refused config')
})
