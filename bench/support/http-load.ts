/**
 * Load on an HTTP server from a process of its own, so that client and server do not share a loop: `lanes`
 * connections, each with one request under way, over bare sockets, because a client library costs more than
 * the server that is measured.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'

export interface Load {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent in turns. */
  readonly bodies: readonly string[]
  readonly lanes: number
  readonly seconds: number
  /** Requests a second, spread evenly; null = as many as are answered. */
  readonly rate: number | null
}

/** Of what is answered after the first moments, in which the load is slowed down by itself. */
export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Answers other than 2xx. */
  readonly refused: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Until the client's code is compiled. */
const warmUpMs = 500

/** Runs the load in a child process. */
export async function loadFrom(load: Load): Promise<LoadResult> {
  const child = fork(fileURLToPath(import.meta.url), [], { stdio: ['ignore', 2, 2, 'ipc'] })
  const result = once(child, 'message') as Promise<[LoadResult]>
  const exit = once(child, 'exit').then(() => {
    throw new Error('the load generator ended without a result')
  })
  child.send(load)
  const [answer] = await Promise.race([result, exit])
  exit.catch(() => {})
  child.disconnect()
  return answer
}

async function run(load: Load): Promise<LoadResult> {
  const requests = load.bodies.map((body) => requestBytes(load, body))
  const latenciesMs: number[] = []
  let refused = 0
  let sent = 0
  // Before the clock starts: requests that are due while hundreds of connections are made would be late.
  const sockets = await Promise.all(Array.from({ length: load.lanes }, () => connectTo(load)))
  const startMs = performance.now()
  const countFromMs = startMs + warmUpMs
  const endMs = countFromMs + load.seconds * 1000
  const lane = async (socket: Socket): Promise<void> => {
    const answers = new Answers(socket)
    for (;;) {
      const number = sent++
      // Latency counts from when the request was due: a server that stalls must not slow down its own judge.
      let dueMs = performance.now()
      if (load.rate !== null) {
        dueMs = startMs + (number * 1000) / load.rate
        const waitMs = dueMs - performance.now()
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(waitMs)))
      }
      if (performance.now() >= endMs || dueMs >= endMs) break
      socket.write(requests[number % requests.length]!)
      const status = await answers.next()
      if (status < 200 || status > 299) refused++
      const nowMs = performance.now()
      if (nowMs >= countFromMs) latenciesMs.push(nowMs - dueMs)
    }
  }
  await Promise.all(sockets.map(lane))
  const seconds = (performance.now() - countFromMs) / 1000
  for (const socket of sockets) socket.destroy()
  const sorted = Float64Array.from(latenciesMs).toSorted()
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
  return {
    requests: sorted.length,
    perSecond: sorted.length / seconds,
    refused,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}

async function connectTo({ port, host }: Load): Promise<Socket> {
  const socket = connect(port, host)
  socket.setNoDelay(true)
  await once(socket, 'connect')
  return socket
}

function requestBytes({ host, path, headers }: Load, body: string): Buffer {
  const lines = Object.entries({
    host,
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

/** The statuses of the answers on one connection, each with a Content-Length. */
class Answers {
  #text = ''
  #waiting: ((status: number) => void) | null = null
  #fail: ((error: Error) => void) | null = null

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1')
      this.#look()
    })
    const lost = (error?: Error): void => this.#fail?.(error ?? new Error('connection closed'))
    socket.on('error', lost)
    socket.on('close', () => lost())
  }

  next(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting = resolve
      this.#fail = reject
      this.#look()
    })
  }

  #look(): void {
    const head = this.#text.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.#text.slice(0, head))?.[1] ?? 0)
    const end = head + 4 + length
    if (this.#text.length < end) return
    const status = Number(this.#text.slice(9, 12))
    this.#text = this.#text.slice(end)
    this.#waiting?.(status)
  }
}

if (import.meta.main) {
  process.once('message', (load) => {
    void run(load as Load).then((result) => process.send?.(result))
  })
}
