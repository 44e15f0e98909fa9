/**
 * What service starters and tests share: free ports, temporary folders that a server's own user can
 * reach, waiting for a condition, and the rule for a service that is missing.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestContext } from 'node:test'

/** A port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A new folder, readable by everyone (Postgres runs as another user), removed at exit of the scope. */
export function tempDir(name: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), `sluice-${name}-`))
  chmodSync(path, 0o755)
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** Polls until `probe` gives something other than undefined and false; its last error is the cause when time runs out. */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const end = Date.now() + timeoutMs
  let cause: unknown
  while (Date.now() < end) {
    try {
      const value = await probe()
      if (value !== undefined && value !== false) return value
    } catch (error) {
      cause = error
    }
    await sleep(25)
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause })
}

/** Skips the test loudly where a service cannot be had; in CI that is a failure. */
export function missingService(t: TestContext, what: string, cause: unknown): void {
  const reason = `${what} cannot be started here: ${cause instanceof Error ? cause.message : String(cause)}`
  if (process.env['CI'] !== undefined) throw new Error(reason, { cause })
  process.stderr.write(`SKIPPED: ${reason}\n`)
  t.skip(reason)
}
