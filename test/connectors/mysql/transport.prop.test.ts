/** Packets from bytes, however the network and the server cut them (invariants 5, 8, 9). */
import assert from 'node:assert/strict'
import { deflateSync } from 'node:zlib'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { packetReader, type PacketHandler } from '../../../connectors/mysql/binlog/packets.ts'
import { SluiceError } from '../../../core/errors/error.ts'

const fullPacketBytes = 0xff_ffff

/** The server's side: payloads as packets, counted from 1. */
function packetsOf(payloads: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = []
  let sequence = 1
  for (const payload of payloads) {
    for (let at = 0; ; at += fullPacketBytes) {
      const body = payload.subarray(at, at + fullPacketBytes)
      const header = Buffer.alloc(4)
      header.writeUIntLE(body.length, 0, 3)
      header[3] = sequence++ & 0xff
      parts.push(header, body)
      if (body.length < fullPacketBytes) break
    }
  }
  return Buffer.concat(parts)
}

/** Compressed frames of the given sizes; every third one is sent as it is, as servers do with small ones. */
function framesOf(bytes: Uint8Array, cuts: readonly number[]): Buffer {
  const frames = cut(bytes, cuts).map((part, i) => {
    const plain = i % 3 === 2
    const body = plain ? part : deflateSync(part)
    const header = Buffer.alloc(7)
    header.writeUIntLE(body.length, 0, 3)
    header[3] = i & 0xff
    header.writeUIntLE(plain ? 0 : part.length, 4, 3)
    return Buffer.concat([header, body])
  })
  return Buffer.concat(frames)
}

/** `bytes` in pieces of the sizes given, over and over. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + sizes[i % sizes.length]!)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

/** Keeps what it is given; stands still after each `pauseEvery`th payload. */
class Collector implements PacketHandler {
  readonly payloads: Buffer[] = []
  waiting = false
  readonly #pauseEvery: number
  constructor(pauseEvery: number) {
    this.#pauseEvery = pauseEvery
  }
  packet(source: Uint8Array, start: number, end: number): void {
    assert.equal(this.waiting, false, 'given a payload while standing still')
    this.payloads.push(Buffer.from(source.subarray(start, end)))
    this.waiting = this.payloads.length % this.#pauseEvery === 0
  }
}

function read(chunks: readonly Uint8Array[], compressed: boolean, pauseEvery = Infinity): Buffer[] {
  const collector = new Collector(pauseEvery)
  const packets = packetReader(collector, compressed)
  for (const chunk of chunks) {
    packets.give(chunk)
    while (!packets.run()) collector.waiting = false
  }
  return collector.payloads
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 200, max: 5000 }).map((length) => new Uint8Array(length).fill(length & 0xff)),
)
const payloads = fc.array(payload, { maxLength: 40 })
const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 4000 })),
  {
    minLength: 1,
    maxLength: 8,
  },
)

describe('packets', () => {
  it('come out whole and in order, wherever chunks end and whenever the reader stands still', () => {
    fc.assert(
      fc.property(payloads, sizes, fc.integer({ min: 1, max: 4 }), (sent, chunks, pause) => {
        const got = read(cut(packetsOf(sent), chunks), false, pause)
        assert.deepEqual(
          got,
          sent.map((one) => Buffer.from(one)),
        )
      }),
    )
  })

  it('come out of compressed frames, wherever those end', () => {
    fc.assert(
      fc.property(
        payloads,
        sizes,
        sizes,
        fc.integer({ min: 1, max: 4 }),
        (sent, frames, chunks, pause) => {
          const got = read(cut(framesOf(packetsOf(sent), frames), chunks), true, pause)
          assert.deepEqual(
            got,
            sent.map((one) => Buffer.from(one)),
          )
        },
      ),
    )
  })

  it('are joined where a payload takes several, also when its end is empty', () => {
    for (const length of [-1, 0, 1]
      .map((more) => fullPacketBytes + more)
      .concat(2 * fullPacketBytes)) {
      const large = new Uint8Array(length)
      for (let i = 0; i < length; i += 4093) large[i] = i
      const sent = [Uint8Array.of(1), large, Uint8Array.of(2)]
      for (const compressed of [false, true]) {
        const bytes = packetsOf(sent)
        const wire = compressed ? framesOf(bytes, [9_000_000]) : bytes
        const got = read(cut(wire, [65_536]), compressed)
        assert.equal(got.length, 3, `${length} bytes`)
        assert.ok(got[1]!.equals(large), `${length} bytes`)
        assert.deepEqual([got[0]![0], got[2]![0]], [1, 2])
      }
    }
  })

  it('that are lost or changed on their way are an error, never something else', () => {
    const bytes = packetsOf([Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4)])
    assert.throws(() => read([bytes.subarray(0, 6), bytes.subarray(11)], false), isProtocolError)
    const frame = framesOf(packetsOf([new Uint8Array(1000)]), [5000])
    for (let at = 7; at < frame.length; at++) {
      const changed = Buffer.from(frame)
      changed[at]! ^= 0x10
      let got: Buffer[] = []
      try {
        got = read([changed], true)
      } catch (error) {
        assert.ok(isProtocolError(error), String(error))
      }
      assert.ok(got.every((one) => one.length === 1000 && one.every((byte) => byte === 0)))
    }
    const longer = Buffer.from(frame)
    longer.writeUIntLE(1003, 4, 3)
    assert.throws(() => read([longer], true), isProtocolError)
    longer.writeUIntLE(1005, 4, 3)
    assert.throws(() => read([longer], true), isProtocolError)
  })
})

function isProtocolError(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'source.mysql.protocol'
}
