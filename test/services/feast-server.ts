/**
 * The real `feast serve`, unmodified, for a view `users` with the entity `user_id` that a push source
 * `users_push` feeds. Its stores are files of its own.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/env.ts'
import { installFeast } from './feast.ts'
import { ServerProcess } from './server-process.ts'

const script = fileURLToPath(new URL('./feast-serve.py', import.meta.url))
/** Python takes its time to import Feast on a busy machine. */
const startMs = 120_000

export interface FeastServer extends AsyncDisposable {
  readonly url: string
  /** The Parquet file of its offline store. */
  readonly past: string
  /** Values of the features named, for each user, as the server's JSON has them. */
  read(features: readonly string[], users: readonly string[]): Promise<readonly unknown[][]>
}

/** `features`: names with Feast types, `{ score: 'Int64' }`. Throws where Feast cannot be had. */
export async function startFeastServer(
  features: Readonly<Record<string, string>>,
): Promise<FeastServer> {
  const { python } = await installFeast()
  const dir = mkdtempSync(join(tmpdir(), 'sluice-feast-server-'))
  const port = await freePort()
  writeFileSync(join(dir, 'request.json'), JSON.stringify({ features, port }))
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
  return {
    url,
    past: join(dir, 'past.parquet'),
    read: async (names, users) => {
      // Written by hand: integers beyond 2^53 are numbers here.
      const asked = names.map((name) => `"users:${name}"`).join(',')
      const body = `{"features":[${asked}],"entities":{"user_id":[${users.join(',')}]}}`
      const answer = await fetch(`${url}/get-online-features`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      if (!answer.ok)
        throw new Error(`get-online-features: ${answer.status} ${await answer.text()}`)
      // As text: JSON.parse would round them.
      const text = (await answer.text()).replaceAll(/([[,:]\s*)(-?\d{16,})(?=[\],}\s])/g, '$1"$2"')
      const found = JSON.parse(text) as {
        metadata: { feature_names: string[] }
        results: { values: unknown[] }[]
      }
      return names.map((name) => found.results[found.metadata.feature_names.indexOf(name)]!.values)
    },
    [Symbol.asyncDispose]: stop,
  }
}
