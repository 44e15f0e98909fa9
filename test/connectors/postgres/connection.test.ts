/** What of the PostgreSQL connections needs no server: the words of its URLs. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { clientConfig } from '../../../connectors/postgres/connection.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { quietContext } from '../../support/context.ts'

function read(url: string) {
  return clientConfig(new Secret(url), 'sluice/test')
}

it('the driver gets what the URL says, and the user’s name where it names no database', () => {
  const { host, port, user, password, database, ssl } = read('postgresql://u%40x:p%2F@127.0.0.1/d')
  assert.deepEqual(
    { host, port, user, password, database, ssl },
    { host: '127.0.0.1', port: 5432, user: 'u@x', password: 'p/', database: 'd', ssl: false },
  )
  const other = read(
    'postgres://u:p@[::1]?connect_timeout=2&application_name=x&options=-c%20geqo%3Doff',
  )
  assert.deepEqual([other.host, other.database, other.connectionTimeoutMillis], ['::1', 'u', 2000])
  assert.deepEqual([other.application_name, other.options], ['sluice/test', '-c geqo=off'])
  const socket = read('postgres://u:p@localhost/d?host=/var/run/postgresql&port=5433')
  assert.deepEqual([socket.host, socket.port, socket.ssl], ['/var/run/postgresql', 5433, false])
})

it('a verified name is asked for everywhere but on this machine, and never less than the mode says', () => {
  const checks = (url: string): string => {
    const { ssl } = read(url)
    if (typeof ssl !== 'object') return String(ssl)
    return `${ssl.rejectUnauthorized} ${ssl.checkServerIdentity === undefined}`
  }
  assert.equal(checks('postgres://u@db.example.com'), 'true true')
  assert.equal(checks('postgres://u@localhost'), 'false')
  assert.equal(checks('postgres://u@localhost?sslmode=verify-full'), 'true true')
  assert.equal(checks('postgres://u@db?sslmode=verify-ca'), 'true false')
  assert.equal(checks('postgres://u@db?sslmode=require'), 'false false')
  assert.equal(checks('postgres://u@db?sslmode=disable'), 'false')
})

it('a bare % in the URL is said to be one, before any server is asked', async () => {
  const config = postgres.config.parse({
    url: 'postgres://u:50%off@localhost:1/db',
    tables: ['public.orders'],
  })
  await assert.rejects(postgres.check(config, quietContext()), (error) => {
    assert.ok(error instanceof SluiceError)
    assert.deepEqual([error.code, error.fault], ['source.postgres.url', 'config'])
    assert.match(error.message, /^The url of the PostgreSQL source has a % in its password.*%25/)
    assert.doesNotMatch(error.message, /50|off/)
    return true
  })
})
