/**
 * The source under the real loops, hub and ingest on a log in a folder, while its sessions are
 * terminated and the server restarts in mid-stream: it goes on by itself, and the log is the table,
 * nothing lost (invariants 1 and 5) and nothing doubled (invariant 2).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { postgres } from '../../../connectors/postgres/connector.ts'
import type { SourceConnector } from '../../../core/connector/source.ts'
import { runHub } from '../../../core/hub/hub.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { systemClock } from '../../../core/connector/context.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { foldOf } from '../../support/fold-log.ts'
import { rowsOf } from './follow.ts'

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: the source under the hub`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version, settings: { logical_decoding_work_mem: '64kB' } })
      await server.query('CREATE TABLE t (id int PRIMARY KEY, n int, note text)')
      await server.query('ALTER TABLE t REPLICA IDENTITY FULL')
      await server.query(
        'INSERT INTO t SELECT i, 0, repeat(md5(i::text), 20) FROM generate_series(1, 3000) i',
      )
    })
    after(async () => server[Symbol.asyncDispose]())

    it('gets over terminated sessions and restarts of the server in mid-stream', async () => {
      using folder = tempDir('hub')
      const log = await testLog(`file://${folder.path}/log`)
      const stop = new AbortController()
      const ctx = taskContext(log, 'pg')
      const task = {
        connector: postgres as SourceConnector<unknown>,
        config: postgres.config.parse({ url: server.url, tables: ['t'] }),
        flush: { bytesMax: 1 << 20, intervalMs: 5, intervalMsMax: 100 },
        openBytesMax: 64 << 10,
        stateDir: `${folder.path}/state`,
      }
      const running = runHub(
        {
          tasks: [
            { kind: 'ingest', name: 'pg', run: (own, signal) => runIngest(task, own, signal) },
          ],
          contextOf: () => ctx,
          clock: systemClock,
          random: Math.random,
        },
        stop.signal,
      )
      let ended: unknown = null
      void running.then((end) => (ended = end))
      let round = 0
      /** A large transaction, which is sent in parts, and small ones around it. */
      const write = async (): Promise<void> => {
        round++
        await server.query(`UPDATE t SET n = n + 1 WHERE id % 3 = ${round % 3}`)
        for (let i = 0; i < 20; i++) {
          await server.query(
            `INSERT INTO t VALUES (${10_000 + round * 100 + i}, ${round}, 'small')`,
          )
          await server.query(`DELETE FROM t WHERE id = ${round * 50 + i}`)
        }
      }
      const expected = async (): Promise<string[]> => rowsOf(server, 't', ['id', 'n', 'note'])
      const caughtUp = async (): Promise<void> => {
        const rows = await expected()
        const isTable = async (): Promise<boolean> => {
          const fold = await foldOf(log, 'pg')
          fold.assertRows('pg.public.t', rows)
          return true
        }
        // The pauses between attempts grow to half a minute where many of them failed; a connection that hangs is
        // given up after two, which would be too late.
        await waitFor('the log to be the table', () => ended !== null || isTable(), 90_000)
        // It gets over everything here by itself: an end says more than rows that are missing.
        assert.equal(ended, null)
      }
      await caughtUp()
      for (let i = 0; i < 3; i++) {
        const writing = write()
        await server.query('SELECT pg_sleep(0.05)')
        await server.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sluice%'",
        )
        await writing
      }
      await caughtUp()
      for (const how of ['stop', 'kill'] as const) {
        await write()
        await server[how]()
        await server.restart()
        await write()
      }
      await caughtUp()
      stop.abort()
      assert.deepEqual(await running, { kind: 'stopped' })
      assert.ok(
        ctx.troubles.some((error) => error !== null && error.fault === 'transient'),
        'the connection was lost',
      )
      assert.ok(ctx.troubles.every((error) => error === null || error.fault === 'transient'))
      assert.equal(ctx.troubles.at(-1), null)
    })
  })
}
