/** `validate`, `schema`, `explain`, `version`, and what the command line says to mistakes. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../support/env.ts'
import { sluice } from './support.ts'

const example = 'config/examples/shop.yaml'
const root = new URL('../..', import.meta.url).pathname
const shop = readFileSync(join(root, example), 'utf8')

async function validateText(yaml: string): Promise<readonly [number | null, readonly Found[]]> {
  using folder = tempDir('validate')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml)
  const { code, stdout } = await sluice(['validate', file, '--format', 'json'])
  const { problems } = JSON.parse(stdout) as { problems: Found[] }
  return [code, problems.filter((problem) => problem.severity === 'error')]
}

interface Found {
  readonly code: string
  readonly severity: string
  readonly line: number
  readonly col: number
  readonly path: string
  readonly message: string
  readonly suggestion: string | null
  readonly frame: string
}

test('the example is valid without a network and without values', async () => {
  const { code, stdout, stderr } = await sluice(['validate', example], { cwd: root })
  assert.equal(code, 0)
  assert.match(stdout, /^config\/examples\/shop\.yaml is valid/)
  assert.match(stderr, /warning config\.unresolved {2}sources\.shop\.url/)
  assert.match(stderr, /3 warnings\n$/)
})

test('a mistake ends with 2 and is shown at its place', async () => {
  using folder = tempDir('validate')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, shop.replace('tables:', 'tabels:'))
  const { code, stdout, stderr } = await sluice(['validate', file])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(
    stderr,
    /shop\.yaml:\d+:5 {2}config\.unknown_key {2}sources\.shop\.tabels {2}.* {2}did you mean "tables"\?\n.*\n> .*tabels: .*\n.*\^{6}\n/,
  )
  assert.match(stderr, /1 error, 3 warnings\n$/)
})

test('mistakes in SQL are shown in the YAML', async () => {
  const [code, problems] = await validateText(
    shop.replace('COUNT(*) AS orders, SUM', 'COUNT(* AS orders, SUM'),
  )
  assert.equal(code, 2)
  assert.equal(problems.length, 1, JSON.stringify(problems))
  const [problem] = problems
  assert.match(problem!.code, /^sql\./)
  assert.equal(problem!.path, 'transforms.revenue_per_minute.sql')
  const lines = shop.split('\n')
  assert.ok(lines[problem!.line - 1]?.includes('COUNT('), `${problem!.line}: ${problem!.message}`)
})

test('SQL that reads what does not exist, where all topics are known', async () => {
  const yaml = shop.replace(/sources:\n {2}shop:[\s\S]*?\ntransforms:/, 'sources: {}\ntransforms:')
  const [code, problems] = await validateText(yaml)
  assert.equal(code, 2)
  const unknown = problems.find((problem) => problem.code === 'sql.unknown_table')
  assert.ok(unknown !== undefined, JSON.stringify(problems))
  const lines = yaml.split('\n')
  assert.ok(lines[unknown.line - 1]?.slice(unknown.col - 1).startsWith('orders GROUP BY'))
})

test('a misspelt table in SQL and in a sink, where the tables are listed', async () => {
  const [code, problems] = await validateText(
    shop
      .replace('FROM orders GROUP', 'FROM ordrs GROUP')
      .replace('from: [shop.*, revenue_per_minute]', 'from: [shop.public.custmers, shp.*]'),
  )
  assert.equal(code, 2)
  const found = problems.map(({ code: name, path, message, suggestion }) => ({
    name,
    path,
    message,
    suggestion,
  }))
  assert.deepEqual(found, [
    {
      name: 'sql.unknown_table',
      path: 'transforms.revenue_per_minute.sql',
      message: 'There is no topic "ordrs"',
      suggestion: 'Did you mean "orders"?',
    },
    {
      name: 'config.unknown_topic',
      path: 'sinks.warehouse.from.0',
      message: 'no source or transform provides "shop.public.custmers"',
      suggestion: 'did you mean "shop.public.customers"?',
    },
    {
      name: 'config.unknown_topic',
      path: 'sinks.warehouse.from.1',
      message: 'no source or transform provides "shp.*"',
      suggestion: 'did you mean "shop.*"?',
    },
  ])
})

test('what a pattern in tables may bring is not refused', async () => {
  const open = shop.replace('[public.orders, public.customers]', '[public.*]')
  assert.deepEqual(await validateText(open.replace('FROM orders', 'FROM ordrs')), [0, []])
})

test('transforms that read each other in a circle', async () => {
  const more = `transforms:
  a: { sql: SELECT x FROM b }
  b: { sql: SELECT x FROM c }
  c: { sql: SELECT x FROM a }
  own: { sql: SELECT x FROM own }
`
  const [code, problems] = await validateText(shop.replace('transforms:\n', more))
  assert.equal(code, 2)
  assert.deepEqual(
    problems.map((problem) => [problem.code, problem.message]),
    [
      ['config.transform_cycle', 'reads itself in a circle: a → b → c → a'],
      ['config.transform_cycle', 'reads itself'],
    ],
  )
})

test('files that cannot be read, and missing or wrong arguments, end with 2 and a hint', async () => {
  for (const [words, expected] of [
    [['validate', 'nope.yaml'], /nope\.yaml:1:1 {2}config\.not_found {2}there is no such file/],
    [['validate', '/'], /config\.unreadable/],
    [['validate'], /missing required argument 'file'/],
    [['vlidate', 'x'], /unknown command 'vlidate'\n\(Did you mean validate\?\)/],
    [
      ['validate', example, '--fromat', 'json'],
      /unknown option '--fromat'\n\(Did you mean --format\?\)/,
    ],
    [['validate', example, '--format', 'xml'], /Allowed choices are human, json/],
    [['run', example, '--port', '99999'], /A port is at most 65535/],
    [['tap', example, 'orders', '--from', 'yesterday'], /"yesterday" is no place/],
    [['explain', 'config.unknwn_key'], /did you mean "config\.unknown_key"\?/],
    [[], /Usage: sluice/],
  ] as const) {
    const { code, stderr } = await sluice(words, { cwd: root })
    assert.match(stderr, expected, words.join(' '))
    assert.equal(code, 2, words.join(' '))
  }
})

test('values that are missing are the environment’s fault when it matters', async () => {
  const { code, stderr } = await sluice(['doctor', example], { cwd: root })
  assert.equal(code, 3)
  assert.match(
    stderr,
    /config\.unresolved {2}sources\.shop\.url {2}the environment variable PG_URL is not set/,
  )
})

test('schema, explain, version, help', async () => {
  const schema = await sluice(['schema'])
  assert.equal(schema.code, 0)
  assert.equal((JSON.parse(schema.stdout) as { title: string }).title, 'Sluice pipeline')
  const explained = await sluice(['explain', 'config.unknown_key'])
  assert.equal(explained.code, 0)
  assert.match(explained.stdout, /cause: .*\n {2}remedy: .*\n {2}fault: /)
  assert.match((await sluice(['version'])).stdout, /^sluice \d+\.\d+\.\d+, Node\.js v\d+/)
  assert.match((await sluice(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
  const help = await sluice(['--help'])
  assert.equal(help.code, 0)
  for (const word of ['validate', 'doctor', 'run', 'tap', 'schema', 'explain', 'Exit codes']) {
    assert.ok(help.stdout.includes(word), word)
  }
})
