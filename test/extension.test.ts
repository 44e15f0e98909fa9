/**
 * Adding a source and a sink takes one folder and one register line each, and nothing else: a copy of
 * the tree with the two toy connectors validates, runs and delivers.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { tempDir, waitFor } from './support/env.ts'

const root = resolve(import.meta.dirname, '..')
const parts = ['bin', 'config', 'connectors', 'core', 'sinks', 'package.json', 'tsconfig.json']

const yaml = `
version: 1
name: toys
log: { url: file://./log }
sources:
  lines: { type: lines, path: in.txt }
transforms:
  counts: { sql: 'SELECT text, COUNT(*) AS n FROM lines.lines GROUP BY text' }
sinks:
  files: { type: file, folder: out, from: [lines.*, counts] }
`

/** A copy of the tree with the toys in their places: the two register lines are the only change. */
function treeWithToys(folder: string): void {
  for (const part of parts) cpSync(join(root, part), join(folder, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const [kind, name] of [
    ['connectors', 'lines'],
    ['sinks', 'file'],
  ] as const) {
    const code = readFileSync(join(root, 'test/toy', name, 'connector.ts'), 'utf8')
    const target = join(folder, kind, name)
    cpSync(join(root, 'test/toy', name), target, { recursive: true })
    writeFileSync(join(target, 'connector.ts'), code.replaceAll('../../../core/', '../../core/'))
    const register = join(folder, kind, 'index.ts')
    const line = `  ${name}: async () => (await import('./${name}/connector.ts')).${name},\n}`
    writeFileSync(register, readFileSync(register, 'utf8').replace(/\n\}\n*$/, `\n${line}\n`))
  }
}

test('a connector is one folder and one register line', async () => {
  using dir = tempDir('extension')
  treeWithToys(dir.path)
  writeFileSync(join(dir.path, 'toys.yaml'), yaml)
  writeFileSync(join(dir.path, 'in.txt'), '[[1,"a"],[2,"a"]]\n[[1,null],[3,"b"]]\n')
  const sluice = (...args: string[]): string[] => [
    join(dir.path, 'bin/sluice.ts'),
    ...args,
    'toys.yaml',
  ]
  const run = promisify(execFile)
  await run(process.execPath, sluice('validate'), { cwd: dir.path })
  const child = spawn(process.execPath, [...sluice('run'), '--plain', '--port', '0'], {
    cwd: dir.path,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  try {
    const counts = await waitFor('the counts', () => {
      const text = readFileSync(join(dir.path, 'out/counts.txt'), 'utf8')
      return text.includes('"b"') ? text : undefined
    })
    assert.match(counts, /"text":"a","n":1\b/)
    // The rows themselves take a way of their own.
    await waitFor('the rows', () => {
      const rows = readFileSync(join(dir.path, 'out/lines.lines.txt'), 'utf8')
      return /\n3 1 \{"id":3,"text":"b"\}/.test(rows)
    })
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number | null]
    assert.equal(code, 0, said)
  } finally {
    child.kill('SIGKILL')
  }
})
