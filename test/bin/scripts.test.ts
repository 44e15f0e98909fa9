/** The scripts behind `npm test`, `npm run bench` and `npm run docs` say no in the right places. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { configDocs } from '../../scripts/docs-config.ts'
import { errorDocs } from '../../scripts/docs-errors.ts'
import { codes } from '../../core/errors/codes.ts'
import { toyRegisters } from '../config/toy.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function script(...words: readonly string[]): {
  code: number | null
  stdout: string
  stderr: string
} {
  // Under this variable a nested `node --test` reports to the outer one instead of printing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const options = { cwd: root, encoding: 'utf8', env } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, words, options)
  return { code: status, stdout, stderr }
}

test('npm test picks files by words, slow ones first, and fails when none fits', () => {
  const all = script('scripts/test.ts', '--list').stdout.trim().split('\n')
  assert.ok(all.length > 20)
  const kinds = all.map((file) => file.endsWith('.it.test.ts'))
  assert.ok(kinds.lastIndexOf(true) < kinds.indexOf(false), 'what needs servers starts first')
  assert.ok(all.every((file) => !file.endsWith('.soak.test.ts')))
  const some = script('scripts/test.ts', '--list', 'config/load', 'config/sql-range').stdout.trim()
  assert.deepEqual(some.split('\n').sort(), [
    'test/config/load.test.ts',
    'test/config/sql-range.test.ts',
  ])
  const none = script('scripts/test.ts', 'no-such-test')
  assert.equal(none.code, 1)
  assert.match(none.stderr, /no test file matches: no-such-test/)
})

test('npm test ends as node ends', () => {
  const passed = script('scripts/test.ts', 'config/sql-range')
  assert.equal(passed.code, 0, passed.stdout)
  assert.match(passed.stdout, /^ℹ pass [1-9]/m)
  const failed = script(
    'scripts/test.ts',
    'config/sql-range',
    '--test-reporter=./no-such-reporter.js',
  )
  assert.notEqual(failed.code, 0)
})

test('a bench that does not exist is an error that lists those that do', () => {
  const { code, stderr } = script('--expose-gc', 'bench/run.ts', 'P999')
  assert.equal(code, 1)
  assert.match(stderr, /there is no bench P999; there are: P\d+/)
})

test('docs/errors.md holds every code, docs/config.md every key of a connector', async () => {
  const errors = errorDocs()
  for (const code of Object.keys(codes)) assert.ok(errors.includes(`### \`${code}\``), code)
  const config = await configDocs(toyRegisters)
  for (const row of [
    '| `port` | whole number from 1 to 65535 | `5432` | Port of the toy. |',
    '| `mode` | `initial` or `never` | `"initial"` | First copy. |',
    '| `url` | secret | **required** | Where the toy lives. |',
    '| `retry.attempts` | whole number, at least 1 | `5` |  |',
  ]) {
    assert.ok(config.includes(row), row)
  }
})
