/** TLS with a real server: each mode checks what its name says, no less. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { clientConfig, connect } from '../../../connectors/postgres/connection.ts'
import { postgresError } from '../../../connectors/postgres/errors.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { servePostgresTls } from '../../support/postgres-tls.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { tempDir } from '../../support/env.ts'

describe('TLS sessions', () => {
  const folder = tempDir('tls')
  const authority = makeAuthority('tests')
  const path = (name: string): string => join(folder.path, name)
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
    writeFileSync(path('ca'), authority.cert)
    writeFileSync(path('stranger'), makeAuthority('tests').cert)
    await serveFor(['127.0.0.1'])
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  /** The server shows a certificate of these names from now on. */
  async function serveFor(names: readonly string[]): Promise<void> {
    await servePostgresTls(server, makeCertificate(names, authority))
  }

  /** Whether a session under these parameters is encrypted, or the code of the error. */
  async function session(query: string): Promise<string> {
    const config = clientConfig(new Secret(`${server.url}?${query}`), 'tls')
    try {
      const client = await connect(config, new AbortController().signal)
      const { rows } = await client.query<{ ssl: boolean }>(
        'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      )
      await client.end()
      return rows[0]!.ssl ? 'encrypted' : 'plain'
    } catch (error) {
      return postgresError(error, 'connect').code
    }
  }

  it('are encrypted and checked as the mode says', async () => {
    const ca = `sslrootcert=${path('ca')}`
    const refused = 'source.postgres.tls'
    for (const [query, expected] of [
      ['sslmode=disable', 'plain'],
      ['sslmode=require', 'encrypted'],
      [`sslmode=verify-ca&${ca}`, 'encrypted'],
      [`sslmode=verify-full&${ca}`, 'encrypted'],
      ['sslmode=verify-ca', refused],
      ['sslmode=verify-full', refused],
      [`sslmode=verify-full&sslrootcert=system`, refused],
      [`sslmode=verify-ca&sslrootcert=${path('stranger')}`, refused],
    ] as const) {
      assert.equal(await session(query), expected, query)
    }
  })

  it('refuse a certificate of another host, for an address too', async () => {
    // "localhost" is what Node checks where it is told no host.
    await serveFor(['localhost', '127.0.0.9'])
    const ca = `sslrootcert=${path('ca')}`
    assert.equal(await session(`sslmode=verify-full&${ca}`), 'source.postgres.tls')
    assert.equal(await session(`sslmode=verify-ca&${ca}`), 'encrypted')
  })
})
