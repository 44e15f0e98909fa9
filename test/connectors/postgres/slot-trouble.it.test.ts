/**
 * Slots that somebody else reads, that our own dead process still holds, that lost their WAL, and that
 * an idle database would never move: what cannot be gone on from is said with its cure and never
 * skipped (invariant 5), everything else is got over without help.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { postgres } from '../../../connectors/postgres/connector.ts'
import { parseLsn } from '../../../connectors/postgres/lsn.ts'
import { systemClock, type Clock } from '../../../core/connector/context.ts'
import type { SluiceError } from '../../../core/errors/error.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { waitFor } from '../../support/env.ts'
import { quietContext } from '../../support/context.ts'
import { Follower, rowsOf } from './follow.ts'

/** Waits a fifth of what it is asked to: still longer than a busy machine takes to let go of a slot. */
const hasty: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) => systemClock.sleep(ms / 5, signal),
}

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: trouble with slots`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version, settings: { checkpoint_timeout: '1h' } })
      await server.query('CREATE TABLE t (id int PRIMARY KEY)')
    })
    after(async () => server[Symbol.asyncDispose]())

    /** Reads from the slot as a process of that application name does, until the returned call. */
    async function holdSlot(slot: string, application: string): Promise<() => Promise<void>> {
      const options = { replication: 'database', application_name: application } as object
      const client = await server.client(options)
      client
        .query(
          `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${slot}')`,
        )
        .catch(() => {})
      await waitFor('the slot to be read', async () => (await readers(slot)) !== null)
      const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } })
        .connection
      return async () => {
        stream.destroy()
        await waitFor('the slot to be free', async () => (await readers(slot)) === null)
      }
    }

    async function readers(slot: string): Promise<number | null> {
      const [row] = await server.query<{ pid: number | null }>(
        'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      )
      return row!.pid
    }

    async function copied(name: string): Promise<Follower> {
      const follower = new Follower({ url: server.url, tables: ['t'], name })
      await follower.catchUp(server)
      await follower.crash()
      await waitFor(
        'the slot to be free',
        async () => (await readers(`sluice_test_${name}`)) === null,
      )
      return follower
    }

    async function resume(follower: Follower, name: string, signal: AbortSignal) {
      const hastyContext = quietContext({ name, clock: hasty })
      const config = postgres.config.parse({ url: server.url, tables: ['t'] })
      const source = await postgres.open(config, hastyContext)
      return { source, batches: source.read(follower.position, signal)[Symbol.asyncIterator]() }
    }

    it('waits for a reader that is not ours, says who it is, and never ends it', async () => {
      await using follower = await copied('foreign')
      const free = await holdSlot('sluice_test_foreign', 'somebody else')
      const pid = await readers('sluice_test_foreign')
      const stop = new AbortController()
      const { source, batches } = await resume(follower, 'foreign', stop.signal)
      await using _ = source
      const refused = async (): Promise<void> => {
        for (;;) await batches.next()
      }
      await assert.rejects(refused(), (error: SluiceError) => {
        assert.equal(error.code, 'source.postgres.slot_active')
        assert.equal(error.fault, 'transient')
        assert.match(error.message, new RegExp(`pid ${pid} \\(somebody else\\)`))
        return true
      })
      assert.equal(await readers('sluice_test_foreign'), pid)
      await free()
      await server.query('INSERT INTO t VALUES (1)')
      await follower.catchUp(server)
      follower.fold.assertRows('public.t', await rowsOf(server, 't', ['id']))
    })

    it('ends a session of its own whose process is gone', async () => {
      await using follower = await copied('stale')
      await holdSlot('sluice_test_stale', 'sluice/test/stale')
      const pid = await readers('sluice_test_stale')
      await server.query('INSERT INTO t VALUES (2)')
      const stop = new AbortController()
      const { source, batches } = await resume(follower, 'stale', stop.signal)
      await using _ = source
      let rows = 0
      while (rows === 0) {
        const result = await batches.next()
        assert.ok(result.done !== true)
        for (const change of result.value.changes) if ('batch' in change) rows += change.batch.rows
      }
      const now = await readers('sluice_test_stale')
      assert.ok(now !== null && now !== pid)
      stop.abort()
    })

    async function lose(slot: string): Promise<void> {
      await server.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
      await server.query('SELECT pg_reload_conf()')
      // The checkpointer reads the setting some time after it was told to.
      await waitFor('the slot to lose its WAL', async () => {
        for (let i = 0; i < 4; i++) {
          await server.query("SELECT pg_logical_emit_message(false, 'filler', 'x')")
          await server.query('SELECT pg_switch_wal()')
        }
        await server.query('CHECKPOINT')
        const [row] = await server.query<{ status: string }>(
          'SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = $1',
          [slot],
        )
        return row!.status === 'lost'
      })
      await server.query('ALTER SYSTEM RESET max_slot_wal_keep_size')
      await server.query('SELECT pg_reload_conf()')
    }

    it('stops where the slot lost its WAL in mid-stream, which is tried again only once', async () => {
      await using follower = new Follower({ url: server.url, tables: ['t'], name: 'cut' })
      follower.acks = false
      await follower.catchUp(server)
      await lose('sluice_test_cut')
      const readOn = async (): Promise<void> => {
        for (;;) await follower.next()
      }
      await assert.rejects(readOn(), (error: SluiceError) => {
        // The server ends the session of the reader that holds WAL back, without saying why.
        assert.ok(error.fault === 'transient' || error.code === 'source.postgres.slot_lost')
        return true
      })
      await follower.crash()
      await assert.rejects(readOn(), { code: 'source.postgres.slot_lost', fault: 'config' })
    })

    it('stops where the slot lost its WAL, with the cure', async () => {
      await using follower = await copied('lost')
      await lose('sluice_test_lost')
      await assert.rejects(follower.next(), (error: SluiceError) => {
        assert.equal(error.code, 'source.postgres.slot_lost')
        assert.equal(error.fault, 'config')
        assert.match(error.remedy, /pg_drop_replication_slot\('sluice_test_lost'\)/)
        assert.match(error.remedy, /max_slot_wal_keep_size/)
        return true
      })
      // The cure works: a new slot, and the tables copied again into an empty log.
      await follower.crash()
      await server.query("SELECT pg_drop_replication_slot('sluice_test_lost')")
      await using anew = new Follower({ url: server.url, tables: ['t'], name: 'lost' })
      await anew.catchUp(server)
      anew.fold.assertRows('public.t', await rowsOf(server, 't', ['id']))
    })

    it('lets go of WAL that only another database writes (invariant 1)', async () => {
      await server.query('CREATE DATABASE busy')
      const busy = await server.client({
        connectionString: server.url.replace(/postgres$/, 'busy'),
      })
      await busy.query('CREATE TABLE filler AS SELECT generate_series(1, 10) AS n')
      await using follower = new Follower({
        url: server.url,
        tables: ['t'],
        name: 'idle',
        config: { heartbeat: '1s' },
      })
      await follower.catchUp(server)
      const restartLsn = async (): Promise<bigint> => {
        const [row] = await server.query<{ lsn: string }>(
          "SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = 'sluice_test_idle'",
        )
        return parseLsn(row!.lsn)
      }
      await busy.query('INSERT INTO filler SELECT generate_series(1, 100000)')
      const [wrote] = await server.query<{ lsn: string }>(
        'SELECT pg_current_wal_lsn()::text AS lsn',
      )
      const goal = parseLsn(wrote!.lsn)
      await follower.until(({ position }) => position !== null && follower.lsn >= goal)
      await waitFor('the slot to move on', async () => (await restartLsn()) >= goal)
      await busy.end()
    })
  })
}
