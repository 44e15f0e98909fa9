/**
 * kill -9 under load, at random times and at each durable step: what got a 2xx is in the log exactly once,
 * and nothing is there twice, by senders that repeat with the same key (invariants 1, 2, 5, 6).
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog } from '../../../core/log/log.ts'
import { openStore } from '../../../core/store/open.ts'
import { freePort, tempDir, waitFor } from '../../support/env.ts'
import { seeded } from '../../support/random.ts'
import { rowsOf } from './support.ts'

const root = resolve(import.meta.dirname, '../../..')
/**
 * With how often each is passed at most before the process is killed there: the fence is passed once in a
 * life. Snapshots of the chain come after a thousand commits, and are killed where the log is tested.
 */
const failpoints = [
  ['log.commit.before_create', 6],
  ['log.commit.after_create', 6],
  ['log.fence.after_create', 1],
  ['ingest.after_commit', 6],
  ['ingest.after_ack', 6],
] as const
const lanes = 16

const yaml = (port: number): string => `
version: 1
name: p
log: { url: file://./log }
server: { port: ${port} }
sources:
  web:
    type: http
    push:
      one: { path: /one, auth: none, schema: { id: int64, note: text }, idempotency: { from: header.k } }
      many: { path: /many, auth: none, schema: { id: int64 }, idempotency: { from: field.id } }
`

/** Sends numbered requests, each until it is answered 2xx. */
class Senders {
  /** Ids that were answered 2xx, by topic. */
  readonly taken = { one: [] as number[], many: [] as number[] }
  repeated = 0
  /** The test failed: nobody will answer any more. */
  isOver = false
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: lanes })
  #next = 0

  constructor(port: number) {
    this.#port = port
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: lanes }, () => this.#lane(signal)))
    this.#agent.destroy()
  }

  async #lane(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const number = this.#next++
      if (number % 3 > 0) {
        const body = `{"id":${number},"note":"${'x'.repeat(100)}"}`
        await this.#untilTaken('/one', body, { k: `key-${number}` })
        this.taken.one.push(number)
        continue
      }
      // Overlaps with what others send: of each id only one may stay.
      const ids = [0, 1, 2, 3].map((at) => number + at)
      await this.#untilTaken('/many', JSON.stringify(ids.map((id) => ({ id }))), {})
      this.taken.many.push(...ids)
    }
  }

  async #untilTaken(path: string, body: string, headers: Record<string, string>): Promise<void> {
    for (;;) {
      const status = await this.#send(path, body, headers)
      if (status === 200) return
      assert.ok(status === 0 || status === 503, `${path}: ${status}`)
      if (this.isOver) throw new Error('the test is over')
      this.repeated++
      await sleep(20)
    }
  }

  #send(path: string, body: string, headers: Record<string, string>): Promise<number> {
    return new Promise((answered) => {
      const options = {
        host: '127.0.0.1',
        port: this.#port,
        path,
        method: 'POST',
        headers,
        agent: this.#agent,
      }
      const asked = request(options, (response) => {
        response.on('error', () => answered(0))
        response.on('end', () => answered(response.statusCode ?? 0))
        response.resume()
      })
      asked.on('error', () => answered(0))
      asked.end(body)
    })
  }
}

function start(
  folder: string,
  points: string,
): { readonly child: ChildProcess; readonly said: () => string } {
  const words = [join(root, 'bin/sluice.ts'), 'run', 'pipeline.yaml', '--plain', '--port', '0']
  const env = { ...process.env, SLUICE_FAILPOINTS: points }
  const child = spawn(process.execPath, words, {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)))
  }
  return { child, said: () => said }
}

test('kill -9 eight times under load, once at each durable step', async (t) => {
  using dir = tempDir('http-crash')
  const port = await freePort()
  writeFileSync(join(dir.path, 'pipeline.yaml'), yaml(port))
  const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)
  t.diagnostic(`SEED=${seed}`)
  const random = seeded(seed)
  const stop = new AbortController()
  const senders = new Senders(port)
  const sending = senders.run(stop.signal)
  sending.catch(() => {})
  t.after(() => {
    senders.isOver = true
    stop.abort()
  })
  for (let kill = 0; kill < 8; kill++) {
    const [point, most] = failpoints[kill] ?? [null, 0]
    const points = point === null ? '' : `${point}=${1 + random.int(most)}`
    const { child, said } = start(dir.path, points)
    const exited = once(child, 'exit')
    const enough = senders.taken.one.length + 50 + random.int(200)
    let waitedMs = 0
    for (
      ;
      waitedMs < 60_000 && child.exitCode === null && child.signalCode === null;
      waitedMs += 50
    ) {
      await sleep(50)
      if (point === null && senders.taken.one.length > enough) break
    }
    if (point !== null)
      assert.equal(child.signalCode, 'SIGKILL', `${point} was not passed: ${said()}`)
    child.kill('SIGKILL')
    await exited
    assert.equal(child.exitCode, null, said())
  }
  const last = start(dir.path, '')
  const taken = senders.taken.one.length
  await waitFor('the last life to take what comes', () => senders.taken.one.length > taken + 50)
  stop.abort()
  await sending
  last.child.kill('SIGTERM')
  const [code] = (await once(last.child, 'exit')) as [number | null]
  assert.equal(code, 0, last.said())

  await using store = openStore(`file://${dir.path}/log`)
  const log = await openLog(store, { signal: AbortSignal.timeout(60_000) })
  t.diagnostic(
    `${senders.taken.one.length} requests, ${senders.taken.many.length} records, ${senders.repeated} repeated`,
  )
  assert.ok(senders.repeated > 0 && senders.taken.one.length > 100)
  for (const topic of ['one', 'many'] as const) {
    const ids = (await rowsOf(log, topic)).map(([id]) => Number(id))
    const unique = new Set(ids)
    assert.equal(unique.size, ids.length, `${topic}: rows came twice`)
    const lost = senders.taken[topic].filter((id) => !unique.has(id))
    assert.deepEqual(lost, [], `${topic}: answered and not there`)
    // And nothing that nobody sent, or was told to be stored.
    assert.equal(unique.size, new Set(senders.taken[topic]).size)
  }
})
