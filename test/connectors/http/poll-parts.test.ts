/** The small parts of a poll: templates, links, limits, times, values that grow, positions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nextLink } from '../../../connectors/http/link-header.ts'
import { LineReader } from '../../../connectors/http/line-reader.ts'
import { limitWaitMs, retryAfterMs } from '../../../connectors/http/poll-pace.ts'
import { nextRunMs } from '../../../connectors/http/poll-schedule.ts'
import {
  fillBody,
  fillText,
  fillUrl,
  templateMistake,
} from '../../../connectors/http/poll-template.ts'
import { atOrAfter, formatPosition, parsePosition } from '../../../connectors/http/position.ts'
import { orderOf, restoredSince } from '../../../connectors/http/since.ts'

test('addresses: values are encoded, what is not there is left out', () => {
  const url =
    'https://h/a/{{ since }}?x=1&c={{cursor}}&both={{ page }}-{{ size }}&s={{ since }}#part'
  const values = { since: '2026-01-01 ü&/', cursor: null, page: '2', size: '50' }
  assert.equal(
    fillUrl(url, values, { more: 'a b', none: null }).href,
    'https://h/a/2026-01-01%20%C3%BC%26%2F?x=1&both=2-50&s=2026-01-01%20%C3%BC%26%2F&more=a%20b',
  )
  assert.equal(fillUrl('https://h', {}, {}).href, 'https://h/')
  assert.equal(fillUrl('https://h/x?c={{ cursor }}', {}, {}).href, 'https://h/x')
  // A value cannot climb out of its segment or begin a query.
  assert.equal(
    fillUrl('https://h/a/{{ cursor }}/b', { cursor: '../x?y#z' }, {}).pathname,
    '/a/..%2Fx%3Fy%23z/b',
  )
})

test('bodies: JSON keeps being JSON, forms keep being forms', () => {
  fc.assert(
    fc.property(fc.option(fc.string({ unit: 'grapheme' })), (cursor) => {
      const body = '{"q": "a\\"{{ cursor }}z", "c": {{ cursor }}, "l": [{{ size }}, "{{ size }}"]}'
      const filled = JSON.parse(fillBody(body, { cursor, size: '10' })) as Record<string, unknown>
      const isNumber = /^-?(0|[1-9]\d*)$/.test(cursor ?? '')
      assert.deepEqual(filled, {
        q: `a"${cursor ?? ''}z`,
        c: isNumber ? Number(cursor) : cursor,
        l: [10, '10'],
      })
    }),
  )
  assert.equal(fillBody('a={{ cursor }}&b=1', { cursor: 'x y&z' }), 'a=x%20y%26z&b=1')
  assert.equal(
    fillBody('{"n": {{ since }}}', { since: '9007199254740993' }),
    '{"n": 9007199254740993}',
  )
  assert.equal(fillText('W/{{ now.date }}', { 'now.date': '2026-01-01' }), 'W/2026-01-01')
  assert.match(templateMistake('x={{ curser }}') ?? '', /did you mean "cursor"/)
  assert.equal(templateMistake('{"a": {"b": {{ size }}}}'), null)
})

test('Link headers as servers write them', () => {
  for (const [header, next] of [
    ['<https://h/?page=2>; rel="next", <https://h/?page=9>; rel="last"', 'https://h/?page=2'],
    ['<https://h/?page=1>; rel="prev", </p?a=1,2;b>;rel=next', '/p?a=1,2;b'],
    ['<a>; rel="prev next"', 'a'],
    ['<a>; REL=NEXT', 'a'],
    ['<a>; title="x, <b>; rel=next"; rel=prev', null],
    ['<a>; title="\\"<b>; rel=next"; rel=next', 'a'],
    ['<a>; rel=prev; rel=next', null],
    ['<a>; hreflang; rel=next', 'a'],
    ['<a> , <b> ; rel = "next"', 'b'],
    ['', null],
    ['nonsense', null],
    ['<a', null],
  ] as const) {
    assert.equal(nextLink(header), next, header)
  }
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '>', ';', '"', ',', '\\', ' ', 'rel=next') }),
      (header) => {
        nextLink(header)
      },
    ),
  )
})

test('limits as servers say them', () => {
  const nowMs = 1_700_000_000_000
  for (const [headers, waitMs] of [
    [{ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1700000060' }, 60_000],
    [{ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '5' }, 5000],
    [{ 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '5' }, null],
    [{ 'ratelimit-remaining': '0', 'ratelimit-reset': '7' }, 7000],
    [{ ratelimit: 'limit=10, remaining=0, reset=9' }, 9000],
    [{ ratelimit: '"default";r=0;t=11' }, 11_000],
    [{ ratelimit: '"default";r=3;t=11' }, null],
    [{ 'x-ratelimit-remaining': '0' }, null],
    [{ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1600000000' }, 0],
    [{ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '200000000' }, 86_400_000],
    [{ 'x-ratelimit-remaining': 'many' }, null],
    [{}, null],
  ] as const) {
    assert.equal(limitWaitMs(headers, nowMs), waitMs, JSON.stringify(headers))
  }
  assert.equal(retryAfterMs('120', nowMs), 120_000)
  assert.equal(retryAfterMs(new Date(nowMs + 3000).toUTCString(), nowMs), 3000)
  assert.equal(retryAfterMs('soon', nowMs), null)
  assert.equal(retryAfterMs('999999999', nowMs), 86_400_000)
})

test('times of runs', () => {
  const at = (text: string): number => Date.parse(text)
  const daily = { cron: '0 6 * * *', timezone: 'Europe/Berlin' }
  // Summer time begins on 2026-03-29.
  assert.equal(nextRunMs(daily, undefined, at('2026-03-28T12:00:00Z')), at('2026-03-29T04:00:00Z'))
  assert.equal(
    nextRunMs(daily, at('2026-03-01T05:00:00Z'), at('2026-03-28T12:00:00Z')),
    at('2026-03-02T05:00:00Z'),
  )
  assert.equal(nextRunMs({ every: 1000, timezone: 'UTC' }, undefined, 5), 5)
  assert.equal(nextRunMs({ every: 1000, timezone: 'UTC' }, 100, 5000), 1100)
  // The clock was a day ahead when the last run began.
  assert.equal(nextRunMs({ every: 1000, timezone: 'UTC' }, 86_400_000, 5000), 6000)
  const later = at('2026-04-28T12:00:00Z')
  assert.equal(nextRunMs(daily, later, at('2026-03-28T12:00:00Z')), at('2026-03-29T04:00:00Z'))
})

test('values that grow are restored as they were, and written as asked', () => {
  const time = orderOf({ kind: 'timestamptz' })!
  const us = time.parse('2026-02-03T04:05:06.123456+01:00')!
  assert.equal(us, 1_770_087_906_123_000n)
  const exact = 1_770_087_906_123_456n
  assert.equal(restoredSince(time, String(exact)), exact)
  assert.equal(time.write(exact, 'iso'), '2026-02-03T03:05:06.123456Z')
  assert.equal(time.write(exact, 'ms'), '1770087906123')
  assert.equal(time.write(time.floor(exact, 's'), 's'), '1770087906')
  assert.equal(time.write(-1n, 's'), '-1')
  assert.equal(time.parse('yesterday'), null)
  assert.equal(orderOf({ kind: 'timestamp' })!.write(exact, 'iso'), '2026-02-03T03:05:06.123456')
  const date = orderOf({ kind: 'date' })!
  assert.equal(date.write(date.parse('2026-02-03')!, 'iso'), '2026-02-03')
  const big = orderOf({ kind: 'uint64' })!
  assert.equal(restoredSince(big, '18446744073709551615'), 18_446_744_073_709_551_615n)
  assert.equal(orderOf({ kind: 'json' }), null)
})

test('positions of several topics are a partial order', () => {
  const step = fc.nat(3)
  const place = fc.record({
    push: step,
    poll: fc.dictionary(fc.constantFrom('a', 'b', 'ü "}'), step),
  })
  const of = ({ push, poll }: { push: number; poll: Record<string, number> }) =>
    formatPosition({
      push,
      poll: Object.fromEntries(
        Object.entries(poll).map(([topic, step]) => [topic, { step, plan: 'p' }]),
      ),
    })
  fc.assert(
    fc.property(place, place, place, (x, y, z) => {
      const [a, b, c] = [of(x), of(y), of(z)]
      assert.ok(atOrAfter(a, a))
      if (atOrAfter(a, b) && atOrAfter(b, a)) assert.deepEqual(parsePosition(a), parsePosition(b))
      if (atOrAfter(a, b) && atOrAfter(b, c)) assert.ok(atOrAfter(a, c))
      const isLater =
        x.push >= y.push &&
        Object.entries(y.poll).every(([topic, step]) => (x.poll[topic] ?? -1) >= step)
      assert.equal(atOrAfter(a, b), isLater)
    }),
  )
  assert.throws(() => parsePosition('push:1 poll:{"a":{}}' as never), /is none/)
})

test('lines of every cut', () => {
  const bytes = Buffer.from('one\r\ntwo\n\nünf\rx')
  for (let cut = 0; cut <= bytes.length; cut++) {
    const lines: string[] = []
    const reader = new LineReader('t', 100, false)
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      reader.push(Buffer.from(piece), (line) => lines.push(line.toString()))
    }
    assert.deepEqual(lines, ['one\r', 'two', ''])
    assert.equal(reader.rest().toString(), 'ünf\rx')
  }
})
