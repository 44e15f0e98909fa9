/**
 * Runs benchmarks: `npm run bench -- P1 P6 [--quick] [--json]`. Without ids: all of them.
 *
 * Each bench runs in a process of its own, so that its peak memory is its own and one bench cannot
 * warm up the next. A bench is a file in this folder that exports `bench`; see bench/types.ts.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { setUpCollector } from '../core/hub/collector.ts'
import type { BenchModule, BenchResult } from './types.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const own = ['run.ts', 'types.ts']

/** What the child sends: its results, or why there are none. */
type Message =
  | { readonly kind: 'results'; readonly results: readonly BenchResult[] }
  | { readonly kind: 'failed'; readonly reason: string }

async function load(file: string): Promise<BenchModule['bench'] | null> {
  const module = (await import(pathToFileURL(`${folder}/${file}`).href)) as Partial<BenchModule>
  return module.bench ?? null
}

async function child(file: string, quick: boolean): Promise<void> {
  // As `sluice run` does; what ours is compared with in the same process has it too.
  setUpCollector()
  const message = await load(file)
    .then(
      async (bench): Promise<Message> => {
        if (bench === null) return { kind: 'failed', reason: 'exports no `bench`' }
        const rows = await bench.run({ quick })
        // maxRSS is in kibibytes.
        const peakRssMb = Math.round(process.resourceUsage().maxRSS / 1024)
        return {
          kind: 'results',
          results: rows.map((row) => ({ id: bench.id, ...row, peakRssMb })),
        }
      },
      (error: unknown): Message => ({ kind: 'failed', reason: reasonOf(error) }),
    )
    .catch((error: unknown): Message => ({ kind: 'failed', reason: reasonOf(error) }))
  process.send?.(message)
}

/** With its causes: what a wait ran into is the cause of its timeout. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? inspect(error) : String(error)
}

function runChild(file: string, quick: boolean): Promise<Message> {
  const script = fileURLToPath(import.meta.url)
  const words = ['--expose-gc', script, '--child', file, ...(quick ? ['--quick'] : [])]
  const process_ = spawn(process.execPath, words, { stdio: ['ignore', 2, 2, 'ipc'] })
  return new Promise((resolve) => {
    let message: Message = { kind: 'failed', reason: 'the process ended without results' }
    process_.on('message', (sent) => {
      message = sent as Message
    })
    process_.on('error', (error) => resolve({ kind: 'failed', reason: error.message }))
    process_.on('close', () => resolve(message))
  })
}

function printTable(results: readonly BenchResult[]): void {
  const heads = ['id', 'what', 'unit', 'ours', 'limit', 'ratio', 'goal', 'met', 'peak RSS']
  const rows = results.map((row) => [
    row.id,
    row.what,
    row.unit,
    shown(row.ours),
    shown(row.limit),
    shown(row.ratio),
    shown(row.goal),
    row.met ? 'yes' : 'NO',
    `${row.peakRssMb} MB`,
  ])
  const widths = heads.map((head, at) =>
    Math.max(head.length, ...rows.map((row) => row[at]!.length)),
  )
  for (const row of [heads, ...rows]) {
    const cells = row.map((cell, at) =>
      at >= 3 && at <= 6 ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!),
    )
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}

function shown(value: number | null): string {
  if (value === null) return '-'
  return value >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : String(Number(value.toPrecision(3)))
}

/** Files by the ids asked for; an id that no file has is an error. */
async function chosen(ids: readonly string[]): Promise<readonly string[]> {
  const files: { readonly id: string; readonly file: string }[] = []
  for (const file of globSync('*.ts', { cwd: folder })) {
    if (own.includes(file)) continue
    const bench = await load(file)
    if (bench !== null) files.push({ id: bench.id, file })
  }
  files.sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))
  const known = new Set(files.map(({ id }) => id))
  const unknown = ids.filter((id) => !known.has(id))
  if (unknown.length > 0) {
    throw new Error(`there is no bench ${unknown.join(', ')}; there are: ${[...known].join(', ')}`)
  }
  return files.filter(({ id }) => ids.length === 0 || ids.includes(id)).map(({ file }) => file)
}

async function main(words: readonly string[]): Promise<void> {
  const quick = words.includes('--quick')
  if (words[0] === '--child' && words[1] !== undefined) return child(words[1], quick)
  const json = words.includes('--json')
  const results: BenchResult[] = []
  for (const file of await chosen(words.filter((word) => !word.startsWith('-')))) {
    const message = await runChild(file, quick)
    if (message.kind === 'failed') {
      process.stderr.write(`${file}: ${message.reason}\n`)
      process.exitCode = 1
      continue
    }
    results.push(...message.results)
    if (json) for (const row of message.results) process.stdout.write(`${JSON.stringify(row)}\n`)
  }
  if (!json && results.length > 0) printTable(results)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
