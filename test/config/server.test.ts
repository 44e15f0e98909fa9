/** `server:`: where sources that are called listen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brief, good, load } from './support.ts'

test('without it, this machine alone', async () => {
  const { pipeline } = await load(good)
  assert.equal(pipeline?.server.host, '127.0.0.1')
  assert.equal(pipeline.server.port, 8080)
  assert.equal(pipeline.server.tls, null)
  assert.deepEqual(pipeline.server.trustProxy, [])
})

test('what is written is taken, and a key is a secret', async () => {
  const pem = (what: string): string => `-----BEGIN ${what}-----\nhunter2\n-----END ${what}-----\n`
  const { pipeline, problems } = await load(
    `${good}server:
  host: '::'
  port: \${env.PORT}
  tls: { cert: '\${file.cert.pem}', key: '\${file.key.pem}' }
  trust_proxy: [10.0.0.0/8, '::1']
  header_timeout: 5s
`,
    {
      env: { PORT: '443' },
      files: { 'cert.pem': pem('CERTIFICATE'), 'key.pem': pem('PRIVATE KEY') },
    },
  )
  assert.deepEqual(brief(problems), [])
  const { host, port, tls, trustProxy, headersTimeoutMs } = pipeline!.server
  assert.deepEqual(
    [host, port, trustProxy, headersTimeoutMs],
    ['::', 443, ['10.0.0.0/8', '::1'], 5000],
  )
  assert.match(tls!.key.reveal(), /PRIVATE KEY/)
  assert.ok(!JSON.stringify(tls!.key).includes('hunter2'))
})

test('what is wrong is said at its place', async () => {
  const { pipeline, problems } = await load(`${good}server:
  hots: x
  port: 70000
  tls: { cert: nonsense }
  trust_proxy: [10.0.0.0/40]
`)
  assert.equal(pipeline, null)
  assert.deepEqual(brief(problems), [
    '17:3 config.unknown_key server.hots',
    '18:9 config.invalid_value server.port',
    '19:3 config.missing_key server.tls.key',
    '19:16 config.invalid_value server.tls.cert',
    '20:17 config.invalid_value server.trust_proxy.0',
  ])
})
