/**
 * `sluice features` as a user calls it, on what the sink wrote to a real Redis: exit codes, what is printed,
 * and files that are never replaced unasked (invariant 9: what differs is told).
 */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deliverAll, writeLog, type Place } from '../crash/features.ts'
import { startRedis, type RedisServer } from '../services/redis.ts'
import { missingService, tempDir } from '../support/env.ts'
import { sluice } from './support.ts'

const yaml = `version: 1
name: p
log: { url: file://./log }
sources:
  s: { type: postgres, url: 'postgres://u:s3cr3t@localhost/db', tables: [public.users] }
sinks:
  k:
    type: feast
    from: s.*
    project: shop
    target: { type: redis, url: '\${env.REDIS_URL}' }
    views: { users: {} }
    offline: { url: file://./offline }
  hooks: { type: webhook, url: 'https://h.example', secret: '\${env.HOOK_SECRET}', from: s.* }
`

test('verify and export', async (t) => {
  let started: RedisServer
  try {
    started = await startRedis()
  } catch (error) {
    return missingService(t, 'Redis', error)
  }
  await using server = started
  using folder = tempDir('features')
  const place: Place = { kind: 'feast redis', url: server.url, folder: folder.path }
  await writeLog(folder.path)
  await deliverAll(place, () => Promise.resolve(true))
  const file = join(folder.path, 'p.yaml')
  writeFileSync(file, yaml)
  // Nothing of the other sink: its secret may be on another machine.
  const env = { REDIS_URL: server.url }
  const features = (...words: string[]) => sluice(['features', ...words], { env })

  const good = await features('verify', file)
  assert.equal(good.code, 0, good.stderr)
  assert.match(good.stdout, /^k +users +score +\d+ +0 % +0 % +0 %$/m)

  await server.cli(
    'eval',
    `for _, key in ipairs(redis.call('KEYS', '*shop')) do
       if redis.call('HEXISTS', key, '_ts:users') == 1 then return redis.call('DEL', key) end
     end`,
    '0',
  )
  const bad = await features('verify', file, '--format', 'json', '--sample', 'all')
  assert.equal(bad.code, 1, bad.stderr + bad.stdout)
  const answer = JSON.parse(bad.stdout) as {
    ok: boolean
    sinks: { features: { feature: string; missing: number; examples: string[] }[] }[]
  }
  assert.equal(answer.ok, false)
  assert.deepEqual(
    answer.sinks[0]!.features.map(({ feature, missing }) => [feature, missing]),
    [
      ['score', 1],
      ['event_timestamp', 1],
    ],
  )
  assert.match(answer.sinks[0]!.features[0]!.examples[0]!, /^missing: user_id=\d+$/)
  assert.equal((await features('verify', file, '--tolerance', '50')).code, 0)

  const nowhere = { ...env, REDIS_URL: 'redis://127.0.0.1:1' }
  const away = await sluice(['features', 'verify', file], { env: nowhere })
  assert.equal(away.code, 3)
  assert.match(away.stderr, /redis\.unreachable/)
  for (const [words, told] of [
    [['verify', file, '--view', 'user'], /did you mean "users"\?/],
    [['verify', file, '--sink', 'hooks'], /of type webhook, which keeps no features/],
    [['verify', file, '--sample', '0'], /A number of entities, or all/],
    [['verify', file, '--as-of', 'noon'], /neither a time/],
  ] as const) {
    const { code, stderr } = await features(...words)
    assert.match(stderr, told)
    assert.equal(code, told.source.includes('mean') ? 3 : 2)
  }

  const out = join(folder.path, 'repo')
  const exported = await features('export', file, '--out', out)
  assert.equal(exported.code, 0, exported.stderr)
  assert.match(exported.stdout, /^wrote +.*feature_store\.yaml\nwrote +.*definitions\.py\n$/)
  assert.match((await features('export', file, '--out', out)).stdout, /^unchanged.*\nunchanged/)
  const definitions = join(out, 'definitions.py')
  const text = readFileSync(definitions, 'utf8')
  appendFileSync(definitions, '# mine\n')
  const refused = await features('export', file, '--out', out)
  assert.deepEqual([refused.code, /--force replaces it/.test(refused.stderr)], [2, true])
  assert.match(readFileSync(definitions, 'utf8'), /# mine/)
  assert.equal((await features('export', file, '--out', out, '--force')).code, 0)
  assert.equal(readFileSync(definitions, 'utf8'), text)
})
