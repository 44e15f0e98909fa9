/** The tree keeps its promises: sizes, registers, README pages, types. The linter checks the rest. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { sources } from '../connectors/index.ts'
import { sinks } from '../sinks/index.ts'
import { codes } from '../core/errors/codes.ts'
import type { CodeEntry } from '../core/errors/codes/table.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = ['bench', 'bin', 'config', 'connectors', 'core', 'demo', 'scripts', 'sinks', 'test']
const files = folders.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root })).sort()
const text = (file: string): string => readFileSync(`${root}/${file}`, 'utf8')

test('there are files to look at', () => {
  assert.ok(files.length > 100)
})

test('no file is longer than 400 lines', () => {
  const long = files
    .filter((file) => !file.includes('.generated.') && !file.startsWith('test/fixtures/'))
    .map((file) => ({ file, lines: text(file).trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > 400)
  assert.deepEqual(long, [])
})

test('no file uses the type any', () => {
  // Comments and texts may speak of "any"; types come after `:`, `<`, `|`, `&`, `,`, `=>`, `as`.
  const anyType = /(?:[:<|&]|=>|\bas)\s*any\b(?!\s*[a-z])/
  const found = files.flatMap((file) =>
    text(file)
      .replace(
        /\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g,
        '',
      )
      .split('\n')
      .filter((line) => anyType.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  )
  assert.deepEqual(found, [])
})

for (const [folder, register] of [
  ['connectors', sources],
  ['sinks', sinks],
] as const) {
  test(`every folder of ${folder}/ is registered, loads under its name, and has a README`, async () => {
    const names = readdirSync(`${root}/${folder}`, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
    assert.deepEqual(Object.keys(register).sort(), names.sort())
    for (const [name, load] of Object.entries<() => Promise<{ readonly kind: string }>>(register)) {
      assert.equal((await load()).kind, name)
      assert.ok(existsSync(`${root}/${folder}/${name}/README.md`), `${folder}/${name}/README.md`)
    }
  })
}

test('every error code has a cause, a remedy, and is used', () => {
  const sources_ = files.filter((file) => !file.startsWith('test/') && !file.includes('/codes/'))
  const all = sources_.map(text).join('\n')
  for (const [code, entry] of Object.entries<CodeEntry>(codes)) {
    assert.match(code, /^[a-z0-9_]+(\.[a-z0-9_]+)+$/)
    assert.ok(entry.cause.endsWith('.') && entry.remedy.endsWith('.'), code)
    assert.ok(all.includes(`'${code}'`), `${code} is used nowhere`)
  }
})
