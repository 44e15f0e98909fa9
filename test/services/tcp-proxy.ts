/**
 * A TCP proxy in front of a real server that breaks as networks do: cuts connections, stops passing bytes
 * without a word, adds latency, or sends somewhere else. What is in flight when it stops is kept.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Connections open now. */
  readonly open: number
  /** Resets every connection: neither side gets an end. */
  cut(): void
  /** Tells every client that the server has ended, and reads no more of what they say. */
  end(): void
  /** From now on no byte passes, in either direction, until `resume`. */
  stall(): void
  resume(): void
  /** Each chunk towards the client waits so long. */
  latencyMs: number
  /** Of what a server says on one connection so much arrives, and then nothing more. */
  passBytes: number
  /** Bytes that did not. */
  readonly withheldBytes: number
  /** Where new connections go. */
  target: number
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  let stalled = false
  const listener = createServer((client) => {
    const server = connect(proxy.target, '127.0.0.1')
    const pair = { client, server }
    pairs.add(pair)
    for (const socket of [client, server]) {
      socket.on('error', () => {})
      socket.once('close', () => {
        pairs.delete(pair)
        client.destroy()
        server.destroy()
      })
    }
    client.on('data', (bytes) => void pass(client, server, bytes, 0))
    let passed = 0
    server.on('data', (bytes) => {
      passed += bytes.length
      if (passed <= proxy.passBytes) void pass(server, client, bytes, proxy.latencyMs)
      else proxy.withheldBytes += bytes.length
    })
    if (stalled) pause(pair)
  })
  /** Chunks stay in order: the next is not read before this one is written. */
  async function pass(from: Socket, to: Socket, bytes: Buffer, waitMs: number): Promise<void> {
    from.pause()
    if (waitMs > 0) await sleep(waitMs)
    // A side that goes while the other still speaks is what this proxy is for, and no error of its own.
    if (!to.write(bytes)) {
      await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => {})
    }
    if (!stalled) from.resume()
  }
  const pause = ({ client, server }: Pair): void => {
    client.pause()
    server.pause()
  }
  const proxy = {
    port: 0,
    target,
    latencyMs: 0,
    passBytes: Infinity,
    withheldBytes: 0,
    get open() {
      return pairs.size
    },
    cut: () => {
      for (const { client, server } of pairs) {
        reset(client)
        reset(server)
      }
    },
    end: () => {
      for (const { client } of pairs) {
        client.removeAllListeners('data')
        client.pause()
        client.end()
      }
    },
    stall: () => {
      stalled = true
      for (const pair of pairs) pause(pair)
    },
    resume: () => {
      stalled = false
      for (const { client, server } of pairs) {
        client.resume()
        server.resume()
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const { client, server } of pairs) {
        client.destroy()
        server.destroy()
      }
      await new Promise((resolve) => listener.close(resolve))
    },
  }
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  proxy.port = (listener.address() as AddressInfo).port
  return proxy
}

/**
 * Not while the socket is shutting down, since its other side had ended: libuv refuses that
 * (uv_tcp_close_reset, EINVAL), and Node takes the handle for closed all the same. It stays open then, and
 * a process with such a handle never exits, but spins in Environment::CleanupHandles (Node 20 and 24).
 */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}
