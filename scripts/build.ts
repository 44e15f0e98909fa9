/**
 * Builds dist/, what the published package holds: JavaScript and type declarations of everything but
 * tests, benchmarks and scripts. Sources run as they are, so that nothing else needs a build.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const compiler = join(
  createRequire(import.meta.url).resolve('typescript/package.json'),
  '../bin/tsc',
)
const compiled = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json')], {
  cwd: root,
  stdio: 'inherit',
})
if (compiled.status !== 0) process.exitCode = compiled.status ?? 1
else {
  cpSync(join(root, 'config/examples'), join(dist, 'config/examples'), { recursive: true })
  const command = join(dist, 'bin/sluice.js')
  if (!existsSync(command)) throw new Error(`the compiler wrote no ${command}`)
  chmodSync(command, 0o755)
}
