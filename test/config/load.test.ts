/** The loader: a good file becomes a Pipeline; every mistake is reported at its place, all at once. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadPipeline } from '../../config/load.ts'
import { formatProblem } from '../../config/problem.ts'
import { Secret } from '../../core/connector/secret.ts'
import { brief, good, load } from './support.ts'

test('a good file becomes a pipeline', async () => {
  const { pipeline, problems } = await load(good)
  assert.deepEqual(problems, [])
  assert.ok(pipeline !== null)
  assert.equal(pipeline.name, 'shop')
  assert.match(pipeline.log.url, /^file:\/\/\/.*\/\.sluice\/log$/)
  assert.equal(pipeline.sources[0]?.kind, 'toy')
  const config = pipeline.sources[0]?.config as { url: Secret; port: number }
  assert.equal(config.port, 5432, 'defaults are filled in')
  assert.equal(config.url.reveal(), 'toy://user:hunter2@host')
  assert.deepEqual(pipeline.sinks[0]?.from, ['shop.*', 'revenue'])
  assert.ok(!JSON.stringify(pipeline).includes('hunter2'), 'a pipeline prints without its secrets')
})

test('all problems at once, each at its line and with the nearest name', async () => {
  const { pipeline, problems } = await load(`version: 2
name: Shop
log: { url: ftp://x, flush: 5, pathstyle: true }
sources:
  shop:
    type: toy
    url: toy://h
    tabels: [public.orders]
    mode: initail
    heartbeat: [1]
  9bad: { type: tooy }
transforms:
  shop: { sql: SELECT 1 }
  t:
    sql: 5
sinks:
  a: { type: toybox, url: nope, from: [x.*], secrte: abc, retry: { attempts: 0 } }
  b: { url: 'http://x', from: [] }
`)
  assert.equal(pipeline, null)
  assert.deepEqual(brief(problems), [
    '1:10 config.invalid_value version',
    '2:7 config.invalid_value name',
    '3:13 config.invalid_value log.url',
    '3:29 config.wrong_type log.flush',
    '3:32 config.unknown_key log.pathstyle',
    '8:5 config.unknown_key sources.shop.tabels',
    '9:11 config.invalid_value sources.shop.mode',
    '10:5 config.wrong_type sources.shop.heartbeat',
    '11:3 config.invalid_name sources.9bad',
    '11:17 config.unknown_type sources.9bad.type',
    '13:3 config.name_clash transforms.shop',
    '15:10 config.wrong_type transforms.t.sql',
    '17:27 config.invalid_value sinks.a.url',
    '17:40 config.unknown_topic sinks.a.from.0',
    '17:46 config.unknown_key sinks.a.secrte',
    '17:78 config.invalid_value sinks.a.retry.attempts',
    '18:3 config.missing_key sinks.b.type',
    '18:25 config.invalid_value sinks.b.from',
  ])
  const suggestions = new Map(problems.map(({ path, suggestion }) => [path, suggestion]))
  assert.equal(suggestions.get('sources.shop.tabels'), 'did you mean "tables"?')
  assert.equal(suggestions.get('sources.shop.mode'), 'did you mean "initial"?')
  assert.equal(suggestions.get('sources.9bad.type'), 'did you mean "toy"?')
  assert.equal(suggestions.get('log.pathstyle'), 'did you mean "path_style"?')
  // A number is no duration in quotes either.
  assert.equal(suggestions.get('log.flush'), null)
})

test('the text of a problem has place, code, path, suggestion and a frame', async () => {
  const { problems } = await load(good.replace('tables:', 'tabels:'))
  const [problem] = problems
  assert.ok(problem !== undefined)
  assert.equal(
    formatProblem(problem),
    [
      'shop.yaml:8:5  config.unknown_key  sources.shop.tabels  "tabels" is not a key of sources.shop  did you mean "tables"?',
      `  7 |     url: ${'*'.repeat('toy://user:hunter2@host'.length)}`,
      '> 8 |     tabels: [public.orders, public.customers]',
      '    |     ^^^^^^',
      '  9 | transforms:',
    ].join('\n'),
  )
})

test('no frame ever shows a secret', async () => {
  const secret = 'whsec_c2VjcmV0'
  for (const yaml of [
    `sinks:\n  b:\n    type: toybox\n    secret: ${secret}\n    urll: x\n`,
    `sinks:\n  b:\n    type: toybox\n    secrte: ${secret}\n    urll: x\n`,
    `sinks:\n  b:\n    type: toybx\n    anything: ${secret}\n    urll: x\n`,
    `sinks:\n  b:\n    type: toybox\n    secret: "${secret}"\n    url: [}\n`,
    `sinks:\n  b:\n    type: toybox\n    secret: "${secret}\n    urll: x\n`,
    `sinks: { b: { type: toybox, secret: ${secret}, urll: x } }\n`,
    `sinks:\n  b:\n    type: toybox\n    secret: \${env.NOPE:-${secret}}\n    urll: x\n`,
    `sources:\n  s:\n    type: toy\n    url: pg://me:${secret}@h\n    urll: x\n`,
    `sources:\n  s:\n    typ: toy\n    url: pg://me:${secret}@h\n    urll: x\n`,
  ]) {
    const { problems } = await load(yaml)
    assert.ok(problems.length > 0)
    for (const problem of problems) {
      assert.ok(!JSON.stringify(problem).includes(secret), `${yaml}\n${formatProblem(problem)}`)
    }
  }
})

test('files that are no pipeline get one clear problem', async () => {
  const cases: readonly (readonly [string | Uint8Array, string])[] = [
    ['', 'config.empty'],
    ['# only a comment\n', 'config.empty'],
    ['- a\n- b\n', 'config.empty'],
    ['just text', 'config.empty'],
    ['---\na: 1\n---\nb: 2\n', 'config.syntax'],
    [new Uint8Array([0x61, 0x3a, 0x20, 0x0a, 0xff, 0xfe]), 'config.not_utf8'],
    [new Uint8Array(300 * 1024).fill(0x23), 'config.too_large'],
    ['['.repeat(5000), 'config.too_large'],
    ['a:\n\tb: 1\n', 'config.tab'],
    ['x: *nothing\n', 'config.syntax'],
  ]
  for (const [yaml, code] of cases) {
    const { pipeline, problems } = await load(yaml)
    assert.equal(pipeline, null)
    assert.ok(
      problems.some((problem) => problem.code === code),
      `${code}: ${brief(problems).join(', ')}`,
    )
  }
  const { problems } = await load(new Uint8Array([0x61, 0x3a, 0x20, 0x31, 0x0a, 0x62, 0xff]))
  assert.deepEqual(brief(problems), ['2:2 config.not_utf8'])
})

test('aliases are expanded, and a bomb of them is refused at once', async () => {
  const shared = good.replace(
    'tables: [public.orders, public.customers]',
    'tables: &t [public.orders]',
  )
  const twice = shared.replace(
    'transforms:',
    '  other: { type: toy, url: x, tables: *t }\ntransforms:',
  )
  assert.deepEqual((await load(twice)).problems, [])
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
  for (let i = 1; i < 12; i++) {
    bomb += `a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]\n`
  }
  const { problems } = await load(bomb)
  assert.ok(problems.some(({ code }) => code === 'config.too_large'))
  const { problems: own } = await load('a: &a [*a]\n')
  assert.ok(own.length > 0)
})

test('a key that stands twice is an error, not a silent choice', async () => {
  const { problems } = await load(good.replace('name: shop\n', 'name: shop\nname: other\n'))
  assert.deepEqual(brief(problems), ['3:1 config.duplicate_key'])
})

test('what follows broken YAML is not reported as missing', async () => {
  const { problems } = await load(
    `version: 3\nname: shop\nlog: { url: [ }\nsources:\n  a: { type: toy }\n`,
  )
  const codes = brief(problems)
  assert.equal(codes[0], '1:10 config.invalid_value version')
  assert.ok(
    codes.slice(1).every((text) => text.includes('config.syntax')),
    codes.join(', '),
  )
  assert.ok(problems.length <= 6)
})

test('offline, references need no values; online they do', async () => {
  const yaml = good.replace('toy://user:hunter2@host', '${env.PG_URL}')
  const offline = await load(yaml, { offline: true })
  assert.deepEqual(brief(offline.problems), ['7:10 warning config.unresolved sources.shop.url'])
  assert.equal(offline.pipeline, null)
  assert.deepEqual(offline.outline?.topics.topics.includes('revenue'), true)
  const online = await load(yaml)
  assert.deepEqual(brief(online.problems), ['7:10 config.unresolved sources.shop.url'])
  const set = await load(yaml, { env: { PG_URL: 'toy://x' } })
  assert.deepEqual(set.problems, [])
  assert.ok(set.pipeline !== null)
})

test('sinks may only read what exists: names, short names, patterns', async () => {
  const from = async (text: string): Promise<readonly string[]> =>
    brief((await load(good.replace('[shop.*, revenue]', text))).problems)
  for (const fine of [
    'revenue',
    'shop.public.orders',
    'orders',
    'public.orders',
    '"*"',
    'shop.*',
  ]) {
    assert.deepEqual(await from(fine), [], fine)
  }
  assert.deepEqual(await from('revenue.dead_letters'), [])
  assert.deepEqual(await from('box.dead_letters'), ['15:56 config.unknown_topic sinks.box.from'])
  for (const topic of ['dead_letters', 'schema_changes', 'deliveries']) {
    const other = `  other: { type: toybox, url: https://example.com, from: box.${topic} }\n`
    assert.deepEqual((await load(good + other)).problems, [], topic)
  }
  assert.deepEqual(await from('ordrs'), ['15:56 config.unknown_topic sinks.box.from'])
  assert.deepEqual(await from('[shop.publc.*]'), ['15:57 config.unknown_topic sinks.box.from.0'])
  // A table pattern leaves open what the server has.
  const open = good.replace('[public.orders, public.customers]', '["public.*"]')
  assert.deepEqual((await load(open.replace('[shop.*, revenue]', 'anything'))).problems, [])
})

test('a short name that fits two topics is refused with both', async () => {
  const yaml = good
    .replace('[public.orders, public.customers]', '[public.orders, sales.orders]')
    .replace('[shop.*, revenue]', 'orders')
  const [problem] = (await load(yaml)).problems
  assert.equal(problem?.code, 'config.ambiguous_topic')
  assert.match(problem.message, /shop\.public\.orders or shop\.sales\.orders/)
})

test('names of sources, transforms and sinks are one name space', async () => {
  const { problems } = await load(good.replace('  box:', '  revenue:'))
  assert.deepEqual(brief(problems), ['15:3 config.name_clash sinks.revenue'])
})

test('a pipeline without sinks is a warning, without sources an error', async () => {
  const noSinks = good.slice(0, good.indexOf('sinks:'))
  const { pipeline, problems } = await load(noSinks)
  assert.deepEqual(brief(problems), ['1:1 warning config.no_sinks sinks'])
  assert.ok(pipeline !== null)
  const { problems: none } = await load(
    'version: 1\nname: a\nlog: { url: memory://x }\nsources: {}\nsinks: {}\n',
  )
  assert.deepEqual(brief(none), [
    '4:1 config.no_sources sources',
    '5:1 warning config.no_sinks sinks',
  ])
})

test('paths that are no regular file are refused without waiting', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-config-'))
  try {
    const pipe = join(folder, 'pipe.yaml')
    execFileSync('mkfifo', [pipe])
    await symlink('/dev/zero', join(folder, 'zero.yaml'))
    for (const [path, code] of [
      [join(folder, 'nothing.yaml'), 'config.not_found'],
      [join(folder, 'nothing.yaml', 'below'), 'config.not_found'],
      [folder, 'config.unreadable'],
      [pipe, 'config.unreadable'],
      [join(folder, 'zero.yaml'), 'config.unreadable'],
      ['a\0b', 'config.unreadable'],
    ] as const) {
      const { problems } = await loadPipeline(path, { env: {} })
      assert.deepEqual(brief(problems), [`1:1 ${code}`])
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})
