/**
 * Runs the tests: `node --test` over test/, slow suites first so that two cores stay busy to the end.
 *
 *   npm test                         everything but *.soak.test.ts
 *   npm run soak                     those too
 *   npm test -- config postgres      only files whose path holds one of the words
 *   npm test -- --list               prints the files and runs nothing
 *
 * `--concurrency N` and options that begin with `--test-` (such as --test-name-pattern) go to node.
 */
import { spawn } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const timeLimit = new URL('../test/support/time-limit.ts', import.meta.url).href
const given = process.argv.slice(2)
const soak = given.includes('--soak')
const passed = given.filter((word) => word.startsWith('--test-'))
const words = given.filter((word, at) => !word.startsWith('-') && given[at - 1] !== '--concurrency')

const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => soak || !file.endsWith('.soak.test.ts'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))

if (files.length === 0) {
  process.stderr.write(`no test file matches: ${words.join(' ')}\n`)
  process.exitCode = 1
} else if (given.includes('--list')) process.stdout.write(`${files.join('\n')}\n`)
else process.exitCode = await run()

/** What needs servers takes longest, then simulations and random histories; size breaks ties. */
function weight(file: string): number {
  const kinds = ['.soak.test.ts', '.it.test.ts', '.sim.test.ts', 'random', '.prop.test.ts', '/bin/']
  const kind = kinds.findIndex((part) => file.includes(part))
  const rank = kind < 0 ? 0 : kinds.length - kind
  return rank * 1e6 + statSync(`${root}/${file}`).size
}

function run(): Promise<number> {
  const at = given.indexOf('--concurrency')
  const wanted = at < 0 ? availableParallelism() : Number(given[at + 1])
  const concurrency = Math.max(1, Math.min(Number.isInteger(wanted) ? wanted : 1, 8))
  const options = ['--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec']
  // Soaks take as long as they take; somebody is watching them.
  if (!soak) options.push(`--import=${timeLimit}`)
  const child = spawn(process.execPath, ['--expose-gc', ...options, ...passed, ...files], {
    cwd: root,
    stdio: 'inherit',
  })
  // Ctrl-C reaches the whole group; what a CI sends to this process alone must reach the tests too.
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}
