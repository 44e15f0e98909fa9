/**
 * Which `${…}` a command needs: those of the log, and of the one sink it is about. Whoever looks into a
 * log must not need the passwords of everything else.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLog } from '../../core/log/log.ts'
import { DirectoryStore } from '../../core/store/directory.ts'
import { tempDir } from '../support/env.ts'
import { sluice } from './support.ts'

const yaml = `version: 1
name: p
log: { url: 'file://\${env.LOG_FOLDER}' }
sources:
  s: { type: postgres, url: '\${env.PG_URL}', tables: [public.users] }
sinks:
  k:
    type: feast
    from: s.*
    project: shop
    target: { type: redis, url: '\${env.REDIS_URL}' }
    views: { users: {} }
  hooks: { type: webhook, url: 'https://h.example', secret: '\${env.HOOK_SECRET}', from: s.* }
  odd: { type: feasst, from: s.* }
`

const commands = [
  ['dlq', 'ls'],
  ['dlq', 'requests'],
  ['deliveries'],
  ['tap', 'users'],
  ['replay', '--sink', 'hooks', '--from', 'start'],
  ['resync', '--sink', 'hooks', '--topic', 's.public.users'],
  ['features', 'verify', '--sink', 'k'],
] as const

test('a log that lacks a value is all that is told', async () => {
  using folder = tempDir('values')
  const file = join(folder.path, 'p.yaml')
  writeFileSync(file, yaml)
  for (const [command, ...words] of commands) {
    const name = `${command} ${words[0] ?? ''}`
    const { code, stderr } = await sluice([command, ...place(command, words, file)])
    assert.equal(code, 3, `${name}: ${stderr}`)
    assert.match(stderr, /:3:13 {2}config\.unresolved {2}log\.url .*LOG_FOLDER is not set/, name)
    assert.doesNotMatch(stderr, /PG_URL is|HOOK_SECRET is|REDIS_URL is|feasst"/, name)
    assert.match(stderr, /\n1 error\n$/, name)
  }
})

test('beside the log, `features` needs what its own sink needs', async () => {
  using folder = tempDir('values')
  const file = join(folder.path, 'p.yaml')
  writeFileSync(file, yaml)
  await using store = new DirectoryStore(join(folder.path, 'log'))
  await openLog(store, { signal: AbortSignal.timeout(60_000) })
  const env = { LOG_FOLDER: join(folder.path, 'log') }
  for (const words of [[], ['--sink', 'k']]) {
    const { code, stderr } = await sluice(['features', 'verify', file, ...words], { env })
    assert.equal(code, 3, stderr)
    assert.match(stderr, /sinks\.k\.target\.url .*REDIS_URL is not set/)
    assert.match(stderr, /\n1 error\n$/)
  }
  const odd = await sluice(['features', 'verify', file, '--sink', 'odd'], { env })
  assert.equal(odd.code, 2, odd.stderr)
  assert.match(odd.stderr, /config\.unknown_type .*did you mean "feast"/)
  for (const words of [['dlq', 'ls'], ['deliveries']]) {
    const { code, stderr } = await sluice([...words, file], { env })
    assert.equal(code, 0, stderr)
    assert.doesNotMatch(stderr, /is not set/)
  }
})

/** The file is the first argument after the command's own words. */
function place(command: string, words: readonly string[], file: string): readonly string[] {
  return command === 'dlq' || command === 'features'
    ? [words[0]!, file, ...words.slice(1)]
    : [file, ...words]
}
