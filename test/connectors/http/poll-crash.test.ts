/**
 * kill -9 while pages are read, at random times and at each durable step, of a server that changes: nothing
 * is lost, no event comes twice, and the listing is in the end what the server has (invariants 1, 2, 5).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog } from '../../../core/log/log.ts'
import { openStore } from '../../../core/store/open.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { foldOf } from '../../support/fold-log.ts'
import { seeded } from '../../support/random.ts'
import { ApiServer } from './api-server.ts'
import { rowsOf } from './support.ts'

const root = resolve(import.meta.dirname, '../../..')
const failpoints = [
  'log.commit.before_create',
  'log.commit.after_create',
  'log.snapshot.after_put',
  'log.fence.after_create',
  'ingest.after_commit',
  'ingest.after_ack',
] as const

const yaml = (origin: string): string => `
version: 1
name: p
log: { url: file://./log }
sources:
  web:
    type: http
    poll:
      events:
        url: ${origin}/events
        every: 200ms
        records: $.rows
        schema: { id: int64, text: text }
        since: { field: id, parameter: after }
        pagination: { type: cursor, next: $.next, parameter: cursor }
      ledger:
        url: ${origin}/ledger
        every: 200ms
        records: $.rows
        schema: { id: int64, version: int64 }
        key: [id]
        deletes: full_listing
        deletes_max: 1
        pagination: { type: cursor, next: $.next, parameter: cursor }
`

/** Events that are only added, and a ledger that changes. */
class Books {
  events = 0
  version = 0
  readonly ledger = new Map<number, number>()
  readonly random = seeded(Number(process.env['SEED'] ?? 5))
  /** How often a page in the middle of a run was asked for. */
  middles = 0

  change(): void {
    const { random, ledger } = this
    this.events += random.int(4)
    const id = random.int(200)
    if (random.chance(0.2)) ledger.delete(id)
    else ledger.set(id, ++this.version)
  }

  page(path: string, query: URLSearchParams): object {
    const cursor = query.get('cursor')
    if (cursor !== null) this.middles++
    if (path === '/events') {
      const from = Math.max(Number(query.get('after') ?? 0), Number(cursor ?? 0))
      const to = Math.min(from + 10, this.events)
      const rows = Array.from({ length: to - from }, (_, at) => ({
        id: from + at + 1,
        text: 'x'.repeat(200),
      }))
      return { rows, next: to < this.events ? String(to) : null }
    }
    const ids = [...this.ledger.keys()]
      .toSorted((a, b) => a - b)
      .filter((id) => id > Number(cursor ?? -1))
    const rows = ids.slice(0, 10).map((id) => ({ id, version: this.ledger.get(id)! }))
    return { rows, next: ids.length > 10 ? String(rows.at(-1)!.id) : null }
  }
}

test('kill -9 eight times while pages are read', async (t) => {
  using dir = tempDir('http-poll-crash')
  const books = new Books()
  await using server = await ApiServer.start(async ({ path, query }) => {
    await sleep(5)
    return { body: books.page(path, query) }
  })
  writeFileSync(join(dir.path, 'pipeline.yaml'), yaml(server.origin))
  const calm = new AbortController()
  using _ = { [Symbol.dispose]: () => calm.abort() }
  let reached = 0
  const changing = (async () => {
    while (!calm.signal.aborted) {
      books.change()
      await sleep(10)
    }
  })()
  const start = (points: string) => {
    const words = [join(root, 'bin/sluice.ts'), 'run', 'pipeline.yaml', '--plain', '--port', '0']
    const env = { ...process.env, SLUICE_FAILPOINTS: points }
    const child = spawn(process.execPath, words, {
      cwd: dir.path,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)))
    }
    return { child, said: () => said }
  }
  for (let kill = 0; kill < 8; kill++) {
    const point = kill % 2 === 0 ? failpoints[(kill / 2) % failpoints.length]! : null
    const asked = server.asked.length
    const enough = asked + 5 + books.random.int(60)
    const { child, said } = start(point === null ? '' : `${point}=${1 + books.random.int(6)}`)
    const exited = once(child, 'exit')
    for (
      let waited = 0;
      waited < 60_000 && child.exitCode === null && child.signalCode === null;
      waited += 20
    ) {
      await sleep(20)
      if (server.asked.length > (point === null ? enough : enough + 40)) break
    }
    child.kill('SIGKILL')
    await exited
    assert.equal(child.exitCode, null, said())
    // Some steps come before anything is asked.
    if (server.asked.length > asked) reached++
  }
  calm.abort()
  await changing
  const last = start('')
  await using store = openStore(`file://${dir.path}/log`)
  const log = await openLog(store, { signal: AbortSignal.timeout(60_000) })
  const wanted = [...books.ledger].map(([id, version]) => `${id}|${version}`).toSorted()
  const ledger = async (): Promise<string[]> => {
    const fold = await foldOf(log, 'web')
    const rows = fold.topics.get('web.ledger')?.values() ?? []
    return [...rows].map(({ row }) => row.join('|')).toSorted()
  }
  await waitFor(
    'all to be there',
    async () => {
      const ids = await rowsOf(log, 'events')
      return ids.length >= books.events && JSON.stringify(await ledger()) === JSON.stringify(wanted)
    },
    90_000,
  ).catch((error: unknown) => t.diagnostic(String(error)))
  last.child.kill('SIGTERM')
  const [code] = (await once(last.child, 'exit')) as [number | null]
  assert.equal(code, 0, last.said())
  assert.deepEqual(await ledger(), wanted)
  const ids = (await rowsOf(log, 'events')).map(([id]) => Number(id))
  assert.equal(new Set(ids).size, ids.length, 'events came twice')
  assert.equal(ids.length, books.events, 'events were lost')
  t.diagnostic(
    `${ids.length} events, ${wanted.length} in the ledger, ${server.asked.length} requests`,
  )
  assert.ok(
    books.middles > 50 && reached >= 5,
    `${books.middles} middles, ${reached} lives that asked`,
  )
})
