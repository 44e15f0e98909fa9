/** Server-sent events in pieces cut anywhere, against events as they were written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SseReader } from '../../../connectors/http/sse.ts'

interface Seen {
  readonly type: string
  readonly data: string
  readonly id: string | null
}

function read(
  pieces: readonly Buffer[],
  lastId: string | null = null,
): { events: Seen[]; reader: SseReader } {
  const reader = new SseReader('t', 1 << 20, lastId)
  const events: Seen[] = []
  for (const piece of pieces) {
    // What was read before has to be kept by itself: a socket's memory is used again.
    const copy = Buffer.from(piece)
    reader.push(copy, ({ type, data, id }) => events.push({ type, data: data.toString(), id }))
    copy.fill(0x21)
  }
  return { events, reader }
}

const stream = Buffer.from(
  '\ufeff:hello\r\nretry: 1500\r\rid: 1\ndata: {"a":1}\n\ndata:x\r\ndata\r\ndata:  y\r\n\r\n' +
    'event: gone\rdata: ü🎈\rid\r\rid: 7\n\nevent: lost\n\nretry: 1x\nfoo: bar\nid: a\0b\ndata: z\n\ndata: cut off\n',
)
const expected: readonly Seen[] = [
  { type: 'message', data: '{"a":1}', id: '1' },
  { type: 'message', data: 'x\n\n y', id: '1' },
  { type: 'gone', data: 'ü🎈', id: null },
  { type: 'message', data: 'z', id: '7' },
]

test('every pair of cuts of a stream with all there is gives the same events', () => {
  for (let a = 0; a <= stream.length; a++) {
    for (let b = a; b <= stream.length; b += 3) {
      const { events, reader } = read([
        stream.subarray(0, a),
        stream.subarray(a, b),
        stream.subarray(b),
      ])
      assert.deepEqual(events, expected, `cut at ${a} and ${b}`)
      assert.equal(reader.retryMs, 1500)
      assert.equal(reader.lastId, '7')
    }
  }
  const bytes = Array.from(stream, (byte) => Buffer.of(byte))
  assert.deepEqual(read(bytes).events, expected)
})

test('random events with random line ends and cuts are what was written', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', ':', ' ', 'ü', '\n', '🎈', '{'),
    maxLength: 12,
  })
  const event = fc.record({
    data: text,
    id: fc.option(
      fc
        .string({ unit: fc.constantFrom('1', 'x', ' '), minLength: 1 })
        .filter((id) => !id.startsWith(' ')),
    ),
    type: fc.constantFrom('message', 'tick', 'a b'),
    end: fc.constantFrom('\n', '\r', '\r\n'),
    comment: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 6 }), fc.array(fc.nat(400)), (events, cuts) => {
      let written = ''
      for (const { data, id, type, end, comment } of events) {
        if (comment) written += `: ${type}${end}`
        if (id !== null) written += `id: ${id}${end}`
        if (type !== 'message') written += `event: ${type}${end}`
        for (const line of data.split('\n')) written += `data: ${line}${end}`
        written += end
      }
      const bytes = Buffer.from(written)
      const places = [
        0,
        ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b),
        bytes.length,
      ]
      const pieces = places.slice(1).map((place, at) => bytes.subarray(places[at], place))
      let last: string | null = 'before'
      const wanted = events.map(({ type, data, id }) => ({ type, data, id: (last = id ?? last) }))
      assert.deepEqual(read(pieces, 'before').events, wanted)
    }),
    { numRuns: 2000 },
  )
})
