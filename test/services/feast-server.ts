/**
 * The real `feast serve`, unmodified, for views with one entity, each fed by a push source `<view>_push`. Its
 * stores are files of its own.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../support/env.ts'
import { installFeast } from './feast.ts'
import { ServerProcess } from './server-process.ts'

const script = fileURLToPath(new URL('./feast-serve.py', import.meta.url))
const execute = promisify(execFile)
const pastRows =
  'import json, sys, pyarrow.parquet as pq; print(json.dumps(pq.read_table(sys.argv[1]).to_pylist(), default=str))'
/** Python takes its time to import Feast on a busy machine. */
const startMs = 300_000

export interface FeastServer extends AsyncDisposable {
  readonly url: string
  /** Values of the features named of `users`, for each entity, as the server's JSON has them. */
  read(features: readonly string[], entities: readonly string[]): Promise<readonly unknown[][]>
  /** For each entity what the view has of it; null where it has none. */
  rows(
    view: string,
    features: readonly string[],
    entities: readonly string[],
  ): Promise<readonly (Readonly<Record<string, unknown>> | null)[]>
  /** All that the view's offline store was given; times as Python shows them. */
  offlineRows(view: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** Names with Feast types, `{ score: 'Int64' }`. */
type Typed = Readonly<Record<string, string>>

export interface FeastDefinitions {
  readonly entity: { readonly name: string; readonly type: 'Int32' | 'Int64' }
  /** Features by view. */
  readonly views: Readonly<Record<string, Typed>>
}

/** One view `users` with the entity `user_id`. Throws where Feast cannot be had. */
export function startFeastServer(features: Typed): Promise<FeastServer> {
  return startFeastServerOf({
    entity: { name: 'user_id', type: 'Int64' },
    views: { users: features },
  })
}

/** Throws where Feast cannot be had. */
export async function startFeastServerOf(definitions: FeastDefinitions): Promise<FeastServer> {
  const { python } = await installFeast()
  const dir = mkdtempSync(join(tmpdir(), 'sluice-feast-server-'))
  const port = await freePort()
  writeFileSync(join(dir, 'request.json'), JSON.stringify({ ...definitions, port }))
  const env = { ...process.env, FEAST_USAGE: 'False', PYTHONWARNINGS: 'ignore' }
  // The kernel stops it when this process dies in whatever way; its workers see that it is gone.
  const command = ['setpriv', '--pdeathsig=TERM', python, script, dir]
  const server = new ServerProcess('feast serve', dir)
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    await server.end('SIGTERM')
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    const isReady = async (): Promise<boolean> => (await fetch(`${url}/health`)).ok
    await server.start(command, { cwd: dir, env, withinMs: startMs, isReady })
  } catch (error) {
    await stop()
    throw error
  }
  const ask = async (names: readonly string[], entities: readonly string[], view: string) => {
    // Written by hand: integers beyond 2^53 are numbers here.
    const asked = names.map((name) => `"${view}:${name}"`).join(',')
    const body = `{"features":[${asked}],"entities":{"${definitions.entity.name}":[${entities.join(',')}]}}`
    const answer = await fetch(`${url}/get-online-features`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    if (!answer.ok) throw new Error(`get-online-features: ${answer.status} ${await answer.text()}`)
    // As text: JSON.parse would round them.
    const text = (await answer.text()).replaceAll(/([[,:]\s*)(-?\d{16,})(?=[\],}\s])/g, '$1"$2"')
    const found = JSON.parse(text) as {
      metadata: { feature_names: string[] }
      results: { values: unknown[]; statuses: string[] }[]
    }
    return names.map((name) => found.results[found.metadata.feature_names.indexOf(name)]!)
  }
  return {
    url,
    read: async (names, entities) =>
      (await ask(names, entities, 'users')).map(({ values }) => values),
    rows: async (view, names, entities) => {
      const columns = await ask(names, entities, view)
      return entities.map((_, i) => {
        if (columns.every(({ statuses }) => statuses[i] === 'NOT_FOUND')) return null
        return Object.fromEntries(names.map((name, c) => [name, columns[c]!.values[i]]))
      })
    },
    offlineRows: async (view) => {
      const { stdout } = await execute(python, ['-c', pastRows, join(dir, `${view}.parquet`)])
      return JSON.parse(stdout) as Readonly<Record<string, unknown>>[]
    },
    [Symbol.asyncDispose]: stop,
  }
}
