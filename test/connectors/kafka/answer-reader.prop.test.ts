/**
 * A broker's answers off a socket, whatever pieces they come in. Attacks invariant 5 (nothing vanishes, nothing is
 * mixed up), and that what no broker sends is refused instead of waited for.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { AnswerMemory } from '../../../connectors/kafka/answer-memory.ts'
import { AnswerReader } from '../../../connectors/kafka/answer-reader.ts'

function reading(isPlain: boolean): {
  readonly answers: Buffer[]
  readonly refused: string[]
  readonly reuse: (answer: Buffer) => void
  readonly feed: (bytes: Uint8Array, most: number) => void
} {
  const answers: Buffer[] = []
  const refused: string[] = []
  const reader = new AnswerReader({
    isPlain,
    take: (answer) => answers.push(answer),
    refuse: ({ message }) => refused.push(message),
  })
  const { onread } = reader
  const reuse = (answer: Buffer): void => reader.reuse(answer.buffer as ArrayBuffer)
  // As a socket does: never more than there is room for, and the next place is asked for behind each piece.
  const feed = (bytes: Uint8Array, most: number): void => {
    for (let at = 0; at < bytes.length && refused.length === 0;) {
      const into = onread.buffer()
      assert.ok(into.length > 0)
      const piece = bytes.subarray(at, at + Math.min(most, into.length))
      into.set(piece)
      assert.equal(onread.callback(piece.length), true)
      at += piece.length
    }
  }
  return { answers, refused, reuse, feed }
}

function framed(body: Uint8Array): Buffer {
  const head = Buffer.alloc(4)
  head.writeInt32BE(body.length)
  return Buffer.concat([head, body])
}

const bodies = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    // Around the room for what is small, and far beyond it.
    fc.integer({ min: 16_370, max: 16_400 }).map((length) => new Uint8Array(length).fill(7)),
    fc.integer({ min: 16_401, max: 200_000 }).map((length) => new Uint8Array(length).fill(9)),
  ),
  { maxLength: 12 },
)
const pieces = fc.array(
  fc.oneof(fc.constantFrom(1, 3, 4, 5), fc.integer({ min: 6, max: 90_000 })),
  {
    minLength: 1,
    maxLength: 8,
  },
)

it('every answer comes whole and once, in whatever pieces', () => {
  fc.assert(
    fc.property(bodies, pieces, fc.nat(400_000), (parts, sizes, cut) => {
      const sent = parts.map(framed)
      const all = Buffer.concat(sent)
      const { answers, refused, feed } = reading(false)
      let at = 0
      for (let turn = 0; at < all.length; turn++) {
        const size = sizes[turn % sizes.length]!
        // One byte at a time through something large proves no more than some of them do.
        const most = size < 6 && turn > 200 ? 60_000 : size
        feed(all.subarray(at, at + most), Math.max(1, Math.min(most, cut)))
        at += most
      }
      assert.deepEqual(refused, [])
      assert.equal(answers.length, sent.length)
      for (const [i, answer] of answers.entries()) assert.ok(answer.equals(sent[i]!))
      // Each in memory of its own.
      assert.equal(new Set(answers.map(({ buffer }) => buffer)).size, answers.length)
    }),
    { numRuns: 150 },
  )
})

it('memory that was given back is used again, and nothing of before is seen in it', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 1_500_000 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(lengths, fc.nat(3), (parts, behind) => {
      const { answers, reuse, feed } = reading(false)
      for (const [i, length] of parts.entries()) {
        feed(framed(new Uint8Array(length).fill(i + 1)), 70_000)
        const answer = answers[i]!
        assert.equal(answer.length, length + 4)
        assert.ok(answer.subarray(4).every((byte) => byte === i + 1))
        const done = answers[i - behind]
        if (done === undefined) continue
        reuse(done)
        assert.equal(done.length, 0)
      }
      // Those that are still looked at are as they were.
      for (const [i, answer] of answers.entries()) {
        if (i > parts.length - 1 - behind) assert.ok(answer.subarray(4).every((b) => b === i + 1))
      }
    }),
    { numRuns: 40 },
  )
})

it('refuses what no broker says', () => {
  const alert = Buffer.from([0x15, 3, 3, 0, 2, 2, 80])
  const plain = reading(true)
  plain.feed(alert, 100)
  assert.deepEqual(plain.refused, ['the broker requires TLS on this port'])
  for (const bytes of [Buffer.from('HTTP/1.1 400 Bad Request\r\n'), Buffer.alloc(8, 0xff)]) {
    const { answers, refused, feed } = reading(true)
    feed(bytes, 100)
    assert.deepEqual([answers.length, refused], [0, ['this is no answer of a broker']])
  }
  // Later on, the same bytes may be the length of an answer.
  const later = reading(true)
  later.feed(Buffer.concat([framed(Buffer.from('hello')), alert.subarray(0, 4)]), 100)
  assert.deepEqual([later.answers.length, later.refused], [1, []])
})

it('memory is given back by the last who used it, and not before', () => {
  const bytes = new ArrayBuffer(100)
  const back: ArrayBuffer[] = []
  const memory = new AnswerMemory(bytes, 2, (given) => back.push(given))
  memory.release()
  assert.deepEqual(back, [])
  memory.release()
  assert.deepEqual(back, [bytes])
})
