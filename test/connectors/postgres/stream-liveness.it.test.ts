/** The stream beside a server that waits, hangs, stops or cuts its connections (invariants 1, 8). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseLsn } from '../../../connectors/postgres/lsn.ts'
import { systemClock } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { waitFor } from '../../support/env.ts'
import { steadily } from '../../support/steadily.ts'
import { endLsn, open, prepare, pullUntil } from './streaming.ts'

/** Its quarters have to be longer than a busy machine now and then stands still. */
const timeoutMs = 4000
const tables = ['events'] as const

describe('liveness of the change stream', () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres({
      settings: { wal_sender_timeout: `${timeoutMs}ms`, logical_decoding_work_mem: '64MB' },
    })
    await server.query('CREATE TABLE events (n int, note text)')
  })
  after(() => server[Symbol.asyncDispose]())

  /** The server waits no longer for a machine that stood still. */
  function steady(title: string, body: (attempt: number) => Promise<void>): void {
    it(title, () => steadily(timeoutMs / 4, body))
  }

  async function walSender(slot: string): Promise<number> {
    return waitFor('the WAL sender', async () => {
      const [row] = await server.query<{ pid: number | null }>(
        'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      )
      return row?.pid ?? undefined
    })
  }

  steady('stays connected while nobody pulls, holding only so much', async (attempt) => {
    const prepared = await prepare(server, `paused_${attempt}`, tables)
    const batches = (await open(server, prepared))[Symbol.asyncIterator]()
    await server.query(`INSERT INTO events VALUES (0, 'first')`)
    await batches.next()
    const pid = await walSender(`paused_${attempt}`)
    const rows = 60_000
    await server.query(
      `INSERT INTO events SELECT i, repeat('x', 1000) FROM generate_series(1, ${rows}) i`,
    )
    const until = await endLsn(server, `INSERT INTO events VALUES (-1, 'last')`)
    const before = process.memoryUsage().arrayBuffers
    await sleep(timeoutMs * 3)
    const held = process.memoryUsage().arrayBuffers - before
    assert.ok(held < 16 << 20, `${held} bytes held of ${rows * 1000} waiting`)
    assert.equal(
      await walSender(`paused_${attempt}`),
      pid,
      'the server did not give the connection up',
    )
    let seen = 0
    for (let at = 0n; at < until;) {
      const { value } = await batches.next()
      assert.ok(value !== undefined)
      for (const change of value.changes) seen += 'batch' in change ? change.batch.rows : 0
      if (value.position !== null) at = parseLsn(value.position)
    }
    assert.ok(seen >= rows)
    await batches.return?.()
  })

  steady('stays connected through silence, and gives up a server that hangs', async (attempt) => {
    const prepared = await prepare(server, `hung_${attempt}`, tables)
    const stream = await open(server, prepared)
    const failed = pullUntil(stream, 1n << 62n, () => {}).catch((error: unknown) => error)
    const pid = await walSender(`hung_${attempt}`)
    await sleep(timeoutMs * 3)
    assert.equal(await walSender(`hung_${attempt}`), pid)
    process.kill(pid, 'SIGSTOP')
    try {
      const error = await failed
      assert.ok(error instanceof SluiceError, String(error))
      assert.deepEqual([error.code, error.fault], ['source.postgres.silent', 'transient'])
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })

  steady('stays connected when the clock jumps, pulled or not', async (attempt) => {
    const prepared = await prepare(server, `jumped_${attempt}`, tables)
    let jumpMs = 0
    const clock = { ...systemClock, nowMs: () => Date.now() + jumpMs }
    const stream = await open(server, prepared, { clock })
    const batches = stream[Symbol.asyncIterator]()
    await server.query(`INSERT INTO events VALUES (0, 'first')`)
    await batches.next()
    const pid = await walSender(`jumped_${attempt}`)
    const pull = (): ReturnType<typeof batches.next> => {
      const pulled = batches.next()
      pulled.catch(() => {})
      return pulled
    }
    let next = pull()
    for (const hours of [1, -1]) {
      jumpMs = hours * 3_600_000
      await sleep(timeoutMs * 1.5)
      assert.equal(
        await walSender(`jumped_${attempt}`),
        pid,
        `while it is asked for a batch, ${hours} h`,
      )
      await server.query(`INSERT INTO events VALUES (1, 'next')`)
      assert.notEqual((await next).done, true)
      jumpMs = -jumpMs
      // Nobody asks for a batch now, so that the server's questions go without an answer.
      await sleep(timeoutMs * 1.5)
      assert.equal(await walSender(`jumped_${attempt}`), pid, `while nobody asks, ${-hours} h`)
      next = pull()
    }
    await server.query(`INSERT INTO events VALUES (1, 'last')`)
    await next
    await batches.return?.()
  })

  steady('says of a cut connection that it can be made again', async (attempt) => {
    const prepared = await prepare(server, `cut_${attempt}`, tables)
    const stream = await open(server, prepared)
    const failed = pullUntil(stream, 1n << 62n, () => {}).catch((error: unknown) => error)
    await server.query('SELECT pg_terminate_backend($1)', [await walSender(`cut_${attempt}`)])
    const error = await failed
    assert.ok(error instanceof SluiceError, String(error))
    assert.equal(error.fault, 'transient', error.message)
  })

  /** What is between the client and the server, and ends a connection of the client that says `word`. */
  async function cutAt(word: string): Promise<Server> {
    const proxy = createServer((client) => {
      const behind = connect(server.port, server.host)
      client.on('data', (bytes) => {
        if (bytes.includes(word)) client.destroy()
        else behind.write(bytes)
      })
      behind.pipe(client)
      client.on('error', () => {}).on('close', () => behind.destroy())
      behind.on('error', () => {}).on('close', () => client.destroy())
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    return proxy
  }

  it('says the same of one that is cut before the stream begins', async () => {
    const prepared = await prepare(server, 'cut_early', tables)
    for (const word of ['statement_timeout', 'server_version_num', 'START_REPLICATION']) {
      await using proxy = await cutAt(word)
      const { port } = proxy.address() as AddressInfo
      const stream = await open(server, prepared, { port })
      await assert.rejects(
        pullUntil(stream, 1n << 62n, () => {}),
        { code: 'source.postgres.connection', fault: 'transient' },
        word,
      )
    }
  })

  steady('does not hold up a server that stops before all is durable', async (attempt) => {
    // An attempt that failed may have left it stopped.
    if (attempt > 1) await server.restart()
    const prepared = await prepare(server, `stopping_${attempt}`, tables)
    const stream = await open(server, prepared)
    let rows = 0
    const failed = pullUntil(stream, 1n << 62n, ({ changes }) => {
      rows += changes.length
    }).catch((error: unknown) => error)
    await server.query(`INSERT INTO events VALUES (1, 'never acknowledged')`)
    await waitFor('the row', () => rows > 0)
    // Without an end by this side the server would wait for an acknowledgement that never comes.
    await server.stop()
    const error = await failed
    assert.ok(error instanceof SluiceError, String(error))
    assert.equal(error.fault, 'transient', error.message)
    await server.restart()
    const again = await open(server, prepared)
    const until = await endLsn(server, `INSERT INTO events VALUES (2, 'last')`)
    const notes: number[] = []
    await pullUntil(again, until, ({ changes }) => {
      for (const change of changes) notes.push('batch' in change ? change.batch.rows : 0)
    })
    assert.equal(
      notes.reduce((sum, n) => sum + n, 0),
      2,
      'what was not acknowledged came again',
    )
  })
})
