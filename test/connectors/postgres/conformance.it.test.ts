/** The PostgreSQL source under the suite that every source has to pass. */
import { parsePosition } from '../../../connectors/postgres/position.ts'
import { formatLsn } from '../../../connectors/postgres/lsn.ts'
import { sourceNames } from '../../../connectors/postgres/config.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import { sourceConformance } from '../../conformance/source.ts'
import { waitFor } from '../../support/env.ts'
import { startPostgres } from '../../services/postgres.ts'

const names = (name: string) => sourceNames({}, { pipeline: 'conformance', name })

sourceConformance('postgres', async () => {
  const server = await startPostgres()
  await server.query('CREATE TABLE orders (id bigserial PRIMARY KEY, note text)')
  // Of 2 KB each, so that the first copy is several batches.
  await server.query(
    `ALTER TABLE orders ALTER note SET STORAGE PLAIN;
     INSERT INTO orders (note) SELECT repeat(md5(i::text), 60) FROM generate_series(1, 4000) i`,
  )
  return {
    connector: postgres,
    config: postgres.config.parse({ url: server.url, tables: ['orders'] }),
    topic: 'public.orders',
    before: 4000,
    insert: async (rows) => {
      await server.query(`INSERT INTO orders (note) SELECT 'new' FROM generate_series(1, $1)`, [
        rows,
      ])
    },
    count: async () => {
      const [row] = await server.query<{ n: number }>('SELECT count(*)::int AS n FROM orders')
      return row!.n
    },
    connected: async (name) => {
      const rows = await server.query('SELECT FROM pg_stat_activity WHERE application_name = $1', [
        names(name).application,
      ])
      return rows.length > 0
    },
    forgotten: async (position) => {
      const rows = await server.query(
        'SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn >= $1::pg_lsn',
        [formatLsn(parsePosition(position).lsn)],
      )
      return rows.length > 0
    },
    forget: async (name) => {
      // The server notices only after a moment that a reader is gone.
      await waitFor('the slot to be free', async () => {
        await server.query(
          'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1',
          [names(name).slot],
        )
        return true
      })
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})
