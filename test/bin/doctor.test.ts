/** `doctor` reports on everything at once, with cures, and never stops at the first failure. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../support/env.ts'
import { sluice } from './support.ts'

interface Report {
  readonly ok: boolean
  readonly checks: readonly {
    readonly what: string
    readonly problems: readonly { readonly code: string; readonly remedy: string }[]
  }[]
}

const yaml = (port: number): string => `version: 1
name: shop
log: { url: file://./log }
sources:
  pg: { type: postgres, url: 'postgres://u:hunter2@127.0.0.1:${port}/x', tables: [public.orders] }
sinks:
  ch: { type: clickhouse, url: 'http://default:hunter2@127.0.0.1:${port}/default', from: pg.* }
  hooks: { type: webhook, url: 'https://127.0.0.1:${port}/x', secret: hunter2, from: pg.* }
`

/** A port of a server that hangs up at once: nothing that is there can be mistaken for Postgres. */
async function hangingUp(use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const address = server.address()
    await use(typeof address === 'object' && address !== null ? address.port : 0)
  } finally {
    server.close()
  }
}

test('all checks fail together, each with its remedy, and the exit code is 3', async () => {
  await hangingUp(async (port) => {
    using folder = tempDir('doctor')
    const file = join(folder.path, 'shop.yaml')
    writeFileSync(file, yaml(port))
    const { code, stdout, stderr } = await sluice(['doctor', file, '--format', 'json'])
    assert.equal(code, 3, stderr)
    const report = JSON.parse(stdout) as Report
    assert.equal(report.ok, false)
    assert.deepEqual(
      report.checks.map(({ what, problems }) => [
        what.split(' ', 2).join(' '),
        problems.length > 0,
      ]),
      [
        [`log file://${folder.path}/log`, false],
        ['source pg', true],
        ['sink ch', true],
        ['sink hooks', true],
      ],
    )
    for (const { problems } of report.checks) {
      for (const problem of problems) assert.ok(problem.remedy.length > 10, problem.code)
    }
    const human = await sluice(['doctor', file])
    assert.equal(human.code, 3)
    assert.match(human.stdout, /^ok {6}log file:.*\nfailed {2}source pg \(postgres\)\n/)
    assert.match(human.stdout, /\n\d+ errors, \d+ warnings?\n$/)
    for (const text of [stdout, stderr, human.stdout, human.stderr]) {
      assert.ok(!text.includes('hunter2'), 'no report shows a password')
    }
  })
})

test('a log that cannot be written is a finding like the others', async () => {
  using folder = tempDir('doctor')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml(1))
  // A file where the folder should be: also root cannot write below it.
  writeFileSync(join(folder.path, 'log'), '')
  const { code, stdout } = await sluice(['doctor', file])
  assert.equal(code, 3)
  assert.match(stdout, /^failed {2}log file:/)
})

test('an invalid file is 2, and no server is asked', async () => {
  using folder = tempDir('doctor')
  mkdirSync(join(folder.path, 'sub'))
  chmodSync(join(folder.path, 'sub'), 0o755)
  const file = join(folder.path, 'sub/shop.yaml')
  writeFileSync(file, yaml(1).replace('type: webhook', 'type: webhok'))
  const { code, stderr } = await sluice(['doctor', file])
  assert.equal(code, 2)
  assert.match(stderr, /config\.unknown_type .*did you mean "webhook"\?/)
})
