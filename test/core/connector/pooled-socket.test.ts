/**
 * Memory that is read into again: what a reader was given does not change until it takes the next bytes,
 * whatever sizes the reads have, and every byte comes once and in order, also where the stream's own
 * listeners read before and after. Attacks invariants 5 and 8.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../../core/connector/context.ts'
import { LazySocket } from '../../../core/connector/lazy-socket.ts'
import { PooledSocket } from '../../../core/connector/pooled-socket.ts'

/** The byte at `place` of what the server sends. */
function byteAt(place: number): number {
  return (place * 31 + (place >> 8) * 7 + (place >> 16)) & 0xff
}

function bytesFrom(place: number, length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => byteAt(place + i)))
}

async function connected(): Promise<{ server: Server; far: Socket; near: PooledSocket }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = new PooledSocket()
  const accepted = once(server, 'connection')
  near.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await accepted) as [Socket]
  if (near.connecting) await once(near, 'connect')
  return { server, far, near }
}

function close({ server, far, near }: { server: Server; far: Socket; near: PooledSocket }): void {
  near.destroy()
  far.destroy()
  server.close()
}

test('bytes come once, in order and unchanged until the next are taken', async () => {
  const ends = await connected()
  const total = 8 << 20
  const sizes = [3, 100_000, 700, 65_536, 1, 20_000, 5000, 300_000, 16_384, 16_385]
  const sending = (async () => {
    for (let sent = 0, i = 0; sent < total; i++) {
      const piece = bytesFrom(sent, Math.min(sizes[i % sizes.length]!, total - sent))
      sent += piece.length
      if (!ends.far.write(piece)) await once(ends.far, 'drain')
      if (i % 7 === 0) await sleep(1)
    }
    ends.far.end()
  })()
  const socket = new LazySocket(ends.near, systemClock)
  let place = 0
  for (let taken = 0; place < total;) {
    const chunk = socket.take()
    if (chunk === null) {
      await socket.wait()
      continue
    }
    // Meanwhile the socket reads on, into other memory than this.
    if (++taken % 16 === 0) await sleep(3)
    const wanted = bytesFrom(place, chunk.length)
    assert.ok(wanted.equals(chunk), `the chunk at ${place} has other bytes`)
    place += chunk.length
  }
  await sending
  await assert.rejects(async () => {
    for (;;) {
      socket.take()
      await socket.wait()
    }
  }, /closed/)
  close(ends)
})

test('the stream’s own listeners read before and after', async () => {
  const ends = await connected()
  const { near, far } = ends
  const listened: Buffer[] = []
  const listener = (chunk: Buffer): void => void listened.push(chunk)
  const total = (): number => listened.reduce((sum, { length }) => sum + length, 0)
  near.on('data', listener)
  far.write(bytesFrom(0, 200_000))
  while (total() < 200_000) await once(near, 'data')
  near.off('data', listener)

  const socket = new LazySocket(near, systemClock)
  far.write(bytesFrom(200_000, 200_000))
  for (let place = 200_000; place < 400_000;) {
    const chunk = socket.take()
    if (chunk === null) await socket.wait()
    else {
      assert.ok(bytesFrom(place, chunk.length).equals(chunk), `the chunk at ${place}`)
      place += chunk.length
    }
  }
  socket.release()

  near.on('data', listener)
  near.resume()
  far.write(bytesFrom(400_000, 100_000))
  while (total() < 300_000) await once(near, 'data')
  // Kept by whoever listens: a driver may put packets together from many chunks.
  const kept = Buffer.concat(listened)
  assert.ok(kept.subarray(0, 200_000).equals(bytesFrom(0, 200_000)))
  assert.ok(kept.subarray(200_000).equals(bytesFrom(400_000, 100_000)))
  close(ends)
})
