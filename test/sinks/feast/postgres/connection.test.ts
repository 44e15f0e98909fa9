/** The address of Feast's Postgres store: what was not encoded is refused, and never repeated. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../../../core/connector/secret.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { poolConfig } from '../../../../sinks/feast/postgres/connection.ts'

test('a % that begins no encoded character is a config error that says where', () => {
  for (const [url, part] of [
    ['postgres://u:50%off@h/db', 'password'],
    ['postgres://u%ser:hunter2@h/db', 'user'],
    ['postgres://u:hunter2@h/d%b', 'database'],
  ] as const) {
    assert.throws(
      () => poolConfig(new Secret(url), 'test'),
      (error: unknown) => {
        assert.ok(error instanceof SluiceError, String(error))
        assert.deepEqual([error.code, error.fault], ['sink.feast.postgres_url', 'config'])
        assert.match(error.message, new RegExp(`% in its ${part} .*%25`))
        assert.doesNotMatch(`${error.message}${String(error.cause)}`, /hunter2|off|%ser|d%b/)
        return true
      },
      url,
    )
  }
  assert.equal(poolConfig(new Secret('postgres://u:50%25off@h/db'), 'test').password, '50%off')
})

test('TLS is as the Postgres source has it: verified unless the server is on this machine', () => {
  const ssl = (url: string) => poolConfig(new Secret(url), 'test').ssl
  assert.equal(ssl('postgres://u@localhost/db'), false)
  assert.deepEqual(ssl('postgres://u@db.example.com/db'), { rejectUnauthorized: true })
  assert.deepEqual(ssl('postgres://u@db.example.com/db?sslrootcert=system'), {
    rejectUnauthorized: true,
  })
  const unnamed = ssl('postgres://u@db.example.com/db?sslmode=verify-ca')
  assert.ok(typeof unnamed === 'object' && unnamed.rejectUnauthorized === true)
  assert.ok(unnamed.checkServerIdentity !== undefined)
})

test('options of the URL go beside our own', () => {
  const url = new Secret('postgres://u@h/db?options=-c%20work_mem%3D64MB')
  assert.equal(poolConfig(url, 'test').options, '-c work_mem=64MB -c enable_nestloop=off')
})
