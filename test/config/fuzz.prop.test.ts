/**
 * Whatever bytes stand in a pipeline file, loading it ends, soon, with a pipeline or with problems
 * that each have a line: DESIGN §4.8 (bounded) for the one input that people write by hand.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatProblem } from '../../config/problem.ts'
import { loadPipeline, type LoadResult } from '../../config/load.ts'
import { filesOf } from './support.ts'

const example = readFileSync(new URL('../../config/examples/shop.yaml', import.meta.url))
const text = example.toString('utf8')
const env = {
  PG_URL: 'postgres://u:p@127.0.0.1:5432/shop',
  CLICKHOUSE_URL: 'http://127.0.0.1:8123/default',
  HOOK_SECRET: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
}
/** Far above what any of these files takes; a hang or a quadratic blow-up is minutes. */
const budgetMs = 30_000

async function check(bytes: Uint8Array): Promise<LoadResult> {
  const lines = Buffer.from(bytes).toString('utf8').split('\n').length
  const started = process.cpuUsage()
  const readFile = filesOf({ 'shop.yaml': bytes })
  const results: LoadResult[] = []
  for (const offline of [true, false]) {
    const result = await loadPipeline('shop.yaml', { env: offline ? {} : env, offline, readFile })
    results.push(result)
    for (const problem of result.problems) {
      assert.ok(problem.line >= 1 && problem.line <= lines, `line ${problem.line} of ${lines}`)
      assert.ok(problem.col >= 1 && problem.message !== '' && problem.file === 'shop.yaml')
      assert.ok(formatProblem(problem).startsWith(`shop.yaml:${problem.line}:${problem.col}  `))
      // Nothing from the file may move the cursor or colour the terminal of who reads it.
      assert.doesNotMatch(formatProblem(problem).replaceAll('\n', ''), /\p{Cc}/u)
    }
  }
  const online = results[1]!
  const errors = online.problems.filter((problem) => problem.severity === 'error')
  assert.equal(online.pipeline === null, errors.length > 0)
  // Of the processor's time: what else runs on the machine is no fault of the file's.
  assert.ok(process.cpuUsage(started).user < budgetMs * 1000)
  return online
}

test('the example itself is a pipeline', async () => {
  const { pipeline, problems } = await check(example)
  assert.deepEqual(problems, [])
  assert.equal(pipeline?.name, 'shop')
})

test('bytes changed, removed and put in anywhere', async () => {
  const edit = fc.record({
    at: fc.nat(example.length),
    remove: fc.nat(12),
    insert: fc.uint8Array({ maxLength: 6 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      let bytes: Uint8Array = example
      for (const { at, remove, insert } of edits) {
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
      }
      await check(bytes)
    }),
    { numRuns: 400 },
  )
})

const yamlPieces: readonly string[] = [
  ...'{}[]#\t\r\n\\@`,\'"\u2028\ufeff\ue000\u0000'.split(''),
  ': ',
  '- ',
  '? ',
  '&a ',
  '*a',
  '!!set ',
  '!<x> ',
  '|\n',
  '>+2\n',
  '%YAML 1.1\n',
  '---\n',
  '...\n',
  '<<: *a\n',
  '${',
  '${env.',
  '${file./etc/hostname}',
  '$${',
  '${env.X:-',
  '__proto__: 1\n',
  '💥',
]

test('YAML’s own characters put in anywhere', async () => {
  const piece = fc.constantFrom(...yamlPieces)
  const edit = fc.record({ at: fc.nat(text.length), piece })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 5 }), async (edits) => {
      let yaml = text
      for (const { at, piece: put } of edits) yaml = yaml.slice(0, at) + put + yaml.slice(at)
      await check(Buffer.from(yaml))
    }),
    { numRuns: 600 },
  )
})

test('values and keys replaced by anything that YAML can say', async () => {
  const leaf = fc.oneof(
    fc.constantFrom(
      null,
      true,
      0,
      -1,
      1e300,
      '',
      ' ',
      'shop',
      '*',
      '${env.NO}',
      '${env.NO:-x}',
      '.inf',
    ),
    fc.string({ maxLength: 20 }),
    fc.integer(),
  )
  const key = fc.constantFrom(
    'type',
    'from',
    'url',
    'tables',
    'shop',
    'sql',
    '__proto__',
    'constructor',
    '0',
    '',
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 3 }),
    ),
  }))
  const section = fc.constantFrom('version', 'name', 'log', 'sources', 'transforms', 'sinks')
  await fc.assert(
    fc.asyncProperty(fc.dictionary(section, value, { maxKeys: 6 }), async (pipeline) => {
      // JSON is YAML.
      await check(Buffer.from(JSON.stringify(pipeline, null, 1)))
    }),
    { numRuns: 400 },
  )
})

test('one entry of the example replaced', async () => {
  const lines = text.split('\n')
  const swap = fc.record({
    line: fc.nat(lines.length - 1),
    value: fc.constantFrom(
      '5',
      'null',
      '[]',
      '{}',
      '[a, b]',
      '{ a: 1 }',
      '"x"',
      '~',
      'true',
      '',
      '- 1',
      '*x',
    ),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(swap, { minLength: 1, maxLength: 3 }), async (swaps) => {
      const changed = [...lines]
      for (const { line, value } of swaps) {
        changed[line] = changed[line]!.replace(/:(\s.*)?$/, () => `: ${value}`)
      }
      await check(Buffer.from(changed.join('\n')))
    }),
    { numRuns: 300 },
  )
})

test('files made to be slow', async () => {
  const repeated = [
    ['[', 100_000],
    ['{a: ', 30_000],
    ['- ', 60_000],
    ['? ', 60_000],
    ['a: &a *a\n', 10_000],
    ['"', 100_000],
    ['!', 100_000],
    ['\n', 200_000],
    ['a: 1\n', 30_000],
    ['${', 100_000],
    ['${env.A}', 20_000],
    ['&a ', 50_000],
    ["''", 100_000],
    ['# \ue000\n', 30_000],
  ] as const
  for (const [piece, times] of repeated) await check(Buffer.from(piece.repeat(times)))
  const keys = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n')
  await check(Buffer.from(keys))
  await check(Buffer.from(`sources:\n${keys.replace(/^/gm, '  ')}`))
})
