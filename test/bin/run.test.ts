/**
 * `run` without a source that answers: it keeps trying with the reason on show (DESIGN §4.5, §4.8),
 * answers /readyz truthfully, and ends well when it is asked to. Runs with real servers are in the
 * demo and the crash test.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort, tempDir, waitFor } from '../support/env.ts'
import { start, type Started } from './support.ts'

const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  pg: { type: postgres, url: 'postgres://u:hunter2@127.0.0.1:1/x', tables: [public.orders] }
transforms:
  counts: { sql: 'SELECT COUNT(*) AS n FROM orders' }
sinks:
  hooks: { type: webhook, url: 'https://example.com/x', secret: '\${env.SECRET}', from: counts }
`
const env = { SECRET: `whsec_${Buffer.alloc(24, 1).toString('base64')}` }

async function running(
  words: readonly string[],
  use: (run: Started, folder: string) => Promise<void>,
): Promise<void> {
  using folder = tempDir('run')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml)
  const run = start(['run', file, ...words], { env })
  try {
    await use(run, folder.path)
  } finally {
    run.child.kill('SIGKILL')
    await run.ended
  }
}

test('keeps trying with the reason on show, and SIGTERM ends it with 0', async () => {
  await running(['--plain', '--port', '0'], async (run) => {
    // Lines are written one by one: its remedy comes after the reason.
    const reason = /source\.postgres\.connection[\s\S]*\n {2}remedy: /
    await waitFor('the reason and its remedy', () => reason.test(run.stdout()))
    assert.match(run.stdout(), /ingest pg {2}(retrying|starting) {2}rows=0 /)
    run.child.kill('SIGTERM')
    const { code, stdout, stderr } = await run.ended
    assert.equal(code, 0, stderr)
    assert.match(stderr, /SIGTERM: finishing the open commits/)
    assert.ok(!`${stdout}${stderr}`.includes('hunter2'))
    assert.ok(!stdout.includes('\u001b'), 'plain lines move no cursor')
  })
})

test('health and metrics while it runs', async () => {
  const port = await freePort()
  await running(['--plain', '--port', String(port), '--log-format', 'json'], async (run) => {
    const get = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`)
    // Not by asking the port: a client that connects to a free port of its own range may meet itself.
    await waitFor('the server', () => run.stderr().includes(`127.0.0.1:${port}`))
    assert.equal((await get('/healthz')).status, 200)
    await waitFor('an error', () => run.stdout().includes('source.postgres.connection'))
    const ready = await get('/readyz')
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /ingest pg: (retrying|starting) source\.postgres\.connection/)
    assert.match(await (await get('/metrics')).text(), /sluice_errors_total\{.*name="pg".*\} \d+/)
    const status = (await (await get('/status')).json()) as {
      tasks: { kind: string; name: string }[]
    }
    assert.deepEqual(
      status.tasks.map(({ kind, name }) => `${kind} ${name}`),
      ['ingest pg', 'transform counts', 'deliver hooks'],
    )
    run.child.kill('SIGINT')
    const { code, stderr } = await run.ended
    assert.equal(code, 0, stderr)
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
    assert.ok(lines.length > 0)
    for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), line)
  })
})

test('a second signal ends it at once', async () => {
  await running(['--plain', '--port', '0'], async (run) => {
    await waitFor('a status line', () => run.stdout().includes('ingest pg'))
    run.child.kill('SIGTERM')
    run.child.kill('SIGINT')
    const { code, signal } = await run.ended
    // 0 when the first one was already obeyed by then; by the signal itself when nobody handles it any more.
    const ends: readonly (number | string | null)[] = [130, 143, 0, 'SIGINT', 'SIGTERM']
    assert.ok(ends.includes(code ?? signal), `${code} ${signal}`)
  })
})

test('a port that was asked for and is taken is an error of the environment', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    await running(['--plain', '--port', String(port)], async (run) => {
      const { code, stderr } = await run.ended
      assert.equal(code, 3, stderr)
      assert.match(stderr, /observe\.port_unavailable/)
    })
  } finally {
    taken.close()
  }
})

test('a store that cannot be used ends it with 3 and a remedy', async () => {
  using folder = tempDir('run')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml)
  mkdirSync(join(folder.path, 'sub'))
  writeFileSync(join(folder.path, 'log'), 'not a folder')
  const { code, stderr } = await start(['run', file, '--plain', '--port', '0'], { env }).ended
  assert.equal(code, 3, stderr)
  assert.match(stderr, /\bstore\.\w+/)
})
