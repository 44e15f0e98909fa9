/** Timers on servers behind TLS with an authority of one's own, and what the preflight says of them. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../../core/connector/context.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { webhook } from '../../../sinks/webhook/connector.ts'
import { openTimers, timersPostgres, type TimersPlace } from '../../../sinks/webhook/timers.ts'
import { startPostgres } from '../../services/postgres.ts'
import { startRedis } from '../../services/redis.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { keptContext, quietContext } from '../../support/context.ts'
import { freePort, tempDir, waitFor } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { servePostgresTls } from '../../support/postgres-tls.ts'
import { startOrSkip } from '../../support/service.ts'
import { secret } from './support.ts'

/** Codes and severities. */
async function problemsOf(timers: string, ca?: string): Promise<readonly string[]> {
  const more = ca === undefined ? {} : { timers_ca: ca }
  const config = webhook.config.parse({ url: 'https://8.8.8.8/', secret, timers, ...more })
  const problems = await webhook.check(config, quietContext())
  for (const { message } of problems) assert.ok(!message.includes('wrong'), message)
  return problems.map(({ code, severity }) => `${severity} ${code}`)
}

/** A timer that is set goes off. */
async function goesOff(place: TimersPlace): Promise<void> {
  await using timers = await openTimers(place, quietContext())
  const due = new Promise<number>((resolve) => timers.start('t', resolve))
  const timer = { topic: 't', offset: 7, attempt: 1, group: 'g', dueMs: Date.now() + 100 }
  timers.set([timer])
  assert.equal(await due, 7)
}

test('Redis over TLS is verified against `timers_ca`', { timeout: 240_000 }, async (t) => {
  using folder = tempDir('timers-tls')
  const authority = makeAuthority('test authority')
  const { cert, key } = makeCertificate(['127.0.0.1', 'localhost'], authority)
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder.path, name), text)
    return join(folder.path, name)
  }
  const port = await freePort()
  const settings = {
    'tls-port': String(port),
    'tls-cert-file': file('cert.pem', cert),
    'tls-key-file': file('key.pem', key),
    'tls-ca-cert-file': file('ca.pem', authority.cert),
    'tls-auth-clients': 'no',
  }
  await using server = await startOrSkip(t, 'redis', () => startRedis({ settings }))
  if (server === null) return
  const url = `rediss://localhost:${port}`
  assert.deepEqual(await problemsOf(url, authority.cert), [])
  assert.deepEqual(await problemsOf(url), ['error redis.certificate'])
  await goesOff({ url: new Secret(url), ca: authority.cert })
})

test('PostgreSQL over TLS is verified against `timers_ca`', { timeout: 240_000 }, async (t) => {
  await using server = await startOrSkip(t, 'postgres', () => startPostgres())
  if (server === null) return
  const authority = makeAuthority('test authority')
  await servePostgresTls(server, makeCertificate(['127.0.0.1'], authority))
  const at = (query: string): string => `${server.url}${query}`
  assert.deepEqual(await problemsOf(at('?sslmode=verify-full'), authority.cert), [])
  assert.deepEqual(await problemsOf(at('?sslmode=verify-full')), [
    'warning sink.webhook.timers_down',
  ])
  await goesOff({ url: new Secret(at('?sslmode=verify-full')), ca: authority.cert })
  const wrong = at('').replace(`:${server.password}@`, ':wrong@')
  assert.notEqual(wrong, at(''))
  assert.deepEqual(await problemsOf(wrong), ['error sink.webhook.timers_access'])
})

test('a server that is away is a warning, another kind of address an error', async () => {
  const port = await freePort()
  assert.deepEqual(await problemsOf(`redis://127.0.0.1:${port}`), ['warning redis.unreachable'])
  assert.deepEqual(await problemsOf(`postgres://u:p@127.0.0.1:${port}/d`), [
    'warning sink.webhook.timers_down',
  ])
  assert.deepEqual(await problemsOf('http://127.0.0.1'), ['error sink.webhook.timers'])
  for (const query of ['?sslmode=prefer', '?ssl=true']) {
    const address = `postgres://u:wrong@127.0.0.1:${port}/d${query}`
    assert.deepEqual(await problemsOf(address), ['error sink.webhook.timers'], query)
  }
})

test('a PostgreSQL on another machine is verified where its address says nothing', () => {
  const sslOf = (address: string) => timersPostgres({ url: new Secret(address) }).ssl
  assert.deepEqual(sslOf('postgres://u:p@timers.example/d'), { rejectUnauthorized: true })
  assert.equal(sslOf('postgres://u:p@timers.example/d?sslmode=disable'), false)
  assert.equal(sslOf('postgres://u:p@127.0.0.1/d'), false)
})

test('an authority whose file is gone when it connects again makes events late, and ends nothing (invariant 8)', async () => {
  using folder = tempDir('timers-ca')
  const ca = join(folder.path, 'ca.pem')
  const place = {
    url: new Secret(
      `postgres://u:p@127.0.0.1:${await freePort()}/d?sslmode=verify-full&sslrootcert=${ca}`,
    ),
  }
  await assert.rejects(
    openTimers(place, quietContext()),
    failsWith('sink.webhook.timers', 'config', /sslrootcert/),
  )
  writeFileSync(ca, makeAuthority('test authority').cert)
  let nowMs = Date.now()
  const ctx = keptContext({ clock: { ...systemClock, nowMs: () => nowMs } })
  await using timers = await openTimers(place, ctx)
  rmSync(ca)
  nowMs += 60_000
  timers.set([{ topic: 't', offset: 7, attempt: 1, group: 'g', dueMs: nowMs }])
  await waitFor('it to be said', () => ctx.hasLogged('sink.webhook.timers'))
})
