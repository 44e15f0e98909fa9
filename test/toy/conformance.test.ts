/** The toy source and sink pass the same suites as the real ones: what `test/conformance/` asks is in the contract, not in Postgres. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sinkConformance, type SinkHarness } from '../conformance/sink.ts'
import { sourceConformance, type SourceHarness } from '../conformance/source.ts'
import { tempDir } from '../support/env.ts'
import { taskContext, testLog } from '../support/task-context.ts'
import { fault, file } from './file/connector.ts'
import { lines, openSources } from './lines/connector.ts'

sourceConformance('lines', async () => {
  const folder = tempDir('lines')
  const path = join(folder.path, 'in.txt')
  let count = 0
  const insert = async (rows: number): Promise<void> => {
    const changes = Array.from({ length: rows }, () => [++count, 'row'])
    appendFileSync(path, `${JSON.stringify(changes)}\n`)
    return Promise.resolve()
  }
  writeFileSync(path, '')
  for (let i = 0; i < 10; i++) await insert(2)
  const harness: SourceHarness<{ path: string; topic: string }> & AsyncDisposable = {
    connector: lines,
    config: lines.config.parse({ path }),
    topic: 'lines',
    before: 20,
    insert,
    count: async () => Promise.resolve(count),
    connected: async (name) => Promise.resolve(openSources.has(name)),
    forgotten: null,
    forget: async () => Promise.resolve(),
    [Symbol.asyncDispose]: async () => Promise.resolve(folder[Symbol.dispose]()),
  }
  return harness
})

sinkConformance('file', async () => {
  const folder = tempDir('file')
  const ctx = taskContext(await testLog(), 'file')
  const harness: SinkHarness & AsyncDisposable = {
    open: async () => file.open(file.config.parse({ folder: folder.path }), [], ctx),
    delivered: async (topic) =>
      Promise.resolve(rowsOf(join(folder.path, `${encodeURIComponent(topic)}.txt`))),
    loseNextAnswer: async () => {
      fault.loseAnswer = true
      return Promise.resolve()
    },
    stallNextAnswer: async () => {
      let resolve = (): void => {}
      fault.stall = new Promise((done) => (resolve = done))
      return Promise.resolve({
        release: async () => {
          fault.stall = null
          return Promise.resolve(resolve())
        },
      })
    },
    connector: file,
    truncates: true,
    [Symbol.asyncDispose]: async () => Promise.resolve(folder[Symbol.dispose]()),
  }
  return harness
})

/** The file's rows as its readers fold them: the last word on each key, nothing before a truncate. */
function rowsOf(path: string): Record<string, string | null>[] {
  if (!existsSync(path)) return []
  const rows = new Map<string, Record<string, string | null>>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, kind, json] = /^\d+ (\S+) ?(.*)$/.exec(line) ?? []
    if (kind === 'truncate') rows.clear()
    if (kind !== '1' && kind !== '-1') continue
    const values = JSON.parse(json!) as Record<string, string | number | null>
    const row: Record<string, string | null> = {}
    for (const [name, value] of Object.entries(values))
      row[name] = value === null ? null : String(value)
    if (kind === '1') rows.set(row['n']!, row)
    else rows.delete(row['n']!)
  }
  return [...rows.values()]
}
