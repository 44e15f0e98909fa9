/** `sluice resync` of a sink that cannot: refused where it is asked for, with what can be done instead. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLog } from '../../core/log/log.ts'
import { DirectoryStore } from '../../core/store/directory.ts'
import { tempDir } from '../support/env.ts'
import { requestsOf } from '../../core/task/letter-list.ts'
import { sluice } from './support.ts'

test('a sink without tables is told from one with, before anything is asked', async () => {
  using folder = tempDir('resync')
  const file = join(folder.path, 'p.yaml')
  const yaml = [
    'version: 1',
    'name: p',
    `log: { url: "file://${folder.path}/log" }`,
    'sources: { s: { type: postgres, url: "postgres://127.0.0.1/x" } }',
    'sinks:',
    '  hooks: { type: webhook, url: "https://example.com/", secret: "${env.NONE}", from: ["s.*"] }',
    '  cache: { type: redis, url: "redis://127.0.0.1", from: ["s.*"] }',
    '  house: { type: clickhouse, url: "http://127.0.0.1:1", from: ["s.*"] }',
  ]
  writeFileSync(file, yaml.join('\n'))
  await using store = new DirectoryStore(join(folder.path, 'log'))
  const log = await openLog(store, { signal: AbortSignal.timeout(60_000) })
  for (const [sink, kind] of [
    ['hooks', 'webhook'],
    ['cache', 'redis'],
  ] as const) {
    const words = ['--sink', sink, '--topic', 'users']
    const { code, stderr } = await sluice(['resync', file, ...words])
    assert.equal(code, 2, stderr)
    assert.match(stderr, new RegExp(`sink ${sink} \\(${kind}\\) has no table`))
    assert.ok(stderr.includes(`sluice replay ${file} --sink ${sink} --topic users --from start`))
    const asked = await requestsOf(log, `p.sink.${sink}`, 1, AbortSignal.timeout(60_000))
    assert.deepEqual(asked, [])
  }
  const { code, stderr } = await sluice(['resync', file, '--sink', 'house', '--topic', 'users'])
  assert.equal(code, 2)
  assert.match(stderr, /sink house has not been given any row yet/)
})
