/** Connections to the store: who waits for one does not take the server for gone, and can stop. */
import assert from 'node:assert/strict'
import { Secret } from '../../../../core/connector/secret.ts'
import { Sessions } from '../../../../sinks/feast/postgres/sessions.ts'
import { startPostgres } from '../../../services/postgres.ts'
import { waitFor } from '../../../support/env.ts'
import { sharedService } from '../../../support/service.ts'
import { signal } from './support.ts'

const suite = sharedService('PostgreSQL', () => startPostgres())

suite.test('statements that last longer than a connection may take to come', async (server) => {
  const url = new URL(server.url)
  url.searchParams.set('connect_timeout', '1')
  const options = { url: new Secret(url.href), application: 'test', timeoutMs: 10_000 }
  await using sessions = new Sessions(options)
  // Connections are made first: a server or a process that has just begun may need more than a second for them.
  await waitFor('all connections', async () => {
    const sleeps = Array.from({ length: 4 }, () =>
      sessions.run('sleep', signal, (query) => query('SELECT pg_sleep(0.2)')),
    )
    return (await Promise.all(sleeps)).length === 4
  })
  const work = Array.from({ length: 12 }, () =>
    sessions.run('sleep', signal, (query) => query('SELECT pg_sleep(0.7)')),
  )
  const abort = new AbortController()
  const late = sessions.run('sleep', abort.signal, (query) => query('SELECT 1'))
  abort.abort(new Error('stopping'))
  await assert.rejects(late, /stopping/)
  assert.equal((await Promise.all(work)).length, 12)
})
